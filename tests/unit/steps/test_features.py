"""Bringing feature views up to date."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from perennial.definition_files import Definitions
from perennial.definitions import FeatureView
from perennial.errors import NotFoundError
from perennial.fakes import FakeOnlineStore
from perennial.ports import OnlineRow, Ports
from perennial.steps import features, ingest
from tests.unit.steps.world import DEFINITIONS, PAST, new_ports, survives_kills, upload


def ingested(ports: Ports, run_id: str = "run-1", **options: int | str) -> Ports:
    key = upload(ports, **options)  # type: ignore[arg-type]
    ingest.run(ingest.Request(run_id=run_id, bucket="raw", key=key), ports)
    return ports


def run(ports: Ports, run_id: str = "run-1") -> features.Refreshed:
    return features.run(features.Request(run_id=run_id, dataset="rides"), ports)


def test_request_views_are_made_once_per_snapshot_and_stored_ones_over_all() -> None:
    ports = ingested(new_ports())
    assert run(ports).views == {"now": 20, "past": 11}
    first = ports.artifacts.keys("features/now/")
    ingested(ports, "run-2", name="b.csv", day=10, rows=7)
    assert run(ports, "run-2").views == {"now": 27, "past": 15}
    assert len(first) == 1
    assert len(ports.artifacts.keys("features/now/")) == 2
    version = ports.catalog.view("past", PAST.fingerprint)
    assert (version.revision, version.rows, len(version.snapshots)) == (2, 15, 2)
    assert version.key in ports.artifacts.keys("features/past/")


def test_the_online_store_holds_each_entity_s_latest_value() -> None:
    ports = ingested(new_ports())
    run(ports)
    found = ports.online.read("past", PAST.fingerprint, [(0,), (1,), (9,)], ["mean"])
    # Rides begin every 4 hours from 1 January on, so zones take turns; on the 4th zones 0 and 1 have one each.
    assert {entity: (row.feature_time, row.values["mean"]) for entity, row in found.items()} == {
        (0,): (datetime(2019, 1, 5, tzinfo=UTC), 18.5),
        (1,): (datetime(2019, 1, 5, tzinfo=UTC), 19.5),
    }


def test_the_run_succeeds_with_what_was_ingested_and_the_views() -> None:
    ports = ingested(new_ports(), bad=1)
    run(ports)
    record = ports.catalog.run("run-1")
    assert record.status == "succeeded"
    assert record.outputs["rows"] == 20
    assert record.outputs["rejected"] == 1
    assert record.outputs["views"] == {"now": 20, "past": 11}


def test_a_step_that_is_killed_at_any_call_and_repeated_leaves_what_a_clean_run_leaves() -> None:
    assert survives_kills(lambda: ingested(new_ports()), run) >= 18


def test_a_superseded_file_s_rows_leave_the_stored_views() -> None:
    ports = ingested(new_ports())
    run(ports)
    ingested(ports, "run-2", rows=3)
    assert run(ports, "run-2").views == {"now": 3, "past": 3}


def test_a_corrected_file_takes_its_latest_values_back_online() -> None:
    """Twenty rides reach into the fourth day; the three that are left of them were known on the second."""
    ports = ingested(new_ports())
    run(ports)
    ingested(ports, "run-2", rows=3)
    run(ports, "run-2")
    found = ports.online.read("past", PAST.fingerprint, [(0,)], ["mean"])
    assert (found[0,].feature_time, found[0,].values["mean"]) == (datetime(2019, 1, 2, tzinfo=UTC), 0.5)


def test_a_slow_step_over_older_snapshots_overwrites_nothing_of_a_later_one() -> None:
    """It has published its table and is about to write online when the next upload overtakes it."""
    ports = ingested(new_ports(), rows=20)
    clean = ingested(ingested(new_ports(), rows=20), "run-2", rows=3)
    run(clean, "run-2")

    class Overtaken(FakeOnlineStore):
        def write(self, view: str, version: str, rows: Iterable[OnlineRow], revision: int) -> int:
            run(ingested(ports, "run-2", rows=3), "run-2")
            return ports.online.write(view, version, rows, revision)

    run(replace(ports, online=Overtaken()))
    found, expected = (
        each.online.read("past", PAST.fingerprint, [(zone,) for zone in range(3)], ["mean"]) for each in (ports, clean)
    )
    assert found == expected
    assert ports.catalog.view("past", PAST.fingerprint).revision == 2


def test_a_dataset_without_snapshots_gets_no_tables() -> None:
    ports = new_ports()
    with pytest.raises(NotFoundError, match="there is no run"):
        run(ports)
    assert ports.artifacts.keys("") == []
    assert ports.catalog.step("run-1", "features").output["views"] == {"now": 0}


def test_another_definition_of_a_view_makes_tables_beside_the_old_ones() -> None:
    ports = ingested(new_ports())
    run(ports)
    changed = FeatureView(name="now", kind="request", dataset="rides", sql="SELECT miles AS double_miles FROM rides")
    views = {**DEFINITIONS.views, "now": changed}
    later = replace(ports, definitions=Definitions(DEFINITIONS.datasets, views, DEFINITIONS.models))
    run(later)
    assert len(later.artifacts.keys("features/now/")) == 2
