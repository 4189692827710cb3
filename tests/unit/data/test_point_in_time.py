"""The join against its own rule, row by row: a loop that anyone can read is the oracle."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.data.point_in_time import StoredLookup, join_features
from perennial.definitions import FeatureView

START = datetime(2019, 1, 1)
Event = tuple[datetime | None, int | None, str | None]
Value = tuple[int, str, datetime, float | None]
BY_ZONE = FeatureView(name="zones", kind="stored", dataset="d", entity=("zone",), feature_time="known_at", sql="-")
BY_BOTH = FeatureView(
    name="pairs", kind="stored", dataset="d", entity=("shop", "zone"), feature_time="since", ttl="2 hours", sql="-"
)

moments = st.one_of(
    st.integers(0, 10).map(lambda hours: START + timedelta(hours=hours)),
    st.integers(-2, 2).map(lambda step: START + timedelta(hours=5, microseconds=step)),
)
zones, shops = st.integers(1, 3), st.sampled_from(["a", "b", "é "])
doubles = st.one_of(st.none(), st.floats(width=64), st.sampled_from([-0.0, 0.1 + 0.2, 5e-324]))
events = st.lists(st.tuples(st.none() | moments, st.none() | zones, st.none() | shops), max_size=12)


def values(by: str) -> st.SearchStrategy[list[Value]]:
    """Return values of which no two are of one entity at one moment; what is no entity column is constant."""
    zone, shop = zones, shops if by == "both" else st.just("")
    return st.lists(st.tuples(zone, shop, moments, doubles), max_size=12, unique_by=lambda row: row[:3])


@dataclass(frozen=True)
class Tables:
    """Events and the values of two views, the latter spread over files at random."""

    events: list[Event]
    zones: list[Value]
    pairs: list[Value]
    files: int


@given(
    tables=st.builds(Tables, events, values("zone"), values("both"), st.integers(1, 3)),
    repeated=st.booleans(),
    threads=st.integers(1, 2),
)
@settings(max_examples=150, deadline=None)
def test_each_row_is_given_the_latest_value_known_by_its_event_time(
    tables: Tables, repeated: bool, threads: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = tables.events * 2 if repeated else tables.events
    found = joined(rows, tables, tmp_path_factory.mktemp("join"), threads)
    expected = []
    for number, (at, zone, shop) in enumerate(rows):
        of_zone = [value for value in tables.zones if value[0] == zone]
        of_both = [value for value in tables.pairs if value[:2] == (zone, shop)]
        expected.append((number, known(at, of_zone, None), known(at, of_both, timedelta(hours=2))))
    assert same(found, expected)


@given(tables=st.builds(Tables, events, values("zone"), values("both"), st.just(1)), after=st.integers(1, 10**9))
@settings(max_examples=50, deadline=None)
def test_values_planted_in_the_future_change_nothing(
    tables: Tables, after: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    last = max((at for at, _, _ in tables.events if at), default=START) + timedelta(microseconds=after)
    past = Tables(tables.events, upto(last, tables.zones), upto(last, tables.pairs), 1)
    planted = [(zone, shop, last, 666.0) for zone in (1, 2, 3) for shop in ("a", "b", "é ")]
    future = Tables(past.events, [*past.zones, *planted[::3]], [*past.pairs, *planted], 1)
    folder = tmp_path_factory.mktemp("join")
    assert same(joined(past.events, past, folder), joined(past.events, future, folder))


def test_all_columns_of_the_base_come_first_and_values_keep_their_types(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT 1 AS zone, TIMESTAMP '2019-01-01' AS known_at, 'x' AS text, 1.50 AS price, true AS open) "
            f"TO '{tmp_path / 'v'}' (FORMAT parquet)"
        )
        base = "SELECT DATE '2019-01-01' AS day, 1::TINYINT AS place, 'kept' AS text"
        lookup = StoredLookup(BY_ZONE, [tmp_path / "v"], ("open", "text", "price"), entity=("place",))
        described = connection.execute(f"DESCRIBE {join_features(connection, base, 'day', [lookup])}").fetchall()
        (row,) = connection.execute(join_features(connection, base, "day", [lookup])).fetchall()
    assert [(name, kind) for name, kind, *_ in described[3:]] == [
        ("zones__open", "BOOLEAN"),
        ("zones__text", "VARCHAR"),
        ("zones__price", "DECIMAL(3,2)"),
    ]
    assert [name for name, *_ in described[:3]] == ["day", "place", "text"]
    assert [str(value) for value in row[2:]] == ["kept", "True", "x", "1.50"]


def test_a_view_without_parts_gives_nulls() -> None:
    with duckdb.connect() as connection:
        base = "SELECT DATE '2019-01-01' AS began, 1 AS zone"
        query = join_features(connection, base, "began", [StoredLookup(BY_ZONE, [], ("c",))])
        assert connection.execute(query).fetchall()[0][2:] == (None,)


def test_values_outside_the_bounds_are_not_read(tmp_path: Path) -> None:
    hours = [START + timedelta(hours=hour) for hour in range(4)]
    with duckdb.connect() as connection:
        (part,) = written(connection, [(1, "", at, float(hour)) for hour, at in enumerate(hours)], tmp_path / "v", 1)
        base = f"SELECT 1 AS zone, unnest([TIMESTAMP '{hours[0]}', TIMESTAMP '{hours[3]}']) AS began"
        lookup = StoredLookup(BY_ZONE, [part], ("c",), since=hours[1], until=hours[2])
        rows = connection.execute(f"{join_features(connection, base, 'began', [lookup])} ORDER BY began").fetchall()
    assert [row[2] for row in rows] == [None, 2.0]


def known(at: datetime | None, of_entity: Sequence[Value], ttl: timedelta | None) -> float | None:
    """Apply the rule: the value of the latest feature time at or before ``at``, unless that is older than ttl."""
    past = [value for value in of_entity if at is not None and value[2] <= at]
    if not past or at is None:
        return None
    latest = max(past, key=lambda value: value[2])
    return latest[3] if ttl is None or at - latest[2] <= ttl else None


def joined(rows: Sequence[Event], tables: Tables, folder: Path, threads: int = 2) -> list[tuple[Any, ...]]:
    """Return each row's number and what the join found in both views."""
    with duckdb.connect(config={"threads": threads}) as connection:
        connection.execute("CREATE TABLE events (number BIGINT, began TIMESTAMP, zone BIGINT, shop VARCHAR)")
        for number, row in enumerate(rows):
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?)", [number, *row])
        lookups = [
            StoredLookup(BY_ZONE, written(connection, tables.zones, folder / "zones", tables.files), ("c",)),
            StoredLookup(BY_BOTH, written(connection, tables.pairs, folder / "pairs", tables.files), ("c",)),
        ]
        query = join_features(connection, "FROM events", "began", lookups)
        return connection.execute(f"SELECT number, zones__c, pairs__c FROM ({query}) ORDER BY number").fetchall()


