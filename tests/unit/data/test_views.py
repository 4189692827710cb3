"""The parts of stored views, and trying request views."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from perennial.data.engine import Resources, sha256_of
from perennial.data.views.latest_rows import online_changes
from perennial.data.views.view_parts import ALL, Cell, PartFile, Period, bucket_count, periods, since, write_part
from perennial.data.views.view_sql import DatasetTable, ViewTable, try_request_view
from perennial.definitions import Column, Dataset, FeatureView
from perennial.errors import DefinitionError

RIDES = Dataset(
    name="rides",
    event_time="began",
    columns={
        "began": Column(type="timestamp"),
        "zone": Column(type="integer", nullable=True),
        "miles": Column(type="double"),
    },
)
REQUEST = FeatureView(name="now", kind="request", dataset="rides", sql="SELECT miles * 2 AS double_miles FROM rides")
EVERYTHING = Cell(Period(ALL))


def stored(sql: str, **changes: Any) -> FeatureView:
    fields = {"name": "past", "kind": "stored", "dataset": "rides", "entity": ("zone",), "feature_time": "known_at"}
    return FeatureView(**{**fields, "sql": sql, **changes})  # type: ignore[arg-type]


BY_ZONE = stored(
    "SELECT zone, max(began) + INTERVAL 1 HOUR AS known_at, avg(miles) AS mean_miles FROM rides GROUP BY zone"
)


def snapshot(path: Path, select: str) -> Path:
    duckdb.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
    return path


def rows(path: Path) -> list[tuple[Any, ...]]:
    return duckdb.execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall()


def rides(path: Path, count: int) -> Path:
    """Write rides whose order is that of no column."""
    return snapshot(
        path,
        f"SELECT TIMESTAMP '2019-01-01' + to_seconds((i * 7) % 86400) AS began, "
        f"CAST(hash(i) % 50 AS BIGINT) AS zone, (hash(i + 7) % 1000) / 7 AS miles FROM range({count}) r(i)",
    )


def three(path: Path) -> Path:
    return snapshot(
        path,
        "SELECT * FROM (VALUES (TIMESTAMP '2019-01-30', 1::BIGINT, 1.0::DOUBLE), (TIMESTAMP '2019-02-02', 1, 2.0), "
        "(TIMESTAMP '2019-03-05', 2, 4.0)) v(began, zone, miles)",
    )


def write(view: FeatureView, source: Path, cell: Cell = EVERYTHING, **options: Any) -> tuple[PartFile, Path]:
    path = source.with_name("part.parquet")
    return write_part(view, [DatasetTable(RIDES, [source])], cell, path, memory="1GB", **options), path


def test_a_part_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    source = rides(tmp_path / "s.parquet", 300_000)
    made = {sha256_of(write(BY_ZONE, source)[1]) for _ in range(3)}
    assert len(made) == 1


def test_a_part_holds_entity_and_feature_time_first_and_is_sorted_by_them(tmp_path: Path) -> None:
    file, path = write(BY_ZONE, three(tmp_path / "s.parquet"))
    assert file == PartFile(2, datetime(2019, 2, 2, 1), datetime(2019, 3, 5, 1))
    assert rows(path) == [(1, datetime(2019, 2, 2, 1), 1.5), (2, datetime(2019, 3, 5, 1), 4.0)]


def test_rows_without_an_entity_or_a_feature_time_belong_to_nobody(tmp_path: Path) -> None:
    source = snapshot(
        tmp_path / "s.parquet",
        "SELECT TIMESTAMP '2019-01-30' AS began, unnest([NULL, 1, 2]::BIGINT[]) AS zone, 1.0::DOUBLE AS miles",
    )
    view = stored("SELECT zone, CASE WHEN zone < 2 THEN began END AS known_at, miles FROM rides")
    assert rows(write(view, source)[1]) == [(1, datetime(2019, 1, 30), 1.0)]


def test_two_rows_for_one_entity_and_moment_are_refused(tmp_path: Path) -> None:
    view = stored("SELECT zone, date_trunc('year', began) AS known_at, miles FROM rides")
    with pytest.raises(DefinitionError, match=r'more than one row for \("zone", "known_at"\) = \(1, 2019-01-01'):
        write(view, three(tmp_path / "s.parquet"))


def test_sql_that_fails_on_the_rows_is_a_fault_of_the_definition(tmp_path: Path) -> None:
    view = stored("SELECT zone, began AS known_at, CAST('x' || zone AS INTEGER) AS n FROM rides")
    with pytest.raises(DefinitionError, match=r"features/past\.sql: Conversion Error"):
        write(view, three(tmp_path / "s.parquet"))


def test_a_month_is_made_of_the_rows_of_its_window_and_keeps_its_own_feature_times(tmp_path: Path) -> None:
    view = stored(
        "SELECT zone, began AS known_at, sum(miles) OVER (PARTITION BY zone ORDER BY began) AS s FROM rides",
        window="3 days",
    )
    february = Cell(Period("2019-02", datetime(2019, 2, 1), datetime(2019, 3, 1)))
    source = three(tmp_path / "s.parquet")
    assert rows(write(view, source, february)[1]) == [(1, datetime(2019, 2, 2), 3.0)]
    shorter = view.model_validate({**view.model_dump(), "window": "1 day"})  # the ride of 30 January is out of it
    assert rows(write(shorter, source, february)[1]) == [(1, datetime(2019, 2, 2), 2.0)]
    assert rows(write(shorter, source, february, whole_history=True)[1]) == [(1, datetime(2019, 2, 2), 3.0)]
    assert write(view, source, february, before=datetime(2019, 2, 2))[0].rows == 0


def test_buckets_share_the_entities_among_them(tmp_path: Path) -> None:
    source = rides(tmp_path / "s.parquet", 1000)
    whole = rows(write(BY_ZONE, source)[1])
    parts = [rows(write(BY_ZONE, source, Cell(Period(ALL), bucket, 4))[1]) for bucket in range(4)]
    assert sorted(row for part in parts for row in part) == whole
    assert all(parts)


def test_a_table_from_before_a_column_was_added_holds_nulls_there(tmp_path: Path) -> None:
    source = snapshot(tmp_path / "s.parquet", "SELECT TIMESTAMP '2019-01-30' AS began, 1::BIGINT AS zone")
    view = stored("SELECT zone, began AS known_at, miles FROM rides")
    assert rows(write(view, source)[1]) == [(1, datetime(2019, 1, 30), None)]


def test_a_dataset_without_rows_gives_a_table_without_rows_that_has_columns(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    file = write_part(BY_ZONE, [DatasetTable(RIDES, [])], EVERYTHING, path, memory="1GB")
    assert file == PartFile(0, None, None)
    table = ViewTable(BY_ZONE, [path])
    reader = stored(
        "SELECT r.zone, r.began AS known_at, any_value(p.mean_miles) AS m FROM rides r LEFT JOIN past p USING (zone) "
        "GROUP BY ALL",
        name="reader",
        reads=("past",),
    )
    source = three(tmp_path / "s.parquet")
    made = tmp_path / "reader.parquet"
    assert write_part(reader, [DatasetTable(RIDES, [source]), table], EVERYTHING, made, memory="1GB").rows == 3


def test_periods_are_the_months_with_rows_and_what_comes_later() -> None:
    view = stored(BY_ZONE.sql, window="40 days")
    found = periods(view, ["2019-01", "2018-11"])
    assert [period.name for period in found] == ["2018-11", "2018-12", "2019-01", "2019-02.."]
    assert [period.start for period in found][1:] == [one.end for one in found][:-1]
    assert found[-1].end is None
    assert since(view, found[-1]) == datetime(2018, 12, 23)  # 40 days before the first of February
    assert periods(BY_ZONE, ["2019-01"]) == periods(view, []) == [Period("all")]


def test_months_that_no_row_reaches_are_one_stretch() -> None:
    """A row that is dated years away must not make a part for each month in between."""
    view = stored(BY_ZONE.sql, window="40 days")
    found = periods(view, ["0009-11", "2018-11", "2019-02"])
    assert [period.name for period in found] == [
        *("0009-11", "0009-12", "0010-01", "0010-02..2018-10"),
        *("2018-11", "2018-12", "2019-01", "2019-02", "2019-03.."),
    ]
    assert [period.start for period in found][1:] == [one.end for one in found][:-1]


def test_a_sentinel_at_the_end_of_the_calendar_is_a_row_like_others(tmp_path: Path) -> None:
    view = stored("SELECT zone, began + INTERVAL 1 DAY AS known_at, miles FROM rides", window="2 days", ttl="9 days")
    found = periods(view, ["9999-11", "9999-12"])
    assert [period.name for period in found] == ["9999-11", "9999-12.."]
    source = snapshot(
        tmp_path / "s.parquet",
        "FROM (VALUES (TIMESTAMP '9999-12-30', 1::BIGINT, 1.0::DOUBLE), (TIMESTAMP '9999-12-31', 2, 2.0)) "
        "v(began, zone, miles)",
    )
    file, path = write(view, source, Cell(found[-1]))
    assert rows(path) == [(1, datetime(9999, 12, 31), 1.0)]  # the other would be known in the year 10000
    assert file.max_feature_time == datetime(9999, 12, 31)
    with online_changes(view, [path], [[path]], [()], tmp_path) as changes:
        assert [row.expires_at for row in changes.rows()] == [None]


def test_windows_that_reach_before_the_calendar_read_from_the_beginning() -> None:
    view = stored(BY_ZONE.sql, window="900000 days")
    assert since(view, periods(view, ["2019-01"])[0]) is None


def test_the_number_of_buckets_is_a_matter_of_the_rows_alone() -> None:
    assert [bucket_count(rows, 5) for rows in (0, 5, 6, 20, 21, 10**9)] == [1, 1, 4, 4, 16, 256]


def test_a_request_view_is_tried_on_the_first_rows(tmp_path: Path) -> None:
    source = rides(tmp_path / "s.parquet", 5000)
    try_request_view(REQUEST, RIDES, source, tmp_path, resources=Resources(threads=1))
    for sql, says in (
        (
            "SELECT miles FROM rides WHERE zone < 25",
            r"features/now\.sql: gives \d+ rows for 1000; a request view gives one",
        ),
        ("SELECT CAST('x' || zone AS INTEGER) AS z FROM rides", r"features/now\.sql: Conversion Error"),
    ):
        with pytest.raises(DefinitionError, match=says):
            try_request_view(REQUEST.model_copy(update={"sql": sql}), RIDES, source, tmp_path)
