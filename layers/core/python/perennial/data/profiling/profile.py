"""The profile of a snapshot: how each column's values are spread, as facts that outlive the rows."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import duckdb
import numpy as np
from pydantic import Field

from perennial.data.engine import DEFAULTS, Resources, connect, one
from perennial.data.profiling.histogram import Histogram, Sorted, make_histogram
from perennial.data.profiling.row_groups import read_footers, spread, table_of
from perennial.data.profiling.rules_in_words import rules_in_words
from perennial.definitions import Dataset
from perennial.records import Record
from perennial.sql import identifier, literal

FORMAT = 1
LIMIT = 1_000_000
"""Most rows that are read; of more, whole row groups that lie evenly over the rows."""
TOP = 20
"""Most categories that are listed."""
COMMON = 5
"""Fewest rows, and at least one in a thousand, that hold a text for it to be listed, unless the column is categorical:
a rare text may name a person."""
LONGEST = 100
"""Most characters of a text that is listed."""
FEW = 10_000
"""Most different texts that are counted; more are estimated."""
QUANTILES = {"p01": 0.01, "p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99}
MOMENTS = ("timestamp", "timestamptz", "date")
"""Types of columns that say when."""
_SIGNIFICANT = 10
"""Digits of means and deviations: the rest depends on the processor, and the same rows make the same profile."""

Value = int | float | str
"""Of a column of moments: ISO 8601 in UTC. Smallest and largest decimals are text, which keeps all digits."""


class Category(Record):
    """A value that many rows hold."""

    value: str
    rows: int


class Lengths(Record):
    """How many characters texts have."""

    min: int
    mean: float
    max: int


class ColumnProfile(Record):
    """How one column's values are spread. ``nulls``, ``min`` and ``max`` are of all rows, the rest of those read."""

    name: str
    type: str
    """As in the contract."""
    rules: tuple[str, ...]
    """What the contract asks, in words."""
    nulls: int
    distinct: int
    """How many different values the rows that were read hold."""
    distinct_exact: bool
    """False where they were estimated, within a few percent."""
    values: int
    """How many values were read, nulls left out."""
    min: Value | None = None
    max: Value | None = None
    mean: Value | None = None
    std: float | None = None
    """Standard deviation over all values (ddof = 0); of moments in seconds."""
    quantiles: dict[str, Value] = Field(default_factory=dict)
    """``p01`` to ``p99``: the smallest value of the column that so many percent do not exceed."""
    histogram: Histogram | None = None
    """Of numbers and moments."""
    categories: tuple[Category, ...] = ()
    """The most frequent values, of numbers only where there are few; texts only if common (see `COMMON`)."""
    lengths: Lengths | None = None
    """Of texts."""

    @property
    def all_listed(self) -> bool:
        """Whether there are no values but the listed categories."""
        return sum(category.rows for category in self.categories) == self.values


class Profile(Record):
    """How a snapshot's values are spread."""

    format: int = FORMAT
    rows: int
    rows_read: int
    """How many rows histograms, quantiles, means, categories and lengths are of: all, or evenly spread row groups."""
    size: int
    """Bytes of the Parquet files."""
    columns: tuple[ColumnProfile, ...]
    """In the contract's order."""


def profile(parts: Sequence[Path], dataset: Dataset, *, resources: Resources = DEFAULTS) -> Profile:
    """Describe every column of a snapshot.

    Up to `LIMIT` rows all are read, one column at a time; of more, the row groups at evenly spread places, so that
    memory and time stay what they are. The same parts always give the same profile, whatever the threads: sums are
    taken of sorted values.

    Parameters
    ----------
    parts : sequence of Path
        The snapshot's Parquet files, in order, at least one.
    dataset : Dataset
        Its contract.
    resources : Resources
        Memory limit and threads of all connections together.

    Raises
    ------
    DataError
        A column does not fit the memory limit.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        # One thread to each query: several columns are read side by side instead.
        connect(Path(folder), replace(resources, threads=1), parts) as connection,
        ThreadPoolExecutor(resources.threads or os.cpu_count() or 1) as pool,
    ):
        groups = read_footers(connection, parts)
        rows = sum(group.rows for group in groups)
        sample = spread(groups, LIMIT)
        source = table_of(sample, parts, everything=len(sample) == len(groups))
        kinds = {row[0]: str(row[1]) for row in connection.execute(f"DESCRIBE FROM {source}").fetchall()}
        columns = pool.map(
            lambda name: _describe(connection.cursor(), name, kinds[name], dataset, source), dataset.columns
        )
        return Profile(
            rows=rows,
            rows_read=sum(group.rows for group in sample),
            size=sum(path.stat().st_size for path in parts),
            columns=tuple(columns),
        )


def _describe(cursor: duckdb.DuckDBPyConnection, name: str, kind: str, dataset: Dataset, source: str) -> ColumnProfile:
    column = dataset.columns[name]
    (nulls,) = one(cursor, f"SELECT CAST(sum(nulls) AS BIGINT) FROM chunks WHERE name = {literal(name)}")
    known = {"name": name, "type": column.type, "rules": rules_in_words(column), "nulls": nulls}
    if kind in ("VARCHAR", "BOOLEAN"):
        return ColumnProfile.model_validate(known | _describe_texts(cursor, name, dataset, source))
    value = f"epoch_us(CAST({identifier(name)} AS TIMESTAMP))" if column.type in MOMENTS else identifier(name)
    found = cursor.execute(f"SELECT {value} AS value FROM {source}").fetchnumpy()["value"]
    values = np.sort(found.compressed() if isinstance(found, np.ma.MaskedArray) else found)
    known |= {"values": len(values), **_range(cursor, name, column.type, kind)}
    if len(values) == 0:
        return ColumnProfile.model_validate(known | {"distinct": 0, "distinct_exact": True})
    described = _describe_moments(values, column.type) if column.type in MOMENTS else _describe_numbers(values)
    return ColumnProfile.model_validate(known | described)


def _range(cursor: duckdb.DuckDBPyConnection, name: str, type_: str, kind: str) -> dict[str, Any]:
    """Return the smallest and the largest of all values, as the files' footers have them."""
    ends = f"min(CAST(least AS {kind})), max(CAST(most AS {kind}))"
    if type_ in MOMENTS:
        ends = "epoch_us(min(CAST(least AS TIMESTAMP))), epoch_us(max(CAST(most AS TIMESTAMP)))"
    least, most = one(cursor, f"SELECT {ends} FROM chunks WHERE name = {literal(name)}")
    if least is None or most is None:
        return {}
    if type_ in MOMENTS:
        return {"min": _iso(cast(int, least), type_), "max": _iso(cast(int, most), type_)}
    if type_ == "decimal":
        return {"min": str(least), "max": str(most)}
    return {"min": cast(float, least) + 0, "max": cast(float, most) + 0}  # -0.0 is 0.0


