"""docs/data.md: what it shows of two datasets and their views is a folder of files, which does what the page says."""

from __future__ import annotations

import csv
import json
import re
import tempfile
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from perennial.data.check import check_definitions
from perennial.definitions import Dataset
from perennial.definitions.files import load_definitions
from perennial.fakes import FixedClock, fake_ports
from perennial.ports import Ports
from perennial.steps import features, ingest
from perennial.steps.views.view_tables import ViewTables

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "data.md"
EXAMPLE = ROOT / "docs" / "examples" / "rides"
BERLIN = ZoneInfo("Europe/Berlin")
Day = tuple[str, datetime]
"""A district, and the moment in UTC (without a zone) from which on its day is known."""


@pytest.fixture(scope="module")
def ports() -> Ports:
    ports = fake_ports(load_definitions(EXAMPLE), clock=FixedClock("2018-07-01T00:00:00Z"))
    for number, name in enumerate(["weather.jsonl", "rides_2018-05.csv", "rides_2018-06.csv"]):
        uploaded(ports, name, f"run-{number}")
    return ports


def uploaded(ports: Ports, name: str, run_id: str) -> ingest.Ingested:
    """Ingest a file of the example, and refresh what depends on it, as the state machine does."""
    key = f"{'weather' if name.startswith('weather') else 'rides'}/{name}"
    ports.raw.put(key, (EXAMPLE / "uploads" / name).read_bytes())
    done = ingest.run(ingest.Request(run_id=run_id, bucket="raw", key=key), ports)
    features.run(features.Request(run_id=run_id, dataset=done.dataset), ports)
    return done


def table(ports: Ports, view: str) -> dict[Day, Mapping[str, Any]]:
    """Return a stored view's table by district and moment."""
    with tempfile.TemporaryDirectory() as folder:
        tables = ViewTables(ports, Path(folder))
        definition = ports.definitions.view(view)
        files = [str(path) for path in tables.fetch(tables.stored(definition)[1])]
        found = duckdb.execute("FROM read_parquet(?)", [files])
        names = [column[0] for column in found.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return {(row["district"], row["known_at"]): row for row in rows}


def counts(made: Mapping[Day, Mapping[str, Any]]) -> dict[Day, int]:
    return {day: row["rides_begun"] for day, row in made.items()}


def by_hand(correction: bool = False) -> dict[Day, tuple[int, float | None]]:
    """Return rides and mean rain of each district's days, in plain Python: local times, UTC days, weather as known."""
    rides: dict[str, dict[str, str]] = {}
    for name in ("rides_2018-05.csv", "rides_2018-06.csv", *(("rides_2018-06_correction.csv",) if correction else ())):
        rides |= {row["ride"]: row for row in csv.DictReader((EXAMPLE / "uploads" / name).read_text().splitlines())}
    lines = (EXAMPLE / "uploads" / "weather.jsonl").read_text().splitlines()
    measured: dict[str, list[tuple[datetime, float | None]]] = {}
    for one in map(json.loads, lines):
        at = datetime.fromisoformat(one["measured_at"]).replace(tzinfo=None)
        measured.setdefault(one["district"], []).append((at, one["rain"]))
    rains: dict[Day, list[float | None]] = {}
    for ride in rides.values():
        local = datetime.fromisoformat(ride["began"]).replace(tzinfo=BERLIN)
        began = local.astimezone(UTC).replace(tzinfo=None)
        known = [rain for at, rain in measured[ride["district"]] if at <= began]
        day = (ride["district"], began.replace(hour=0, minute=0) + timedelta(days=1))
        rains.setdefault(day, []).append(known[-1] if known else None)
    found: dict[Day, tuple[int, float | None]] = {}
    for day, each in rains.items():
        there = [rain for rain in each if rain is not None]
        found[day] = len(each), sum(there) / len(there) if there else None
    return found


def test_files_that_the_page_shows_are_those_of_the_example() -> None:
    shown = re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", PAGE.read_text(), re.DOTALL)

    assert {Path(name).name for name, _ in shown} >= {"rides.toml", "district_days.sql", "district_weeks.sql"}
    for name, content in shown:
        assert content == (PAGE.parent / name).read_text()


def test_a_fragment_of_toml_fits_into_the_contract_that_it_belongs_to() -> None:
    fragments = re.findall(r"<!-- part of: (\S+) -->\n```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)

    assert fragments
    assert len(re.findall("```toml", PAGE.read_text())) == 1 + len(fragments)
    for name, text in fragments:
        whole, part = (tomllib.loads(one) for one in ((PAGE.parent / name).read_text(), text))
        columns = {**whole.pop("columns"), **part.pop("columns", {})}
        Dataset.model_validate({"name": "fragment", **whole, **part, "columns": columns})


def test_the_definitions_of_the_example_are_well() -> None:
    check_definitions(load_definitions(EXAMPLE))


def test_a_view_over_two_datasets_has_each_days_rides_and_the_rain_that_was_known(ports: Ports) -> None:
    made, expected = table(ports, "district_days"), by_hand()

    assert made.keys() == expected.keys()
    assert counts(made) == {day: count for day, (count, _) in expected.items()}
    for day, (_, rain) in expected.items():
        assert made[day]["mean_rain"] == (None if rain is None else pytest.approx(rain, rel=1e-12))


def test_a_view_of_a_view_sums_the_week_before(ports: Ports) -> None:
    made, days = table(ports, "district_weeks"), by_hand()

    for (district, known_at), row in made.items():
        week = {known_at - timedelta(days=age) for age in range(7)}
        assert row["rides_begun"] == sum(days[district, at][0] for at in week if (district, at) in days)
    assert made.keys() == days.keys()


def test_a_later_file_with_a_row_of_the_same_key_corrects_that_row_alone(ports: Ports) -> None:
    before = {upload.snapshot.rows for upload in ports.catalog.uploads("rides")[0]}
    uploaded(ports, "rides_2018-06_correction.csv", "run-correction")
    after = {upload.snapshot.rows for upload in ports.catalog.uploads("rides")[0]}
    made, expected = table(ports, "district_days"), by_hand(correction=True)

    assert before == {319, 281}
    assert after == {319, 280, 1}
    assert counts(made) == {day: count for day, (count, _) in expected.items()}
    assert expected != by_hand()
