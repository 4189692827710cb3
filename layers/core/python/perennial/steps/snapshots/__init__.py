"""Snapshots in the object store: written, read in parts, superseded."""