def written(connection: duckdb.DuckDBPyConnection, rows: Sequence[Value], path: Path, files: int) -> list[Path]:
    """Write values as Parquet, dealt out to files, one of which may be empty."""
    paths = []
    for number in range(files):
        connection.execute(
            "CREATE OR REPLACE TABLE part (zone BIGINT, shop VARCHAR, known_at TIMESTAMP, since TIMESTAMP, c DOUBLE)"
        )
        for zone, shop, at, value in rows[number::files]:
            connection.execute("INSERT INTO part VALUES (?, ?, ?, ?, ?)", [zone, shop, at, at, value])
        paths.append(Path(f"{path}-{number}.parquet"))
        connection.execute(f"COPY part TO '{paths[-1]}' (FORMAT parquet)")
    return paths


def upto(moment: datetime, rows: Sequence[Value]) -> list[Value]:
    return [row for row in rows if row[2] < moment]


def same(one: list[tuple[Any, ...]], other: list[tuple[Any, ...]]) -> bool:
    return [[bits(value) for value in row] for row in one] == [[bits(value) for value in row] for row in other]


def bits(value: float | None) -> bytes | None:
    """Return a double's 64 bits: -0.0 is not 0.0, and a NaN equals itself."""
    return None if value is None else struct.pack(">d", value)
