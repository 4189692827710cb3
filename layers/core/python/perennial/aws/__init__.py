"""The ports on AWS: S3, DynamoDB and CloudWatch. ``runtime.py`` is where they are put together."""
