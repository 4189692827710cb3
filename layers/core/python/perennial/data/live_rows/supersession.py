"""Whose row stands where several uploads of a dataset share a key: that of the latest one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import duckdb

from perennial.data.engine import DEFAULTS, Resources, connect, one
from perennial.definitions import Dataset
from perennial.records import SnapshotManifest
from perennial.sql import identifier, literal, sql_type

LONGEST = 64
"""Characters of the longest text that a range is told by."""
Ranges = Mapping[str, tuple[int, int] | tuple[str, str]]
_WHOLE = {
    "integer": "{0}",
    "timestamp": "epoch_us({0})",
    "timestamptz": "epoch_us({0})",
    "date": "({0} - DATE '1970-01-01')",
}
_OWNERS = "owners"


@dataclass(frozen=True)
class Keys:
    """The keys of one original, in files that hold its key columns."""

    rank: int
    """The higher one's row stands."""
    files: tuple[Path, ...]


def key_ranges(files: Sequence[Path], dataset: Dataset, *, resources: Resources = DEFAULTS) -> dict[str, object]:
    """Return key columns with their smallest and largest value, where these tell uploads apart cheaply.

    Whole numbers, times (microseconds since 1970), dates (days) and short texts do.
    """
    if not files or not dataset.key:
        return {}
    found: dict[str, object] = {}
    with connect(files[0].parent, resources, reads=files) as connection:
        for name in dataset.key:
            kind = dataset.columns[name].type
            if kind not in (*_WHOLE, "string", "categorical"):
                continue
            value = _WHOLE.get(kind, "{0}").format(identifier(name))
            low, high = one(connection, f"SELECT min({value}), max({value}) FROM {_table(files)}")
            if kind in _WHOLE or max(len(str(low)), len(str(high))) <= LONGEST:
                found[name] = (low, high)
    return found


def may_share(one_side: Ranges, other: Ranges) -> bool:
    """Tell whether two snapshots may share a key, going by the ranges of their key columns."""
    for name in one_side.keys() & other.keys():
        (low, high), (first, last) = one_side[name], other[name]
        if type(low) is type(first) and (high < first or last < low):  # type: ignore[operator]
            return False
    return True


def comparable(manifest: SnapshotManifest, dataset: Dataset) -> bool:
    """Tell whether a snapshot has the contract's key columns with their types; one of an older contract may not.

    Its rows are neither superseded nor do they supersede until the dataset is backfilled.
    """
    names = (*dataset.key, dataset.event_time)
    return all(manifest.columns.get(name) == sql_type(dataset.columns[name]) for name in names)


def find_owners(connection: duckdb.DuckDBPyConnection, dataset: Dataset, originals: Sequence[Keys]) -> None:
    """Make the table that says, for each key that several originals have, which rank's row stands."""
    names = ", ".join(identifier(name) for name in dataset.key)
    selects = [
        f"SELECT DISTINCT {names}, {original.rank} AS rank FROM {_table(original.files)}"
        for original in originals
        if original.files
    ]
    nothing = ", ".join(f"NULL::{sql_type(dataset.columns[name])} AS {identifier(name)}" for name in dataset.key)
    rows = " UNION ALL ".join(selects) or f"SELECT {nothing}, 0 AS rank WHERE false"
    connection.execute(
        f"CREATE OR REPLACE TABLE {_OWNERS} AS SELECT {names}, max(rank) AS rank FROM ({rows}) "
        f"GROUP BY {names} HAVING min(rank) < max(rank)"
    )


def superseded(dataset: Dataset, rank: int) -> str:
    """Return the SQL condition, never null, of an original's rows that a higher rank's supersede."""
    names = ", ".join(identifier(name) for name in dataset.key)
    return f"({names}) IN (SELECT {names} FROM {_OWNERS} WHERE rank > {rank})"  # key columns are never null


def touched(connection: duckdb.DuckDBPyConnection, dataset: Dataset, original: Keys) -> list[int]:
    """Return the positions of an original's files that hold superseded rows."""
    found = []
    for position, path in enumerate(original.files):
        condition = superseded(dataset, original.rank)
        if cast(int, one(connection, f"SELECT count(*) FROM {_table([path])} WHERE {condition}")[0]):
            found.append(position)
    return found


def _table(files: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(literal(str(path)) for path in files)}])"
