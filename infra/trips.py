"""The demo's world: trips of a month, what is known of each when it begins and what it came to."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from perennial.data.contract.validate import validate
from perennial.definitions import Dataset, Model

KNOWN_AT_START = (
    "vendor_id",
    "pickup_datetime",
    "passenger_count",
    "trip_distance",
    "rate_code_id",
    "pickup_location_id",
    "dropoff_location_id",
)
"""Columns that a client has when it asks; the distance is that of the planned way."""


@dataclass(frozen=True)
class Trip:
    """One trip."""

    instance: dict[str, Any]
    """What a client sends."""
    paid: float
    """What the model is to predict, known once the trip is over."""


def read_trips(path: Path, dataset: Dataset, model: Model) -> list[Trip]:
    """Return the valid trips of a month's file, in the order in which they begin."""
    with tempfile.TemporaryDirectory() as folder:
        found = validate(path, dataset, Path(folder), Path(folder) / "bad.jsonl", name=path.name)
        columns = ", ".join(KNOWN_AT_START)
        query = (
            f"SELECT {columns}, CAST({model.target} AS DOUBLE) FROM read_parquet(?) "
            f"WHERE {model.filter} ORDER BY {dataset.event_time}"
        )
        with duckdb.connect() as connection:
            rows = connection.execute(query, [[str(part.path) for part in found.parts]]).fetchall()
    return [Trip(dict(zip(KNOWN_AT_START, map(_json, row[:-1]), strict=True)), row[-1]) for row in rows]


def _json(value: Any) -> Any:
    return value.isoformat(sep=" ") if hasattr(value, "isoformat") else value
