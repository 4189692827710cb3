"""What an upload holds, how it differs from the one before, and the page that shows both."""
