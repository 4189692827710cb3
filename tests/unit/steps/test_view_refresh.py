"""Refreshing stored views bit by bit gives what computing them anew gives."""

from __future__ import annotations

import copy
import random
import tempfile
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from perennial.data.engine import Resources
from perennial.definitions import Column, Dataset, FeatureView
from perennial.definitions.files import Definitions
from perennial.fakes import fake_ports
from perennial.ports import Ports
from perennial.records import ViewManifest
from perennial.steps import features
from perennial.steps.views import view_build
from perennial.steps.views.view_build import BUCKET_ROWS
from perennial.steps.views.view_tables import ViewTables, parts_between
from tests.support.interruptions import each_death
from tests.support.snapshots import a_run, publish

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
    "SELECT r.zone, r.began AS known_at, any_value(r.miles) / (1 + sum(d.n)) AS x FROM (SELECT zone, began, "
    "max(miles) AS miles FROM rides GROUP BY zone, began) r LEFT JOIN daily d ON d.zone = r.zone AND "
    "d.known_at <= r.began GROUP BY r.zone, r.began",
    reads=("daily",),
    window="1 hour",
)
VIEWS = {each.name: each for each in (DAILY, RECENT, TOTAL, PRICED, ABOVE)}
DEFINITIONS = Definitions({"rides": RIDES, "prices": PRICES}, VIEWS, {})
FEW = 12
"""Rows in a bucket: so few that tables of some rows have several buckets."""

UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
"""Making an example smaller takes minutes, as each refresh runs a dozen queries."""

moments = st.integers(0, 100 * 12).map(lambda n: datetime(2019, 1, 10) + timedelta(hours=2 * n))
zones = st.one_of(st.none(), st.integers(0, 5))
rides = st.tuples(moments, zones, st.sampled_from(["a", "b"]), st.integers(0, 900).map(lambda n: n / 7))
prices = st.tuples(moments, st.integers(0, 5), st.integers(1, 99).map(float))
uploads = st.one_of(
    st.tuples(st.just(RIDES), st.sampled_from(["one", "two", "three"]), st.lists(rides, min_size=1, max_size=12)),
    st.tuples(st.just(PRICES), st.sampled_from(["p", "q"]), st.lists(prices, min_size=1, max_size=3)),
)


def refreshed(
    ports: Ports, dataset: str, run_id: str, bucket_rows: int = BUCKET_ROWS, rebuild: bool = False
) -> features.Refreshed:
    a_run(ports, run_id, dataset)
    request = features.Request(run_id=run_id, dataset=dataset, rebuild=rebuild)
    return features.run(request, ports, resources=Resources(threads=1), bucket_rows=bucket_rows)


def manifests(ports: Ports) -> dict[str, ViewManifest]:
    with tempfile.TemporaryDirectory() as folder:
        tables = ViewTables(ports, Path(folder), bucket_rows=FEW)
        return {name: tables.stored(each)[1] for name, each in VIEWS.items()}


def online(ports: Ports) -> dict[str, Any]:
    """Return the rows that a reader finds, with those before them, by key."""
    kept: Any = vars(ports.online)["_rows"]
    return {key: row for key, (_, _, row) in kept.items() if row is not None}