def _describe_numbers(values: Sorted) -> dict[str, Any]:
    values = values + 0  # -0.0 is 0.0
    starts = np.concatenate(([0], np.flatnonzero(values[1:] != values[:-1]) + 1))
    with np.errstate(over="ignore", invalid="ignore"):  # squares of numbers near 1e308; told by an absent figure
        mean, std = _rounded(float(values.mean())), _rounded(float(values.std()))
    found: dict[str, Any] = {
        "distinct": len(starts),
        "distinct_exact": True,
        "mean": mean,
        "std": std,
        "quantiles": {name: _quantile(values, level) for name, level in QUANTILES.items()},
        "histogram": make_histogram(values),
    }
    if len(starts) <= TOP:
        counts = np.diff(starts, append=len(values)).tolist()
        pairs = sorted(zip(counts, values[starts].tolist(), strict=True), key=lambda pair: (-pair[0], pair[1]))
        found["categories"] = [{"value": str(value), "rows": rows} for rows, value in pairs]
    return found


def _describe_moments(values: Sorted, type_: str) -> dict[str, Any]:
    """Describe moments in microseconds since 1970."""
    std = _rounded(float((values / 1e6).std()))
    return {
        "distinct": 1 + np.count_nonzero(values[1:] != values[:-1]),
        "distinct_exact": True,
        "mean": _iso(round(float(values.mean())) // 1_000_000 * 1_000_000, type_),
        "std": std,
        "quantiles": {name: _iso(_quantile(values, level), type_) for name, level in QUANTILES.items()},
        "histogram": make_histogram(values // 1_000_000, moments=True),
    }


def _describe_texts(cursor: duckdb.DuckDBPyConnection, name: str, dataset: Dataset, source: str) -> dict[str, Any]:
    """Describe texts and booleans."""
    column, table = dataset.columns[name], f"(SELECT CAST({identifier(name)} AS VARCHAR) AS value FROM {source})"
    values, distinct, least, mean, most = cast(
        tuple[int, int, int, float, int],
        one(
            cursor,
            "SELECT count(value), approx_count_distinct(value), min(length(value)), avg(length(value)), "
            f"max(length(value)) FROM {table}",
        ),
    )
    if exact := distinct <= FEW:
        (distinct,) = cast(tuple[int], one(cursor, f"SELECT count(DISTINCT value) FROM {table}"))
    named = column.type in ("boolean", "categorical") or column.allowed is not None
    categories = []
    if name not in dataset.key:
        categories = cursor.execute(
            f"SELECT value, count(*) AS rows FROM {table} WHERE length(value) <= {LONGEST} GROUP BY value "
            f"HAVING count(*) >= {1 if named else max(COMMON, values // 1000)} ORDER BY rows DESC, value LIMIT {TOP}"
        ).fetchall()
    found: dict[str, Any] = {
        "values": values,
        "distinct": min(distinct, values),
        "distinct_exact": exact,
        "categories": [{"value": value, "rows": rows} for value, rows in categories],
    }
    if values and column.type != "boolean":
        found["lengths"] = {"min": least, "mean": _rounded(mean), "max": most}
    return found


def _quantile(values: Sorted, level: float) -> Any:
    return values[max(math.ceil(level * len(values)) - 1, 0)].item()


def _iso(microseconds: int, type_: str) -> str:
    # numpy writes years that Python's datetime does not know.
    moment = np.datetime64(microseconds, "us")
    if type_ == "date":
        return str(moment.astype("datetime64[D]"))
    return str(moment.astype("datetime64[s]") if microseconds % 1_000_000 == 0 else moment)


def _rounded(value: float) -> float | None:
    return float(f"{value:.{_SIGNIFICANT}g}") if math.isfinite(value) else None
