"""perennial: a serverless MLOps loop for tabular data on AWS."""
