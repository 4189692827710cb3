"""Training sets know the past only, and hold each row that counts once."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from perennial.data.engine import Resources, sha256_of
from perennial.data.training_set import (
    Period,
    TrainingParts,
    columns_judged,
    columns_needed,
    feature_columns,
    latest_event,
    period_of,
    write_training_set,
)
from perennial.definitions import Candidate, Column, Dataset, FeatureView, Model, Space, Split
from perennial.definitions.files import Definitions
from perennial.errors import DataError, DefinitionError

START = datetime(2019, 1, 1)
RIDES = Dataset(
    name="rides",
    event_time="began",
    columns={
        "began": Column(type="timestamp"),
        "zone": Column(type="integer", nullable=True),
        "miles": Column(type="double"),
        "paid": Column(type="double", nullable=True),
    },
)
NOW = FeatureView(
    name="now", kind="request", dataset="rides", sql="SELECT miles AS distance, zone > 5 AS far FROM rides"
)
PAST = FeatureView(
    name="past",
    kind="stored",
    dataset="rides",
    entity=("zone",),
    feature_time="known_at",
    ttl="2 days",
    sql="SELECT zone, began AS known_at, miles AS mean FROM rides",
)
DEFINITIONS = Definitions({"rides": RIDES}, {"now": NOW, "past": PAST}, {})


def model(**changes: Any) -> Model:
    fields: dict[str, Any] = {
        "name": "fare",
        "dataset": "rides",
        "target": "paid",
        "features": {"now": ("distance", "far"), "past": ("mean",)},
        "split": Split(holdout="1 day"),
        "candidates": (Candidate(name="ridge", algorithm="ridge"),),
    }
    return Model(**{**fields, **changes})


class World:
    """Rides and stored values, written as the steps write them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parts: list[Path] = []
        self.period: Period | None = None

    def ride(self, *rides: tuple[timedelta, int | None, float, float | None]) -> World:
        path = self.folder / f"s{len(self.parts)}.parquet"
        with duckdb.connect() as connection:
            connection.execute("CREATE TABLE t (began TIMESTAMP, zone BIGINT, miles DOUBLE, paid DOUBLE)")
            for after, zone, miles, paid in rides:
                connection.execute("INSERT INTO t VALUES (?, ?, ?, ?)", [START + after, zone, miles, paid])
            connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")
        return self.add(path)

    def add(self, path: Path) -> World:
        self.parts.append(path)
        return self

    def know(self, *values: tuple[timedelta, int, float]) -> World:
        with duckdb.connect() as connection:
            connection.execute("CREATE TABLE t (zone BIGINT, known_at TIMESTAMP, mean DOUBLE)")
            for after, zone, mean in values:
                connection.execute("INSERT INTO t VALUES (?, ?, ?)", [zone, START + after, mean])
            connection.execute(f"COPY t TO '{self.folder / 'past.parquet'}' (FORMAT parquet)")
        return self

    def make(self, definition: Model | None = None, **options: Any) -> TrainingParts:
        definition = definition or model()
        latest = latest_event(definition, RIDES, self.parts, self.folder)
        assert latest is not None
        self.period = period_of(definition, latest)
        train, holdout = self.folder / "train.parquet", self.folder / "holdout.parquet"
        stored = {"past": [self.folder / "past.parquet"]}
        return write_training_set(definition, DEFINITIONS, self.parts, stored, self.period, train, holdout, **options)

    def read(self, *parts: str) -> list[tuple[Any, ...]]:
        paths = [str(self.folder / f"{part}.parquet") for part in parts or ("train", "holdout")]
        return duckdb.execute("SELECT * FROM read_parquet(?)", [paths]).fetchall()


def days(count: float) -> timedelta:
    return timedelta(days=count)


LATE = (days(9), 1, 9.0, 9.0)


def test_a_value_that_became_known_a_microsecond_later_is_not_seen(tmp_path: Path) -> None:
    world = World(tmp_path).ride((days(5), 1, 1.0, 10.0), LATE)
    world.know((days(5) + timedelta(microseconds=1), 1, 99.0), (days(4), 1, 4.0)).make()
    assert world.read("train")[0][3] == 4.0


def test_a_value_that_became_known_at_the_very_moment_is_seen(tmp_path: Path) -> None:
    world = World(tmp_path).ride((days(5), 1, 1.0, 10.0), LATE).know((days(5), 1, 5.0), (days(4), 1, 4.0))
    world.make()
    assert world.read("train")[0][3] == 5.0


