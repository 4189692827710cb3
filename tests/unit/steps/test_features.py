"""The step that brings feature views up to date, on what the step of ingest has made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from perennial.definitions import FeatureView
from perennial.definitions.files import Definitions
from perennial.errors import DefinitionError, NotFoundError
from perennial.fakes import FakeOnlineStore
from perennial.ports import Lookup, OnlineRow, Ports
from perennial.steps import features, ingest
from tests.support.world import DEFINITIONS, NOW, PAST, new_ports, upload

VERSION = DEFINITIONS.view_version("past")


def ingested(ports: Ports, run_id: str = "run-1", **options: int | str) -> Ports:
    key = upload(ports, **options)  # type: ignore[arg-type]
    ingest.run(ingest.Request(run_id=run_id, bucket="raw", key=key), ports)
    return ports


def run(ports: Ports, run_id: str = "run-1") -> features.Refreshed:
    return features.run(features.Request(run_id=run_id, dataset="rides"), ports)


def online(ports: Ports, *zones: int) -> dict[int, tuple[datetime, object]]:
    (found,) = ports.online.read_many([Lookup("past", VERSION, [(zone,) for zone in zones], ["mean"])])
    return {entity[0]: (row.feature_time, row.values["mean"]) for entity, row in found.items()}


def test_stored_views_are_made_over_all_snapshots() -> None:
    ports = ingested(new_ports())
    assert run(ports).views == {"past": 11}
    ingested(ports, "run-2", name="b.csv", day=10, rows=7)
    assert run(ports, "run-2").views == {"past": 15}
    version = ports.catalog.view("past", VERSION)
    assert (version.revision, version.revisions, version.rows) == (2, {"rides": 2}, 15)
    assert len(version.snapshots) == 2
    assert version.manifest_key in ports.artifacts.keys("features/past/")


def test_the_online_store_holds_each_entity_s_latest_value() -> None:
    ports = ingested(new_ports())
    run(ports)
    # Rides begin every 4 hours from 1 January on, so zones take turns; on the 4th zones 0 and 1 have one each.
    assert online(ports, 0, 1, 9) == {
        0: (datetime(2019, 1, 5, tzinfo=UTC), 18.5),
        1: (datetime(2019, 1, 5, tzinfo=UTC), 19.5),
    }


def test_the_run_succeeds_with_what_was_ingested_and_the_views() -> None:
    ports = ingested(new_ports(), bad=1)
    run(ports)
    record = ports.catalog.run("run-1")
    assert record.status == "succeeded"
    assert record.outputs["rows"] == 20
    assert record.outputs["rejected"] == 1
    assert record.outputs["views"] == {"past": 11}


def test_a_corrected_file_takes_its_latest_values_back_online() -> None:
    """Twenty rides reach into the fourth day; the three that are left of them were known on the second."""
    ports = ingested(new_ports())
    run(ports)
    ingested(ports, "run-2", rows=3)
    assert run(ports, "run-2").views == {"past": 3}
    assert online(ports, 0) == {0: (datetime(2019, 1, 2, tzinfo=UTC), 0.5)}


def test_a_slow_step_over_older_snapshots_overwrites_nothing_of_a_later_one() -> None:
    """It has published its table and is about to write online when the next upload overtakes it."""
    ports = ingested(new_ports(), rows=20)
    clean = ingested(ingested(new_ports(), rows=20), "run-2", rows=3)
    run(clean, "run-2")

    class Overtaken(FakeOnlineStore):
        def write(self, view: str, version: str, rows: Iterable[OnlineRow], revision: int) -> int:
            late = list(rows)
            run(ingested(ports, "run-2", rows=3), "run-2")
            return ports.online.write(view, version, late, revision)

    run(replace(ports, online=Overtaken()))
    assert online(ports, 0, 1, 2) == online(clean, 0, 1, 2)
    assert ports.catalog.view("past", VERSION).revision == 2
    assert ports.catalog.view("past", VERSION).pending == ()


def test_a_dataset_without_snapshots_gets_no_tables() -> None:
    ports = new_ports()
    with pytest.raises(NotFoundError, match="there is no run"):
        run(ports)
    assert ports.artifacts.keys("") == []
    assert ports.catalog.step("run-1", "features").output["views"] == {}


def test_another_definition_of_a_view_makes_tables_beside_the_old_ones() -> None:
    ports = ingested(new_ports())
    run(ports)
    changed = FeatureView.model_validate({**PAST.model_dump(), "sql": PAST.sql.replace("avg", "max")})
    definitions = Definitions(DEFINITIONS.datasets, {"now": NOW, "past": changed}, DEFINITIONS.models)
    run(replace(ports, definitions=definitions))
    tables = {key.split("/")[2] for key in ports.artifacts.keys("features/past/")}
    assert tables == {VERSION, definitions.view_version("past")}
    assert ports.catalog.view("past", VERSION).rows == 11


def test_a_request_view_that_fails_on_the_rows_is_told_when_they_are_uploaded() -> None:
    broken = FeatureView.model_validate(
        {**NOW.model_dump(), "sql": "SELECT CAST('x' AS INTEGER) + zone AS z FROM rides"}
    )
    definitions = Definitions(DEFINITIONS.datasets, {"now": broken, "past": PAST}, {})
    ports = ingested(replace(new_ports(), definitions=definitions))
    with pytest.raises(DefinitionError, match=r"features/now\.sql: Conversion Error"):
        run(ports)
