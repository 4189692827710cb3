"""Names of the environment variables that carry the settings: cheap to import, for what starts often."""

from __future__ import annotations

PREFIX = "PERENNIAL_"


def variable(field: str) -> str:
    """Return the environment variable of a field of `perennial.settings.Settings`."""
    return PREFIX + field.upper()
