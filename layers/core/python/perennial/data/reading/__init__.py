"""Reading uploads: CSV, JSON Lines and Parquet, packed or not, as stretches of raw values."""
