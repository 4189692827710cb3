"""Serving: from the rows of a request to predictions, with onnxruntime, numpy and duckdb alone."""
