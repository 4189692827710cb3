"""Predictions as one file, in the order of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from perennial.data.engine import DEFAULTS, ROW_GROUP, Resources, connect, one
from perennial.sql import identifier, literal

Format = Literal["parquet", "csv", "jsonl"]
_OPTIONS: dict[Format, str] = {
    "parquet": f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP}",
    "csv": "FORMAT csv, HEADER true",
    "jsonl": "FORMAT json",
}
_NESTED = ("probabilities", "missing")
"""Columns that a CSV has as JSON."""


def save_as(parts: Sequence[Path], form: Format, target: Path, folder: Path, *, resources: Resources = DEFAULTS) -> int:
    """Write parts into one file, without holding it in memory; return how many rows there are.

    Parameters
    ----------
    parts : sequence of Path
        Parquet of predictions, in their order; at least one.
    form : str
        How the file is written.
    target : Path
        The file.
    folder : Path
        Where DuckDB may spill.
    """
    files = f"read_parquet([{', '.join(literal(str(path)) for path in parts)}], union_by_name = true)"
    with connect(folder, resources, reads=[*parts, target]) as connection:
        names = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {files}").fetchall()]
        chosen = "*"
        if form == "csv":
            columns = map(identifier, names)
            chosen = ", ".join(
                f"to_json({column}) AS {column}" if name in _NESTED else column
                for name, column in zip(names, columns, strict=True)
            )
        (count,) = one(connection, f"COPY (SELECT {chosen} FROM {files}) TO {literal(str(target))} ({_OPTIONS[form]})")
    assert isinstance(count, int), "the engine tells how many rows it wrote"
    return count
