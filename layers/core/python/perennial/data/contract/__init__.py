"""The contract of a dataset: what a text means, which row is bad and why, which file is refused."""
