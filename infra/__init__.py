"""The CDK app, the CLI that operates its deployments, and the local cloud."""
