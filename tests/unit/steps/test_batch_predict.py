"""The step ``batch_predict``: the plan of a bulk prediction."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from perennial import keys
from perennial.errors import DataError, NotFoundError
from perennial.ports import Ports
from perennial.records import BulkPlan, Trigger
from perennial.steps import batch_predict
from perennial.steps.batch_predict import Asked
from tests.support.bulk import ask
from tests.support.interruptions import copied
from tests.support.whole_runs import ingested, small_world
from tests.support.world import survives_kills

ROWS = b"began,zone,miles\n2019-01-05 00:00:00,1,2.5\n"


@pytest.fixture(scope="module")
def world() -> Ports:
    """Return fakes in which version 1 of ``fare`` was trained and serves."""
    ports = small_world()
    ports.catalog.promote("fare", 1, None, ports.clock.now(), "ada", "for a test")
    return ports


def plan_of(ports: Ports, made: batch_predict.Planned) -> BulkPlan:
    return BulkPlan.model_validate_json(ports.artifacts.get(keys.bulk_plan(made.model, made.bulk_id)))


def uploaded(key: str, **changes: Any) -> batch_predict.Request:
    example: dict[str, Any] = {
        "run_id": "bulk-1",
        "upload": {"key": key, "version_id": None},
        "trigger": Trigger(kind="upload", source=key),
        "bytes_per_job": 10,
        "most_jobs": 4,
    }
    return batch_predict.Request(**{**example, **changes})


def test_the_plan_says_by_what_the_rows_are_predicted(world: Ports) -> None:
    ports = copied(world)
    made = ask(ports, "fare", {"a.csv": ROWS})
    plan = plan_of(ports, made)
    version = ports.catalog.version("fare", 1)
    assert (plan.version, plan.manifest_sha256) == (1, version.manifest_sha256)
    assert [(file.name, file.size) for file in plan.files] == [("a.csv", len(ROWS))]
    table = ports.catalog.view("past", ports.definitions.view_version("past"))
    assert [(one.view.name, one.manifest_key) for one in plan.tables] == [("past", table.manifest_key)]
    assert ports.catalog.run("bulk-1").kind == "batch_predict"


def test_the_same_question_is_the_same_plan_and_another_one_is_not(world: Ports) -> None:
    ports = copied(world)
    first = ask(ports, "fare", {"a.csv": ROWS})
    assert ask(ports, "fare", {"a.csv": ROWS}, "bulk-2").bulk_id == first.bulk_id
    assert ask(ports, "fare", {"b.csv": ROWS}, "bulk-3").bulk_id != first.bulk_id
    ingested(ports, "b.csv", day=10)  # the stored view has another table now
    assert ask(ports, "fare", {"a.csv": ROWS}, "bulk-4").bulk_id != first.bulk_id


def test_a_moment_is_part_of_the_plan_where_rows_may_not_say_theirs(world: Ports) -> None:
    ports = copied(world)
    assert plan_of(ports, ask(ports, "fare", {"a.csv": ROWS})).at == datetime(2019, 3, 1)


def test_a_run_goes_on_by_the_plan_of_another_although_the_tables_are_others(world: Ports) -> None:
    ports = copied(world)
    first = ask(ports, "fare", {"a.csv": ROWS})
    ingested(ports, "b.csv", day=10)
    again = ask(ports, "fare", {}, "bulk-2", bulk_id=first.bulk_id)
    assert (again.bulk_id, again.size) == (first.bulk_id, first.size)
    with pytest.raises(NotFoundError):
        ask(ports, "fare", {}, "bulk-3", bulk_id="0" * 32)


def test_a_plan_that_was_changed_is_refused(world: Ports) -> None:
    ports = copied(world)
    first = ask(ports, "fare", {"a.csv": ROWS})
    changed = plan_of(ports, first).model_copy(update={"version": 2})
    ports.artifacts.put(keys.bulk_plan("fare", first.bulk_id), changed.content())
    with pytest.raises(DataError, match="was changed after it was made"):
        ask(ports, "fare", {}, "bulk-2", bulk_id=first.bulk_id)


def test_an_upload_says_the_model_by_its_key_and_asks_the_champion(world: Ports) -> None:
    ports = copied(world)
    key = "predict/fare/june/a.csv"
    ports.raw.put(key, ROWS)
    made = batch_predict.run(uploaded(key), ports)
    assert (made.model, made.version, made.jobs) == ("fare", 1, 4)
    assert plan_of(ports, made).files[0].name == "june/a.csv"


@pytest.mark.parametrize("key", ["predict/a.csv", "predict//a.csv", "rides/fare/a.csv"])
def test_a_key_that_names_no_model_is_refused(world: Ports, key: str) -> None:
    with pytest.raises(DataError, match="does not say which model"):
        batch_predict.run(uploaded(key), copied(world))


@pytest.mark.parametrize(("jobs", "size"), [(1, 1), (1, 42), (2, 43), (4, 168), (4, 10_000)], ids=str)
def test_there_are_as_many_jobs_as_the_files_are_shares_up_to_the_most(world: Ports, jobs: int, size: int) -> None:
    ports = copied(world)
    ports.raw.put("predict/fare/a.csv", b"x" * size)
    assert batch_predict.run(uploaded("predict/fare/a.csv", bytes_per_job=42), ports).jobs == jobs


def test_a_model_without_a_champion_a_version_that_is_not_there_and_no_file_are_told(world: Ports) -> None:
    ports = copied(world)
    with pytest.raises(NotFoundError, match="has no champion"):
        ask(ports, "castles", {"a.csv": ROWS})
    with pytest.raises(NotFoundError):
        ask(ports, "fare", {"a.csv": ROWS}, "bulk-2", version=7)
    with pytest.raises(DataError, match="no file was named"):
        ask(ports, "fare", {}, "bulk-3")
    assert ports.catalog.step("bulk-3", "batch_predict").status == "failed"


def test_a_file_in_a_bucket_of_others_is_refused(world: Ports) -> None:
    ports = copied(world)
    asked = {"files": [{"name": "a.csv", "bucket": "theirs", "key": "a.csv"}]}
    ports.artifacts.put("requests/batch_predict/r.json", json.dumps(asked).encode())
    request = uploaded("", upload={}, model="fare", request_key="requests/batch_predict/r.json")
    with pytest.raises(DataError, match=r"s3://theirs: files are read from the deployment's own buckets only"):
        batch_predict.run(request, ports)


def test_an_alias_names_a_version(world: Ports) -> None:
    ports = copied(world)
    ports.catalog.set_alias("fare", "shadow", 1, ports.clock.now(), "ada")
    assert ask(ports, "fare", {"a.csv": ROWS}, version="shadow").version == 1
    assert Asked().version is None


def test_a_step_killed_at_any_call_and_repeated_leaves_what_one_leaves(world: Ports) -> None:
    def prepare() -> Ports:
        ports = copied(world)
        ports.raw.put("predict/fare/a.csv", ROWS)
        return ports

    assert survives_kills(prepare, lambda ports: batch_predict.run(uploaded("predict/fare/a.csv"), ports)) > 2
