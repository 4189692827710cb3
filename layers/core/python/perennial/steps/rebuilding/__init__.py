"""Making a version again from what was recorded of it."""