@pytest.mark.parametrize(("extra", "expected"), [(timedelta(0), 3.0), (timedelta(microseconds=1), None)])
def test_a_value_older_than_its_ttl_is_unknown(tmp_path: Path, extra: timedelta, expected: float | None) -> None:
    world = World(tmp_path).ride((days(5) + extra, 1, 1.0, 10.0), LATE).know((days(3), 1, 3.0))
    world.make()
    assert world.read("train")[0][3] == expected


def test_values_of_other_entities_are_not_seen_and_a_row_without_entity_sees_none(tmp_path: Path) -> None:
    world = World(tmp_path).ride((days(5), 1, 1.0, 10.0), (days(5), None, 2.0, 10.0), LATE).know((days(5), 2, 2.0))
    world.make()
    assert [row[3] for row in world.read("train")] == [None, None]


def test_each_row_meets_its_own_features_behind_a_filter(tmp_path: Path) -> None:
    source = tmp_path / "s.parquet"
    duckdb.execute(
        "COPY (SELECT TIMESTAMP '2019-01-01' + to_seconds(hash(i) % 864000) AS began, "
        "1::BIGINT AS zone, i::DOUBLE AS miles, "
        f"i + 0.5 AS paid FROM range(300000) r(i)) TO '{source}' (FORMAT parquet, ROW_GROUP_SIZE 20000)"
    )
    world = World(tmp_path).add(source).know()
    parts = world.make(model(filter="miles % 3 = 0"), resources=Resources(threads=2))
    assert parts.rows_train + parts.rows_holdout == 100_000
    wrong = "SELECT count(*) FROM read_parquet(?) WHERE target <> now__distance + 0.5 OR now__distance % 3 <> 0"
    assert duckdb.execute(wrong, [[str(tmp_path / "train.parquet"), str(tmp_path / "holdout.parquet")]]).fetchone() == (
        0,
    )


def test_rows_are_split_at_the_last_event_time_less_the_holdout(tmp_path: Path) -> None:
    world = World(tmp_path).ride((days(9), 1, 3.0, 3.0), (days(1), 1, 1.0, 1.0), (days(8), 1, 2.0, 2.0)).know()
    parts = world.make()
    assert world.period == Period(None, START + days(8), START + days(9))
    assert [row[1] for row in world.read("train")] == [1.0]
    assert [row[1] for row in world.read("holdout")] == [2.0, 3.0]
    assert (parts.rows_train, parts.rows_holdout) == (1, 2)


def test_columns_are_event_time_then_the_features_in_the_model_s_order_then_target(tmp_path: Path) -> None:
    world = World(tmp_path).ride((days(1), 7, 1.0, 1.0), LATE).know()
    definition = model(features={"past": ("mean",), "now": ("far", "distance")})
    world.make(definition)
    described = duckdb.execute(f"DESCRIBE SELECT * FROM '{tmp_path / 'train.parquet'}'").fetchall()
    assert [row[:2] for row in described] == [
        ("event_time", "TIMESTAMP"),
        ("past__mean", "DOUBLE"),
        ("now__far", "DOUBLE"),
        ("now__distance", "DOUBLE"),
        ("target", "DOUBLE"),
    ]
    assert feature_columns(definition) == ("past__mean", "now__far", "now__distance")
    assert world.read("train")[0][2] == 1.0


def test_rows_without_a_target_are_left_out_and_counted(tmp_path: Path) -> None:
    rides = [(days(1), 1, 1.0, 1.0), (days(1), 1, 2.0, None), (days(1), 1, 3.0, float("nan")), (days(1), 1, -1.0, None)]
    world = World(tmp_path).ride(*rides, (days(20), 1, 5.0, None), LATE).know()
    parts = world.make(model(filter="miles > 0"))
    assert (parts.rows_train, parts.rows_holdout, parts.rows_without_target) == (1, 1, 3)


def test_rows_of_all_parts_are_joined(tmp_path: Path) -> None:
    world = World(tmp_path).ride((days(2), 1, 2.0, 20.0), LATE).ride((days(1), 1, 1.0, 10.0)).know()
    world.make()
    assert [(row[1], row[4]) for row in world.read("train")] == [(1.0, 10.0), (2.0, 20.0)]