def rows(ports: Ports, name: str) -> list[tuple[Any, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        tables = ViewTables(ports, Path(folder), bucket_rows=FEW)
        files = [str(path) for path in tables.fetch(tables.stored(VIEWS[name])[1])]
        return duckdb.execute("FROM read_parquet(?) ORDER BY ALL", [files]).fetchall() if files else []


def month(number: int, zones: int = 4, miles: float = 1.0) -> list[tuple[Any, ...]]:
    """Return a ride of each zone on every third day of a month of 2019."""
    return [
        (datetime(2019, number, day, 8 + zone), zone, "a", miles + zone)
        for day in range(1, 28, 3)
        for zone in range(zones)
    ]


CORRECTED = [
    (RIDES, "one", month(1, zones=2)[:6]),
    (RIDES, "two", month(3, zones=2)[:6]),
    (PRICES, "p", [(datetime(2019, 1, 2), 0, 5.0)]),
    (RIDES, "one", month(1, zones=2)[1:5]),
    (PRICES, "p", [(datetime(2019, 1, 2), 0, 6.0)]),
    (RIDES, "two", month(3, zones=2)[:6]),
]
"""January is corrected when March is there: what other tables make of January in March is another."""


@example(changes=CORRECTED, shuffle=random.Random(7))
@settings(max_examples=4, deadline=None, phases=UNSHRUNK)
@given(changes=st.lists(uploads, min_size=1, max_size=6), shuffle=st.randoms())
def test_views_that_are_refreshed_upload_by_upload_are_those_that_are_computed_anew(
    changes: list[Any], shuffle: Any
) -> None:
    ports = fake_ports(DEFINITIONS)
    for number, (dataset, source, content) in enumerate(changes):
        publish(ports, dataset, source, content, number)
        refreshed(ports, dataset.name, f"run-{number}", FEW)
    fresh = fake_ports(DEFINITIONS)
    last = {(dataset.name, source): (dataset, source, content) for dataset, source, content in changes}
    others = list(last.values())
    shuffle.shuffle(others)
    for number, (dataset, source, content) in enumerate(others):
        publish(fresh, dataset, source, content, number)
    for dataset in {dataset.name for dataset, _, _ in others}:
        refreshed(fresh, dataset, f"anew-{dataset}", FEW, rebuild=True)
    found, expected = manifests(ports), manifests(fresh)
    for name in VIEWS:
        assert found[name].parts == expected[name].parts
        assert found[name].cells == expected[name].cells
        assert found[name].snapshots == expected[name].snapshots
    assert online(ports) == online(fresh)


def of(*views: FeatureView) -> Ports:
    return fake_ports(Definitions({"rides": RIDES, "prices": PRICES}, {each.name: each for each in views}, {}))


def test_only_months_that_an_upload_reaches_are_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = of(RECENT)
    periods: list[str] = []
    compute = view_build.write_part

    def counted(view: Any, tables: Any, cell: Any, *arguments: Any, **options: Any) -> Any:
        periods.append(cell.period.name)
        return compute(view, tables, cell, *arguments, **options)

    monkeypatch.setattr(view_build, "write_part", counted)
    for number in range(1, 6):
        publish(ports, RIDES, f"m{number}", month(number, zones=1), number)
        refreshed(ports, "rides", f"run-{number}")
    periods.clear()
    publish(ports, RIDES, "m6", month(6, zones=1), 6)
    made = refreshed(ports, "rides", "run-6")
    assert periods == ["2019-06", "2019-07.."]
    assert made.computed == {"recent": 2}
    periods.clear()
    publish(ports, RIDES, "m2", month(2, zones=1, miles=5), 7)  # a correction: its ten days reach into March
    refreshed(ports, "rides", "run-7")
    assert periods == ["2019-02", "2019-03"]
    periods.clear()
    assert refreshed(ports, "rides", "run-8").computed == {"recent": 0}
    assert periods == []


def test_only_buckets_of_the_entities_of_an_upload_are_computed_again() -> None:
    ports = of(TOTAL)
    publish(ports, RIDES, "all", [(datetime(2019, 1, 1), zone, "a", 1.0) for zone in range(40)])
    assert refreshed(ports, "rides", "run-1", FEW).computed == {"total": 4}  # 40 rows, 12 in a bucket
    publish(ports, RIDES, "one", [(datetime(2019, 1, 2), 7, "a", 1.0)], 1)
    assert refreshed(ports, "rides", "run-2", FEW).computed == {"total": 1}
    assert (7, datetime(2019, 1, 2), 2.0, 2) in rows(ports, "total")


def test_rows_that_an_upload_does_not_touch_are_not_written_online_again() -> None:
    ports = of(DAILY)
    publish(ports, RIDES, "m1", month(1))
    refreshed(ports, "rides", "run-1")
    before = dict(vars(ports.online)["_rows"])
    publish(ports, RIDES, "more", [(datetime(2019, 2, 1), 0, "a", 9.0)], 1)
    refreshed(ports, "rides", "run-2")
    after = dict(vars(ports.online)["_rows"])
    assert [key for key in after if after[key] != before.get(key)] == [key for key in after if key.endswith("#0#a")]


def one_zone(ports: Ports) -> list[tuple[datetime, dict[str, Any]]]:
    """Return times and values of the only entity online, the latest first."""
    [row] = online(ports).values()
    return [(each.feature_time, dict(each.values)) for each in (row, row.previous) if each is not None]


def test_the_row_before_the_latest_is_online_with_it_from_whatever_month_it_is() -> None:
    ports = of(DAILY)
    days = {(1, 5): 1.0, (1, 6): 2.0, (4, 20): 4.0}
    for number, ((month_, day), miles) in enumerate(days.items()):
        publish(ports, RIDES, f"{month_}-{day}", [(datetime(2019, month_, day), 0, "a", miles)], number)
        refreshed(ports, "rides", f"run-{number}")
    known = {day: datetime(2019, *day, tzinfo=UTC) + timedelta(days=1) for day in days}
    # 20 April is 104 days after 6 January: more than its ttl of 40 days, its window of one and a month.
    assert one_zone(ports) == [(known[4, 20], {"mean": 4.0, "n": 1})]
    publish(ports, RIDES, "late", [(datetime(2019, 3, 1), 0, "a", 3.0)], 3)
    refreshed(ports, "rides", "run-3")
    assert one_zone(ports)[1:] == [(datetime(2019, 3, 2, tzinfo=UTC), {"mean": 3.0, "n": 1})]


@pytest.mark.parametrize("again", [[], [(datetime(2019, 1, 6), 0, "a", 9.0)]])
def test_a_correction_of_the_row_before_the_latest_alone_is_written_online(again: list[tuple[Any, ...]]) -> None:
    """As when a person is forgotten of whom no latest value was made, but the one before it."""
    ports = of(DAILY)
    first, third = [(datetime(2019, 1, day), 0, "a", float(day)) for day in (5, 7)]
    publish(ports, RIDES, "one", [first], 0)
    publish(ports, RIDES, "two", [(datetime(2019, 1, 6), 0, "a", 6.0), (datetime(2019, 1, 6), 1, "b", 6.0)], 1)
    publish(ports, RIDES, "three", [third], 2)
    refreshed(ports, "rides", "run-1")
    publish(ports, RIDES, "two", again or [(datetime(2018, 1, 1), 0, "a", 0.0)], 3)
    refreshed(ports, "rides", "run-2")
    before = (datetime(2019, 1, 7, tzinfo=UTC), 9.0) if again else (datetime(2019, 1, 6, tzinfo=UTC), 5.0)
    assert [(at, values["mean"]) for at, values in one_zone(ports)] == [(datetime(2019, 1, 8, tzinfo=UTC), 7.0), before]
    for number, source in enumerate(("one", "two"), start=4):
        publish(ports, RIDES, source, [(datetime(2018, 1, number), 0, "a", 0.0)], number)
    refreshed(ports, "rides", "run-3")
    assert [at for at, _ in one_zone(ports)] == [datetime(2019, 1, 8, tzinfo=UTC)]


def test_an_entity_that_a_correction_takes_away_is_gone_online() -> None:
    ports = of(DAILY)
    publish(ports, RIDES, "m1", month(1))
    refreshed(ports, "rides", "run-1")
    publish(ports, RIDES, "m1", month(1, zones=3), 1)
    refreshed(ports, "rides", "run-2")
    assert sorted(key.rpartition("#")[0][-1] for key in online(ports)) == ["0", "1", "2"]


def test_rows_expire_a_day_after_their_ttl() -> None:
    ports = of(DAILY)
    given: list[Any] = []
    write = ports.online.write

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(ports.online, name)

        def write(self, view: str, version: str, rows: Any, revision: int) -> int:
            given.extend(rows)
            return write(view, version, given, revision)

    publish(ports, RIDES, "m1", month(1))
    refreshed(replace(ports, online=Watched()), "rides", "run-1")  # type: ignore[arg-type]
    assert len(given) == 4
    assert {row.expires_at - row.feature_time for row in given} == {timedelta(days=41)}


def test_a_step_that_is_killed_at_any_call_and_repeated_leaves_what_a_clean_one_leaves() -> None:
    before = of(DAILY)
    publish(before, RIDES, "m1", month(1, zones=2)[:4])
    refreshed(before, "rides", "run-1")
    publish(before, RIDES, "m1", month(1, zones=1)[:2], 1)
    a_run(before, "run-2", "rides")

    def prepare() -> Ports:
        ports = of(DAILY)
        for name in ("catalog", "artifacts", "online"):
            kept = {key: value for key, value in vars(getattr(before, name)).items() if key != "_lock"}
            vars(getattr(ports, name)).update(copy.deepcopy(kept))
        return ports

    def step(ports: Ports) -> Any:
        return refreshed(ports, "rides", "run-2")

    def kept(ports: Ports) -> Any:
        version = ports.catalog.view("daily", ports.definitions.view_version("daily"))
        return version, online(ports), set(ports.artifacts.keys("features/"))

    clean = prepare()
    step(clean)
    assert kept(clean)[0].pending == ()
    deaths = 0
    for ports, where in each_death(step, prepare):
        step(ports)
        assert kept(ports) == kept(clean), where
        deaths += 1
    assert deaths >= 8


def test_a_run_that_was_killed_before_it_wrote_online_is_made_good_by_the_next_upload_s() -> None:
    ports = of(DAILY)
    publish(ports, RIDES, "m1", month(1, zones=2))
    refreshed(ports, "rides", "run-1")

    class Dead:
        def __getattr__(self, name: str) -> Any:
            raise KeyboardInterrupt

    publish(ports, RIDES, "m2", [(datetime(2019, 1, 2), 5, "b", 1.0)], 1)
    with pytest.raises(KeyboardInterrupt):
        refreshed(replace(ports, online=Dead()), "rides", "run-2")  # type: ignore[arg-type]
    publish(ports, RIDES, "m3", [(datetime(2019, 3, 2), 0, "a", 1.0)], 2)
    refreshed(ports, "rides", "run-3")
    assert len([key for key in online(ports) if key.endswith("#5#b")]) == 1


def test_refreshes_that_race_end_with_the_latest_data() -> None:
    ports = of(DAILY, ABOVE)
    barrier = threading.Barrier(3)

    def upload(number: int) -> None:
        publish(ports, RIDES, f"m{number}", month(number, zones=2, miles=number), number)
        barrier.wait()
        refreshed(ports, "rides", f"run-{number}")

    threads = [threading.Thread(target=upload, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in (DAILY, ABOVE):
        version = ports.catalog.view(each.name, ports.definitions.view_version(each.name))
        assert (version.revisions, version.pending) == ({"rides": 3}, ())
    fresh = of(DAILY, ABOVE)
    for number in (1, 2, 3):
        publish(fresh, RIDES, f"m{number}", month(number, zones=2, miles=number), number)
    refreshed(fresh, "rides", "anew")
    assert online(ports) == online(fresh)


def test_a_slow_refresh_over_older_data_never_replaces_a_later_table() -> None:
    """It has computed its table and is about to publish it when the next upload overtakes it."""
    ports = of(DAILY)
    publish(ports, RIDES, "m1", month(1))

    class Overtaken:
        once = True

        def __getattr__(self, name: str) -> Any:
            return getattr(ports.catalog, name)

        def publish_view(self, view: Any, seen: str | None) -> bool:
            if self.once:
                self.once = False
                publish(ports, RIDES, "m2", month(2), 1)
                refreshed(ports, "rides", "run-2")
            return ports.catalog.publish_view(view, seen)

    made = refreshed(replace(ports, catalog=Overtaken()), "rides", "run-1")  # type: ignore[arg-type]
    version = ports.catalog.view("daily", ports.definitions.view_version("daily"))
    assert version.revisions == {"rides": 2}
    assert made.views == {"daily": version.rows} == {"daily": 72}


def test_parts_are_chosen_by_the_feature_times_in_them() -> None:
    ports = of(DAILY)
    for number in (1, 2, 3):
        publish(ports, RIDES, f"m{number}", month(number), number)
    refreshed(ports, "rides", "run-1")
    with tempfile.TemporaryDirectory() as folder:
        table = ViewTables(ports, Path(folder)).stored(DAILY)[1]
    chosen = parts_between(table, datetime(2019, 2, 10), datetime(2019, 3, 1))
    assert {part.period for part in chosen} == {"2019-02"}  # the first of March is known on the second
    assert {part.period for part in parts_between(table, None, datetime(2019, 2, 2))} == {"2019-01", "2019-02"}
