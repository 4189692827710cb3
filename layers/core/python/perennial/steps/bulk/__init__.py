"""What the steps of a bulk prediction share."""
