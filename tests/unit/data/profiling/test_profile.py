"""The profile of a snapshot: right by other means of counting, the same every time, and of bounded cost."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.data.engine import Resources
from perennial.data.profiling.profile import LIMIT, ColumnProfile, Profile, profile
from perennial.definitions import Column, Dataset
from perennial.sql import identifier, literal

COLUMNS = {
    "at": Column(type="timestamp"),
    "day": Column(type="date", nullable=True),
    "zone": Column(type="integer", min=1, max=9, nullable=True),
    "miles": Column(type="double", nullable=True),
    "fare": Column(type="decimal", precision=38, scale=2, nullable=True),
    "kind": Column(type="categorical", nullable=True),
    "note": Column(type="string", nullable=True),
    "paid": Column(type="boolean", nullable=True),
}
TYPES = {
    "at": "TIMESTAMP", "day": "DATE", "zone": "BIGINT", "miles": "DOUBLE", "fare": "DECIMAL(38,2)", "kind": "VARCHAR",
    "note": "VARCHAR", "paid": "BOOLEAN",
}  # fmt: skip
RIDES = Dataset(name="rides", event_time="at", columns=COLUMNS)


def write(path: Path, **columns: list[Any]) -> Path:
    """Write a part; columns that are not given are null, times are seconds into 2019."""
    rows = len(next(iter(columns.values())))
    columns = {"at": list(range(rows))} | columns
    with duckdb.connect() as connection:
        connection.execute(
            f"CREATE TABLE t ({', '.join(f'{identifier(name)} {kind}' for name, kind in TYPES.items())})"
        )
        names = ", ".join(map(identifier, columns))
        kinds = ["BIGINT" if name == "at" else TYPES[name] for name in columns]
        values = [
            f"unnest(CAST(? AS {kind}[])) AS {identifier(name)}" for name, kind in zip(columns, kinds, strict=True)
        ]
        connection.execute(
            f'INSERT INTO t ({names}) SELECT * REPLACE (TIMESTAMP \'2019-01-01\' + to_seconds("at") AS "at") '
            f"FROM (SELECT {', '.join(values)})",
            list(columns.values()),
        )
        connection.execute(f"COPY t TO {literal(str(path))} (FORMAT parquet, PARQUET_VERSION v2, ROW_GROUP_SIZE 2048)")
    return path


def column(name: str, *parts: Path, dataset: Dataset = RIDES) -> ColumnProfile:
    return next(column for column in profile(parts, dataset).columns if column.name == name)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(0, 30)), min_size=1, max_size=50))
def test_figures_of_whole_numbers_are_those_of_python(
    tmp_path_factory: pytest.TempPathFactory, values: list[int | None]
) -> None:
    present = sorted(value for value in values if value is not None)
    found = column("zone", write(tmp_path_factory.mktemp("parts") / "a.parquet", zone=values))
    assert (found.nulls, found.values) == (len(values) - len(present), len(present))
    assert (found.distinct, found.distinct_exact) == (len(set(present)), True)
    if present:
        assert (found.min, found.max) == (present[0], present[-1])
        assert found.mean == pytest.approx(statistics.fmean(present), rel=1e-8, abs=1e3)
        assert found.std == pytest.approx(statistics.pstdev(map(float, present)), rel=1e-6, abs=1e4)
        assert found.quantiles["p50"] == statistics.median_low(present)
        assert found.histogram is not None
        assert found.histogram.total == len(present)


def test_figures_of_numbers_moments_and_decimals_are_exact(tmp_path: Path) -> None:
    part = write(
        tmp_path / "a.parquet",
        miles=[1.5, -0.0, None, 4.0],
        fare=["12345678901234567890.12", "0.10", None, "-3.00"],
        day=["2019-01-31", "2018-12-31", "2019-02-28", None],
    )
    miles, fare = column("miles", part), column("fare", part)
    assert (miles.min, miles.max, miles.mean) == (0.0, 4.0, pytest.approx(5.5 / 3))
    assert miles.std == pytest.approx(statistics.pstdev([1.5, 0.0, 4.0]))
    assert [category.value for category in miles.categories] == ["0.0", "1.5", "4.0"]
    assert (fare.min, fare.max) == ("-3.00", "12345678901234567890.12")
    day, at = column("day", part), column("at", part)
    assert (day.min, day.quantiles["p50"], day.max) == ("2018-12-31", "2019-01-31", "2019-02-28")
    assert (at.min, at.mean, at.max) == ("2019-01-01T00:00:00", "2019-01-01T00:00:01", "2019-01-01T00:00:03")


def test_numbers_at_the_end_of_the_scale_are_described_without_failing(tmp_path: Path) -> None:
    part = write(tmp_path / "a.parquet", miles=[1.7e308, -1.7e308, 1.7e308, 5e-324, 0.0])
    found = column("miles", part)
    assert (found.min, found.max, found.std) == (-1.7e308, 1.7e308, None)
    assert found.histogram is not None
    assert found.histogram.total == 5
    assert Profile.model_validate_json(profile([part], RIDES).model_dump_json()) == profile([part], RIDES)


def test_categories_are_listed_by_their_number(tmp_path: Path) -> None:
    part = write(tmp_path / "a.parquet", kind=["b", "a", "b", None, "<i>"], paid=[True, False, True, True, None])
    kind, paid = column("kind", part), column("paid", part)
    assert [(category.value, category.rows) for category in kind.categories] == [("b", 2), ("<i>", 1), ("a", 1)]
    assert kind.all_listed
    assert kind.lengths is not None
    assert (kind.lengths.min, kind.lengths.max) == (1, 3)
    assert [(category.value, category.rows) for category in paid.categories] == [("true", 3), ("false", 1)]


def test_a_text_that_may_name_a_person_is_not_listed(tmp_path: Path) -> None:
    notes = ["late"] * 5 + ["Ann Lee"] * 4 + ["x" * 500] * 6
    part = write(tmp_path / "a.parquet", note=notes)
    found = column("note", part)
    assert [category.value for category in found.categories] == ["late"]
    assert (found.min, found.max, found.all_listed, found.distinct) == (None, None, False, 3)
    keyed = Dataset(name="rides", event_time="at", columns=COLUMNS | {"note": Column(type="string")}, key=("note",))
    assert column("note", part, dataset=keyed).categories == ()


def test_a_column_without_values_is_described_as_such(tmp_path: Path) -> None:
    part = write(tmp_path / "a.parquet", zone=[None, None])
    for name in set(COLUMNS) - {"at"}:
        found = column(name, part)
        assert (found.nulls, found.values, found.distinct, found.min) == (2, 0, 0, None), name
        assert (found.histogram, found.categories, found.lengths) == (None, (), None), name


def test_a_profile_is_the_same_whatever_the_threads_and_survives_json(tmp_path: Path) -> None:
    miles = [(index * 0.1) ** 3 % 17 for index in range(5000)]
    parts = [write(tmp_path / f"{n}.parquet", miles=miles, note=[f"n{i % 7}" for i in range(5000)]) for n in (1, 2)]
    first = profile(parts, RIDES, resources=Resources(threads=1))
    for threads in (2, 4, None):
        assert profile(parts, RIDES, resources=Resources(threads=threads)).model_dump_json() == first.model_dump_json()
    assert Profile.model_validate_json(first.model_dump_json()) == first
    assert first.rows == first.rows_read == 10_000
    assert first.size == sum(part.stat().st_size for part in parts)


def test_the_contracts_rules_stand_beside_each_column(tmp_path: Path) -> None:
    part = write(tmp_path / "a.parquet", zone=[1])
    assert column("zone", part).rules == ("may be empty", "from 1 to 9")
    assert column("at", part).rules == ("never empty",)


def test_beyond_the_limit_the_ends_are_exact_and_the_rest_is_of_evenly_spread_rows(tmp_path: Path) -> None:
    rows = 1_500_000
    parts = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    with duckdb.connect() as connection:
        for part, start in zip(parts, (0, rows // 2), strict=True):
            # The planted ends and the nulls lie in row groups that are not read.
            connection.execute(
                "COPY (SELECT TIMESTAMP '2019-01-01' + to_seconds(i) AS at, CASE WHEN i IN (200000, 200001) THEN NULL "
                f"WHEN i = 200002 THEN -1e9 WHEN i = {rows - 1} THEN 1e9 ELSE i END::DOUBLE AS miles "
                f"FROM range({start}, {start + rows // 2}) t(i)) TO {literal(str(part))} "
                "(FORMAT parquet, PARQUET_VERSION v2, ROW_GROUP_SIZE 122880)"
            )
    dataset = Dataset(name="rides", event_time="at", columns={name: COLUMNS[name] for name in ("at", "miles")})
    found = profile(parts, dataset)
    miles = found.columns[1]
    assert found.rows == rows
    assert rows // 2 < found.rows_read <= LIMIT
    assert (miles.nulls, miles.min, miles.max) == (2, -1e9, 1e9)
    assert (miles.values, miles.histogram and miles.histogram.total) == (found.rows_read, found.rows_read)
    assert miles.quantiles["p50"] == pytest.approx(rows / 2, rel=0.1)
    assert miles.mean == pytest.approx(rows / 2, rel=0.1)
