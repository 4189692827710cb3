"""`perennial features`: what is known of a key, online now and offline at a moment."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from infra.features import get_values, list_views, read_key, read_moment
from perennial.definitions import Dataset, FeatureView
from perennial.definitions.files import Definitions
from perennial.errors import DataError, NotFoundError
from perennial.fakes import fake_ports
from perennial.ports import Ports
from tests.support.feature_store import a_feature_store

NOON = datetime(2019, 3, 2, 12, tzinfo=UTC)
BY_DAY = FeatureView(
    name="by_day", kind="stored", dataset="sales", entity=("shop", "day"), feature_time="t", sql="SELECT 1"
)
SALES = Dataset.model_validate(
    {
        "name": "sales",
        "event_time": "t",
        "columns": {"t": {"type": "timestamp"}, "shop": {"type": "string"}, "day": {"type": "date"}},
    }
)


@pytest.fixture
def ports(tmp_path: Path) -> Ports:
    return a_feature_store(tmp_path)


def drawn(table: Any) -> str:
    console = Console(width=140, file=StringIO(), record=True)
    console.print(table)
    return console.export_text()


def test_the_views_are_listed_with_the_rows_of_their_tables(ports: Ports) -> None:
    content, table = list_views(ports)
    assert [(entry["view"], entry["kind"], entry["rows"]) for entry in content] == [
        ("trip_context", "request", None),
        ("zone_stats", "stored", 3),
    ]
    assert "zone_stats" in drawn(table)


def test_online_values_are_the_latest_with_their_age(ports: Ports) -> None:
    ports.clock.set("2019-03-04T06:00:00Z")  # type: ignore[attr-defined]
    content, table = get_values(ports, "zone_stats", ["1", "zone=2"], None, None)
    assert content[0] == {
        "entity": {"zone": 1},
        "feature_time": datetime(2019, 3, 2, tzinfo=UTC),
        "age": "2 days, 6:00:00",
        "values": {"mean": 25.0, "most": 30.0},
    }
    assert content[1]["values"] == {"mean": 10.0, "most": 10.0}
    assert "2 days, 6:00:00" in drawn(table)


def test_an_online_value_that_is_still_to_come_is_not_told_but_the_one_before_it(ports: Ports) -> None:
    ports.clock.set("2019-03-01T12:00:00Z")  # type: ignore[attr-defined]
    content, _ = get_values(ports, "zone_stats", ["1", "2"], ["mean"], None)
    assert [(entry["age"], entry["values"]) for entry in content] == [("12:00:00", {"mean": 20.0}), (None, {})]


def test_offline_values_are_those_that_were_known_then(ports: Ports) -> None:
    content, _ = get_values(ports, "zone_stats", ["1", "2"], ["mean"], NOON.replace(day=1))
    assert content[0] == {
        "entity": {"zone": 1},
        "feature_time": datetime(2019, 3, 1, tzinfo=UTC),
        "age": "12:00:00",
        "values": {"mean": 20.0},
    }
    assert content[1] == {"entity": {"zone": 2}, "feature_time": None, "age": None, "values": {}}


@pytest.mark.parametrize(
    ("view", "keys", "columns", "at", "error", "sentence"),
    [
        ("zones", ["1"], None, None, NotFoundError, "no feature view 'zones'; there is trip_context, zone_stats"),
        ("zone_stats", ["1"], ["median"], None, NotFoundError, "no column 'median'; it has mean, most"),
        ("zone_stats", ["7", "8"], None, None, NotFoundError, "zone_stats knows nothing of 7, 8 online now"),
        ("zone_stats", ["1"], None, datetime(2018, 1, 1, tzinfo=UTC), NotFoundError, "nothing of 1 at 2018-01-01"),
        ("zone_stats", ["one"], None, None, DataError, "key 'one' is not of the types of zone in trips"),
        ("trip_context", ["1"], None, None, NotFoundError, "computed from each request and kept nowhere"),
    ],
)
def test_what_there_is_not_is_told(
    ports: Ports, view: str, keys: list[str], columns: Any, at: Any, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        get_values(ports, view, keys, columns, at)


def test_a_key_of_several_columns_names_them() -> None:
    ports = fake_ports(Definitions({"sales": SALES}, {"by_day": BY_DAY}, {}))
    entity = ("a,b=c", datetime(2019, 3, 1).date())
    assert read_key(ports, BY_DAY, "day=2019-03-01,shop=a,b=c") == entity
    assert read_key(ports, BY_DAY, "shop=a,b=c,day=2019-03-01") == entity
    with pytest.raises(NotFoundError, match="write a key as shop=…,day=…"):
        read_key(ports, BY_DAY, "a")
    with pytest.raises(NotFoundError, match="kept by shop and day, not by shop"):
        read_key(ports, BY_DAY, "shop=a")
    with pytest.raises(NotFoundError, match="names a column twice"):
        read_key(ports, BY_DAY, "shop=a,shop=b")


def test_a_moment_without_an_offset_is_in_utc() -> None:
    assert read_moment("2019-03-02T12:00") == read_moment("2019-03-02T14:00+02:00") == NOON
    with pytest.raises(DataError, match="is not a moment in ISO 8601"):
        read_moment("yesterday")
