"""Rows that are taken out of snapshots: superseded by a later upload, or forgotten."""