def test_the_same_rows_make_the_same_bytes_whatever_the_threads(tmp_path: Path) -> None:
    source = tmp_path / "s.parquet"
    duckdb.execute(
        "COPY (SELECT TIMESTAMP '2019-01-01' + to_seconds(hash(i) % 864000) AS began, "
        "CAST(hash(i + 1) % 9 AS BIGINT) AS zone, "
        f"(hash(i + 2) % 99) / 7 AS miles, (hash(i + 3) % 99) / 7 AS paid "
        f"FROM range(200000) r(i)) TO '{source}' (FORMAT parquet)"
    )
    world = World(tmp_path).add(source).know(*[(days(day), zone, day / 3) for day in range(10) for zone in range(9)])
    digests = set()
    for threads in (1, 2, 4):
        world.make(resources=Resources(threads=threads))
        digests.add((sha256_of(tmp_path / "train.parquet"), sha256_of(tmp_path / "holdout.parquet")))
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"split": Split(holdout="90 days")}, "no rows before the last 90 days"),
        ({"split": Split(holdout="36 hours"), "filter": "miles = 9"}, r"no rows before the last 1\.5 days"),
    ],
)
def test_a_training_set_without_rows_is_refused_in_one_sentence(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    world = World(tmp_path).ride((days(1), 1, 1.0, 1.0), LATE).know()
    with pytest.raises(DataError, match=says):
        world.make(model(**changes))


@pytest.mark.parametrize("changes", [{"filter": "miles > 1000"}, {"target": "NULL::DOUBLE"}])
def test_without_rows_that_count_there_is_no_latest_one(tmp_path: Path, changes: dict[str, Any]) -> None:
    world = World(tmp_path).ride((days(1), 1, 1.0, 1.0), LATE)
    assert latest_event(model(**changes), RIDES, world.parts, tmp_path) is None
    assert latest_event(model(), RIDES, [], tmp_path) is None


def test_the_period_reaches_back_as_far_as_the_longest_history() -> None:
    short, long = (Candidate(name=f"c{length}", algorithm="ridge", history=f"{length} days") for length in (3, 5))
    endless = Candidate(name="all", algorithm="ridge")
    holdout = model().split.holdout
    plain = {"split": Split(holdout=holdout, backtests=0)}
    assert period_of(model(candidates=(short, long), **plain), START).since == START - days(6)
    assert period_of(model(candidates=(short, endless), **plain), START).since is None
    # Each stretch before the held-out one is predicted from as long a history.
    tested = {"split": Split(holdout=holdout, backtests=3)}
    assert period_of(model(candidates=(short, long), **tested), START).since == START - days(6) - 3 * holdout
    searched = long.model_copy(update={"space": {"alpha": Space(low=1, high=2)}})
    assert period_of(model(candidates=(short, searched), **plain), START).since == START - days(6) - 2 * holdout


def test_rows_before_the_longest_history_are_left_out(tmp_path: Path) -> None:
    rides = [(days(after), 1, after, None if after == 2 else 1.0) for after in (1.0, 2.0, 2.99, 3.0, 4.0, 7.0)]
    world = World(tmp_path).ride(*rides, LATE).know((days(1), 1, 1.0), (days(2), 1, 2.0))
    candidates = (Candidate(name="short", algorithm="ridge", history="5 days"),)
    parts = world.make(model(candidates=candidates, split=Split(holdout=model().split.holdout, backtests=0)))
    assert [row[1] for row in world.read("train")] == [3.0, 4.0, 7.0]
    assert [row[3] for row in world.read("train")] == [2.0, 2.0, None]  # known before the period, and within its ttl
    assert parts.rows_without_target == 0


def test_only_columns_that_are_named_are_needed() -> None:
    plain = model(filter="rides.MILES > 0", features={"past": ("mean",)})
    assert columns_judged(plain, RIDES) == {"began", "miles", "paid"}
    assert columns_needed(model(target="1", filter="true"), DEFINITIONS) == {"began", "zone", "miles"}
    assert columns_needed(plain, DEFINITIONS) == {"began", "miles", "paid", "zone"}


def test_a_target_that_fails_on_the_rows_is_a_fault_of_the_definition(tmp_path: Path) -> None:
    world = World(tmp_path).ride((days(1), 1, 1.0, 1.0), LATE).know()
    with pytest.raises(DefinitionError, match=r"models/fare\.toml: filter or target"):
        world.make(model(target="CAST('x' || zone AS INTEGER)"))


def test_a_request_view_that_fails_on_the_rows_is_named(tmp_path: Path) -> None:
    world = World(tmp_path).ride((days(1), 1, 1.0, 1.0), LATE).know()
    broken = NOW.model_copy(update={"sql": "SELECT CAST('x' || zone AS INTEGER) AS distance FROM rides"})
    definitions = Definitions({"rides": RIDES}, {"now": broken}, {})
    period = Period(None, START + days(8), START + days(9))
    with pytest.raises(DefinitionError, match=r"features/now\.sql: Conversion Error"):
        write_training_set(
            model(features={"now": ("distance",)}), definitions, world.parts, {}, period, *[tmp_path / "x"] * 2
        )
