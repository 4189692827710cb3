"""Feature views offline."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from perennial.data.engine import Resources, sha256_of
from perennial.data.views import latest_rows, write_request_view, write_stored_view
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


def stored(sql: str) -> FeatureView:
    return FeatureView(
        name="past", kind="stored", dataset="rides", entity=("zone",), feature_time="known_at", ttl="2 days", sql=sql
    )


BY_ZONE = stored(
    "SELECT zone, max(began) + INTERVAL 1 HOUR AS known_at, avg(miles) AS mean_miles FROM rides GROUP BY zone"
)


def snapshot(path: Path, select: str) -> Path:
    duckdb.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
    return path


def rows(path: Path) -> list[tuple[Any, ...]]:
    return duckdb.execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall()


def rides(path: Path, count: int, seed: int = 7) -> Path:
    """Write rides whose order is that of no column."""
    return snapshot(
        path,
        f"SELECT TIMESTAMP '2019-01-01' + to_seconds((i * {seed}) % 86400) AS began, "
        f"CAST(hash(i) % 50 AS BIGINT) AS zone, (hash(i + {seed}) % 1000) / 7 AS miles FROM range({count}) r(i)",
    )


def test_a_request_view_keeps_the_rows_and_their_order(tmp_path: Path) -> None:
    source = rides(tmp_path / "s.parquet", 300_000)
    made = write_request_view(REQUEST, RIDES, source, tmp_path / "v.parquet", resources=Resources(threads=2))
    assert made == 300_000
    assert rows(tmp_path / "v.parquet") == [(2 * row[2],) for row in rows(source)]


def test_a_request_view_that_changes_the_number_of_rows_is_refused(tmp_path: Path) -> None:
    view = REQUEST.model_copy(update={"sql": "SELECT miles FROM rides WHERE zone < 25"})
    with pytest.raises(DefinitionError, match=r"features/now\.sql: gives \d+ rows for 1000; a request view gives one"):
        write_request_view(view, RIDES, rides(tmp_path / "s.parquet", 1000), tmp_path / "v.parquet")


def test_views_make_the_same_bytes_whatever_the_threads(tmp_path: Path) -> None:
    source = rides(tmp_path / "s.parquet", 300_000)
    digests: dict[str, set[str]] = {"request": set(), "stored": set()}
    for threads in (1, 2, 4, 2):
        resources = Resources(threads=threads)
        write_request_view(REQUEST, RIDES, source, tmp_path / "r.parquet", resources=resources)
        write_stored_view(BY_ZONE, RIDES, [source], tmp_path / "v.parquet", resources=resources)
        digests["request"].add(sha256_of(tmp_path / "r.parquet"))
        digests["stored"].add(sha256_of(tmp_path / "v.parquet"))
    assert [len(found) for found in digests.values()] == [1, 1]


def test_a_stored_view_reads_all_snapshots_and_orders_its_rows(tmp_path: Path) -> None:
    first = snapshot(tmp_path / "a.parquet", "SELECT TIMESTAMP '2019-01-02' AS began, 2::BIGINT AS zone, 4.0 AS miles")
    second = snapshot(
        tmp_path / "b.parquet",
        "SELECT TIMESTAMP '2019-01-03' AS began, 2::BIGINT AS zone, 6.0 AS miles "
        "UNION ALL SELECT TIMESTAMP '2019-01-03', 1, 1.0",
    )
    assert write_stored_view(BY_ZONE, RIDES, [first, second], tmp_path / "v.parquet") == 2
    assert rows(tmp_path / "v.parquet") == [
        (1, datetime(2019, 1, 3, 1), 1.0),
        (2, datetime(2019, 1, 3, 1), 5.0),
    ]


def test_rows_without_an_entity_belong_to_nobody(tmp_path: Path) -> None:
    source = snapshot(
        tmp_path / "s.parquet", "SELECT TIMESTAMP '2019-01-02' AS began, NULL::BIGINT AS zone, 4.0 AS miles"
    )
    assert write_stored_view(BY_ZONE, RIDES, [source], tmp_path / "v.parquet") == 0


def test_two_values_for_one_entity_and_moment_are_refused(tmp_path: Path) -> None:
    view = stored("SELECT zone, date_trunc('day', began) AS known_at, miles FROM rides")
    with pytest.raises(DefinitionError, match="gives more than one row for"):
        write_stored_view(view, RIDES, [rides(tmp_path / "s.parquet", 1000)], tmp_path / "v.parquet")


def test_sql_that_fails_on_the_rows_names_its_file(tmp_path: Path) -> None:
    view = REQUEST.model_copy(update={"sql": "SELECT CAST('x' || zone AS INTEGER) AS z FROM rides"})
    with pytest.raises(DefinitionError, match=r"^features/now\.sql: "):
        write_request_view(view, RIDES, rides(tmp_path / "s.parquet", 10), tmp_path / "v.parquet")


def test_a_view_can_read_no_file_beyond_its_snapshots(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    view = REQUEST.model_copy(update={"sql": f"SELECT (SELECT max(a) FROM read_csv('{secret}')) AS a FROM rides"})
    with pytest.raises(DefinitionError, match="Cannot access file"):
        write_request_view(view, RIDES, rides(tmp_path / "inside" / "s.parquet", 3), tmp_path / "inside" / "v.parquet")


def test_a_snapshot_from_before_the_contract_had_a_column_holds_nulls_there(tmp_path: Path) -> None:
    old = snapshot(tmp_path / "a.parquet", "SELECT TIMESTAMP '2019-01-02' AS began, 2::BIGINT AS zone, 'gone' AS old")
    write_request_view(REQUEST, RIDES, old, tmp_path / "v.parquet")
    assert rows(tmp_path / "v.parquet") == [(None,)]


def test_the_latest_row_of_each_entity_goes_online(tmp_path: Path) -> None:
    table = snapshot(
        tmp_path / "v.parquet",
        "SELECT * FROM (VALUES (1, TIMESTAMP '2019-01-01', 1.0, DECIMAL '2.50', true, 'x'), "
        "(1, TIMESTAMP '2019-01-03', 'nan'::DOUBLE, 3.5, false, 'y'), "
        "(1, TIMESTAMP '2019-01-02', 2.0, 3.5, false, 'y'), "
        "(2, TIMESTAMP '2019-01-01', 7.0, NULL, NULL, NULL)) v(zone, known_at, a, b, c, d)",
    )
    latest = list(latest_rows(BY_ZONE, table))
    assert [(row.entity, row.feature_time) for row in latest] == [
        ((1,), datetime(2019, 1, 3, tzinfo=UTC)),
        ((2,), datetime(2019, 1, 1, tzinfo=UTC)),
    ]
    assert dict(latest[0].values) == {"a": None, "b": 3.5, "c": False, "d": "y"}
    assert dict(latest[1].values) == {"a": 7.0, "b": None, "c": None, "d": None}
