"""Data: the upload contract, feature views and point-in-time training sets, all on DuckDB."""
