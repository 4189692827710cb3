"""A row of a request as JSON Schema: what a version's manifest says of its columns."""

from __future__ import annotations

from typing import Any

from perennial.definitions import Column
from perennial.manifest import Manifest

_TYPES: dict[str, list[str]] = {
    "integer": ["integer"],
    "double": ["number"],
    "decimal": ["number", "string"],
    "boolean": ["boolean"],
}
_FORMATS = {"date": "date", "timestamptz": "date-time"}


def row_schema(manifest: Manifest) -> dict[str, Any]:
    """Return the schema of one row: the columns that a version reads, and those that it does not look at."""
    return {
        "type": "object",
        "description": f"A row for version {manifest.version} of {manifest.model}.",
        "properties": {
            **{name: {"description": "Not looked at."} for name in manifest.ignored},
            **{name: column_schema(column) for name, column in manifest.inputs.items()},
        },
        "required": [name for name, column in manifest.inputs.items() if not column.nullable],
        "additionalProperties": False,
    }


def column_schema(column: Column) -> dict[str, Any]:
    """Return the schema of one value: no narrower than what is taken, so far as JSON Schema can tell."""
    types = _TYPES.get(column.type, ["string"])
    found: dict[str, Any] = {"type": [*types, "null"] if column.nullable else types}
    if column.format is None and column.type in _FORMATS:
        found["format"] = _FORMATS[column.type]
    if column.format is not None:
        found["description"] = f"Written as {column.format}."
    if column.type in ("integer", "double"):
        limits = {"minimum": column.min, "maximum": column.max}
        found |= {key: limit for key, limit in limits.items() if isinstance(limit, int | float)}
    lengths = {"minLength": column.min_length, "maxLength": column.max_length}
    found |= {key: length for key, length in lengths.items() if length is not None}
    if column.pattern is not None:
        found["pattern"] = f"^(?:{column.pattern})$"
    if column.allowed is not None and not column.open:
        found["enum"] = [*column.allowed, *([None] if column.nullable else [])]
    return found
