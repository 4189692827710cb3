"""Refreshing stored views bit by bit gives what computing them anew gives."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.data.engine import Resources
from perennial.definition_files import Definitions
from perennial.definitions import Column, Dataset, FeatureView
from perennial.fakes import fake_ports
from perennial.ports import Ports
from perennial.records import ViewManifest
from perennial.steps import features
from perennial.steps.view_tables import ViewTables
from tests.unit.steps.snapshots import a_run, publish

RIDES = Dataset(
    name="rides",
    event_time="began",
    columns={
        "began": Column(type="timestamp"),
        "zone": Column(type="integer", nullable=True),
        "kind": Column(type="string"),
        "miles": Column(type="double"),
    },
)
PRICES = Dataset(
    name="prices",
    event_time="since",
    columns={"since": Column(type="timestamp"), "zone": Column(type="integer"), "price": Column(type="double")},
)


def view(name: str, sql: str, **changes: Any) -> FeatureView:
    fields: dict[str, Any] = {
        "name": name,
        "kind": "stored",
        "dataset": "rides",
        "entity": ("zone",),
        "feature_time": "known_at",
        "sql": sql,
    }
    return FeatureView(**{**fields, **changes})


DAILY = view(
    "daily",
    "SELECT zone, kind, date_trunc('day', began) + INTERVAL 1 DAY AS known_at, avg(miles) AS mean, count(*) AS n "
    "FROM rides GROUP BY ALL",
    entity=("zone", "kind"),
    window="1 day",
    ttl="40 days",
)
RECENT = view(
    "recent",
    "SELECT DISTINCT zone, date_trunc('day', began) + INTERVAL 1 DAY AS known_at, sum(miles) OVER ("
    "PARTITION BY zone ORDER BY date_trunc('day', began) RANGE BETWEEN INTERVAL 9 DAYS PRECEDING AND CURRENT ROW) AS s "
    "FROM rides",
    window="10 days",
)
TOTAL = view(
    "total",
    "SELECT zone, began AS known_at, sum(miles) OVER (PARTITION BY zone ORDER BY began) AS s, count(*) OVER "
    "(PARTITION BY zone ORDER BY began) AS n FROM rides QUALIFY row_number() OVER (PARTITION BY zone, began) = 1",
)
PRICED = view(
    "priced",
    "SELECT r.zone, r.began AS known_at, max(p.price) AS price, max(r.miles) AS miles FROM rides r "
    "LEFT JOIN prices p ON p.zone = r.zone AND p.since <= r.began GROUP BY r.zone, r.began",
    reads=("prices",),
    window="1 hour",
)
ABOVE = view(
    "above",
    "SELECT r.zone, r.began AS known_at, any_value(r.miles) / (1 + max(d.n)) AS x FROM (SELECT zone, began, "
    "max(miles) AS miles FROM rides GROUP BY zone, began) r LEFT JOIN daily d ON d.zone = r.zone AND "
    "d.known_at <= r.began GROUP BY r.zone, r.began",
    reads=("daily",),
    window="1 hour",
)
VIEWS = {each.name: each for each in (DAILY, RECENT, TOTAL, PRICED, ABOVE)}
DEFINITIONS = Definitions({"rides": RIDES, "prices": PRICES}, VIEWS, {})
BUCKET_ROWS = 12
"""So few that most tables of the test have several buckets."""

moments = st.integers(0, 100 * 12).map(lambda n: datetime(2019, 1, 10) + timedelta(hours=2 * n))
zones = st.one_of(st.none(), st.integers(0, 5))
rides = st.tuples(moments, zones, st.sampled_from(["a", "b"]), st.integers(0, 900).map(lambda n: n / 7))
prices = st.tuples(moments, st.integers(0, 5), st.integers(1, 99).map(float))
uploads = st.one_of(
    st.tuples(st.just(RIDES), st.sampled_from(["one", "two", "three"]), st.lists(rides, min_size=1, max_size=12)),
    st.tuples(st.just(PRICES), st.sampled_from(["p", "q"]), st.lists(prices, min_size=1, max_size=3)),
)


def refreshed(ports: Ports, dataset: str, run_id: str, **options: Any) -> features.Refreshed:
    a_run(ports, run_id, dataset)
    request = features.Request(run_id=run_id, dataset=dataset, **options)
    return features.run(request, ports, resources=Resources(threads=1), bucket_rows=BUCKET_ROWS)


def manifests(ports: Ports) -> dict[str, ViewManifest]:
    with tempfile.TemporaryDirectory() as folder:
        tables = ViewTables(ports, Path(folder), bucket_rows=BUCKET_ROWS)
        return {name: tables.stored(each)[1] for name, each in VIEWS.items()}


def online(ports: Ports) -> dict[str, Any]:
    """Return the rows that a reader finds, by key."""
    rows: Any = vars(ports.online)["_rows"]
    found = {key: value[0] if isinstance(value, tuple) else value for key, value in rows.items()}
    return {key: (row.feature_time, dict(row.values), row.expires_at) for key, row in found.items() if row.values}


def rows(ports: Ports, name: str) -> list[tuple[Any, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        tables = ViewTables(ports, Path(folder), bucket_rows=BUCKET_ROWS)
        files = [str(path) for path in tables.fetch(tables.stored(VIEWS[name])[1])]
        return duckdb.execute("FROM read_parquet(?) ORDER BY ALL", [files]).fetchall() if files else []


@settings(max_examples=12, deadline=None)
@given(st.lists(uploads, min_size=1, max_size=6), st.randoms())
def test_views_that_are_refreshed_upload_by_upload_are_those_that_are_computed_anew(
    changes: list[Any], shuffle: Any
) -> None:
    ports = fake_ports(DEFINITIONS)
    for number, (dataset, source, content) in enumerate(changes):
        publish(ports, dataset, source, content, number)
        refreshed(ports, dataset.name, f"run-{number}")
    fresh = fake_ports(DEFINITIONS)
    last = {(dataset.name, source): (dataset, source, content) for dataset, source, content in changes}
    others = list(last.values())
    shuffle.shuffle(others)
    for number, (dataset, source, content) in enumerate(others):
        publish(fresh, dataset, source, content, number)
    for dataset in {dataset.name for dataset, _, _ in others}:
        refreshed(fresh, dataset, f"anew-{dataset}", rebuild=True)
    found, expected = manifests(ports), manifests(fresh)
    for name in VIEWS:
        assert found[name].parts == expected[name].parts
        assert found[name].cells == expected[name].cells
        assert found[name].snapshots == expected[name].snapshots
    assert online(ports) == online(fresh)
