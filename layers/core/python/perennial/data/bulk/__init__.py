"""Rows of whole files as a version reads them, and what it predicts of them as Parquet."""
