"""A stored view that knows values before their time, or looks further back than it says, is told; honest ones pass."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from perennial.definitions import FeatureView
from perennial.definitions.files import Definitions, load_definitions
from perennial.errors import DefinitionError
from perennial.fakes import fake_ports
from perennial.steps.views.view_tables import ViewTables
from tests.support.snapshots import publish
from tests.unit.steps.test_view_refresh import ABOVE, DAILY, PRICED, PRICES, RECENT, RIDES, TOTAL, view

ROOT = Path(__file__).parents[3]
MONTHLY = "SELECT zone, {time} AS known_at, sum(miles) AS s FROM rides GROUP BY ALL"
LEAKY = {
    "a month that is known when it begins": MONTHLY.format(time="date_trunc('month', began)"),
    "a day that is known when it begins": MONTHLY.format(time="date_trunc('day', began)"),
    "the next row": "SELECT zone, began AS known_at, lead(miles) OVER (PARTITION BY zone ORDER BY began) AS s "
    "FROM rides",
    "a frame that reaches ahead": "SELECT zone, began AS known_at, avg(miles) OVER (PARTITION BY zone ORDER BY began "
    "RANGE BETWEEN INTERVAL 1 DAY PRECEDING AND INTERVAL 2 DAYS FOLLOWING) AS s FROM rides",
    "a mean over everything": "SELECT zone, began AS known_at, avg(miles) OVER (PARTITION BY zone) AS s FROM rides",
    "a join without a time": "SELECT r.zone, r.began AS known_at, max(p.price) AS s FROM rides r "
    "LEFT JOIN prices p ON p.zone = r.zone GROUP BY r.zone, r.began",
    "the next row, but only in the last days": "SELECT zone, began AS known_at, CASE WHEN began >= '2019-03-28' THEN "
    "lead(miles) OVER (PARTITION BY zone ORDER BY began) END AS s FROM rides",
    "a rank among all rows": "SELECT zone, began AS known_at, rank() OVER (ORDER BY miles DESC) AS s FROM rides",
}


def rides(days: int = 90) -> list[tuple[Any, ...]]:
    """Return two rides of each of three zones every day, at different hours, whose miles grow."""
    start = datetime(2019, 1, 1)
    return [
        (start + timedelta(days=day, hours=6 * half + zone), zone, "a", float(day * 10 + half))
        for day in range(days)
        for half in (1, 3)
        for zone in range(3)
    ]


def make(read: FeatureView, folder: Path, *others: FeatureView, days: int = 90) -> Any:
    views = {each.name: each for each in (read, *others)}
    ports = fake_ports(Definitions({"rides": RIDES, "prices": PRICES}, views, {}))
    publish(ports, RIDES, "rides", rides(days))
    publish(ports, PRICES, "prices", [(datetime(2019, 1, 1) + timedelta(days=d), d % 3, float(d)) for d in range(90)])
    return ViewTables(ports, folder).stored(read)


@pytest.mark.parametrize("window", [None, "31 days"])
@pytest.mark.parametrize("sql", LEAKY.values(), ids=LEAKY)
def test_a_view_that_knows_values_before_their_time_is_told(sql: str, window: str | None, tmp_path: Path) -> None:
    leaky = view("leaky", sql, window=window, reads=("prices",) if "prices" in sql else ())
    with pytest.raises(
        DefinitionError,
        match=r"^features/leaky\.sql: the value of zone = \d at 2019-0\d-\d\d \d\d:\d\d:\d\d changes when rows after "
        r"2019-0\d-\d\d \d\d:\d\d:\d\d are taken away: it says it is known before it is; make known_at later",
    ):
        make(leaky, tmp_path)


def test_the_sentence_names_the_first_value_that_is_known_too_early(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="zone = 0 at 2019-01-01 00:00:00 changes when rows after 2019-01-01 00"):
        make(view("leaky", MONTHLY.format(time="date_trunc('month', began)"), window="31 days"), tmp_path, days=31)


@pytest.mark.parametrize("honest", [DAILY, RECENT, TOTAL, PRICED, ABOVE], ids=lambda each: each.name)
def test_a_view_that_tells_the_truth_passes(honest: FeatureView, tmp_path: Path) -> None:
    version, _ = make(honest, tmp_path, DAILY)
    assert version.rows > 0


@pytest.mark.parametrize(("window", "enough"), [("10 days", True), ("9 days", False), ("1 day", False)])
def test_a_window_that_is_too_short_is_told(window: str, enough: bool, tmp_path: Path) -> None:
    """The view's sum goes over ten days up to the day before its feature time."""
    changed = RECENT.model_validate({**RECENT.model_dump(), "window": window})
    if enough:
        make(changed, tmp_path)
        return
    with pytest.raises(
        DefinitionError,
        match=rf"recent\.sql: the value of zone = 0 at .* is made of rows from before the window of {window}",
    ):
        make(changed, tmp_path)


def test_the_views_that_ship_tell_the_truth(definitions: Definitions, tmp_path: Path) -> None:
    trips = duckdb.execute(
        "SELECT NULL, t, t + to_minutes(5 + i % 40), NULL, 0.5 + i % 13, NULL, NULL, 1 + i % 7, 1, NULL, 9, 0, 0, 0, "
        "0, 0, 9, NULL FROM (SELECT i, TIMESTAMP '2018-01-01' + to_hours(i * 7) AS t FROM range(2200) r(i))"
    ).fetchall()
    ports = fake_ports(definitions)
    publish(ports, definitions.dataset("taxi_trips"), "all", trips)
    version, manifest = ViewTables(ports, tmp_path).stored(definitions.view("zone_stats"))
    assert version.rows > 100
    assert len(manifest.parts) == 23  # 2200 trips in 22 months, and what is known later


def test_the_example_s_views_tell_the_truth(tmp_path: Path) -> None:
    folder = ROOT / "docs" / "examples" / "flats"
    definitions = load_definitions(folder)
    flats = definitions.dataset("flats")
    columns = ", ".join(flats.columns)
    source = f"read_csv('{folder}/uploads/flats.csv')"
    rows = duckdb.execute(f"SELECT {columns} FROM {source} WHERE COLUMNS(*) IS NOT NULL").fetchall()
    ports = fake_ports(definitions)
    publish(ports, flats, "all", rows)
    version, _ = ViewTables(ports, tmp_path).stored(definitions.view("district_rents"))
    assert version.rows > 100


def test_a_window_is_tried_as_soon_as_an_upload_s_rows_reach_beyond_it(tmp_path: Path) -> None:
    """Forty days hold nothing older than the window; the sixty after them are fewer than twice as many rows."""
    short = RECENT.model_validate(
        {**RECENT.model_dump(), "window": "40 days", "sql": RECENT.sql.replace("9 DAYS", "89 DAYS")}
    )
    ports = fake_ports(Definitions({"rides": RIDES}, {"recent": short}, {}))
    publish(ports, RIDES, "one", [row for row in rides(200) if row[0] < datetime(2019, 2, 9)] * 3)
    ViewTables(ports, tmp_path).stored(short)
    publish(ports, RIDES, "two", [row for row in rides(100) if row[0] >= datetime(2019, 2, 9)], 1)
    with pytest.raises(DefinitionError, match="window of 40 days"):
        ViewTables(ports, tmp_path).stored(short)
