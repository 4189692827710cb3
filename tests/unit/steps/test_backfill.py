"""The steps ``backfill`` and ``gather``, and what a file of a backfill writes down."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest

from perennial.definitions.files import Definitions
from perennial.errors import DataError, NotFoundError
from perennial.ports import Ports
from perennial.records import Run, StepRecord
from perennial.steps import backfill, fail, gather
from perennial.steps.sizes import bytes_behind_views
from tests.support.records import AT, a_run, a_snapshot
from tests.support.training_runs import PERSON
from tests.support.world import PAST, RIDES, new_ports


@pytest.fixture
def ports() -> Ports:
    """Return fakes with a backfill under way."""
    ports = new_ports()
    backfill.run(backfill.Request(run_id="b", dataset="rides", trigger=PERSON), ports)
    return ports


def ingest_part(ports: Ports, key: str, rows: int = 10, published: bool = True, error: str | None = None) -> Run:
    """Let one file be ingested, or refused."""
    run_id = backfill.part_run("b", key)
    ports.catalog.start_run(a_run(run_id, subject="rides"))
    with suppress(DataError), backfill.recorded_part(ports, "b", run_id, key) as output:
        if error:
            raise DataError(error)
        output.update({"rows": rows, "rejected": 1, "published": published})
    return ports.catalog.run(run_id)


def gathered(ports: Ports) -> gather.Gathered:
    return gather.run(gather.Request(run_id="b", dataset="rides"), ports)


def test_the_run_says_who_asked_for_which_dataset(ports: Ports) -> None:
    run = ports.catalog.run("b")
    assert (run.kind, run.subject, run.status, run.trigger) == ("backfill", "rides", "running", PERSON)
    assert run.definition_hash == ports.definitions.dataset("rides").fingerprint


def test_a_backfill_of_a_dataset_that_does_not_exist_is_recorded_and_refused() -> None:
    ports = new_ports()
    with pytest.raises(NotFoundError):
        backfill.run(backfill.Request(run_id="b", dataset="walks", trigger=PERSON), ports)
    (step,) = ports.catalog.steps("b")
    assert (step.status, ports.catalog.run("b").subject) == ("failed", "walks")


def test_a_file_s_own_run_is_closed_with_what_came_of_it(ports: Ports) -> None:
    run = ingest_part(ports, "rides/a.csv")
    assert (run.status, run.outputs["rows"]) == ("succeeded", 10)
    (_, part) = ports.catalog.steps("b")
    assert (part.step, part.status, part.output["run_id"]) == ("ingest#a.csv", "succeeded", run.run_id)


def test_a_refused_file_says_why_on_the_backfill_and_is_left_to_the_step_that_records_failures(ports: Ports) -> None:
    run = ingest_part(ports, "rides/a.csv", error="lacks the column zone")
    assert run.status == "running"
    assert ports.catalog.step("b", "ingest#a.csv").error == "lacks the column zone"


def test_files_are_added_up_and_refused_ones_counted(ports: Ports) -> None:
    ports.catalog.publish_snapshot(a_snapshot("s1", dataset="rides", size=700))
    ingest_part(ports, "rides/a.csv", rows=10, published=False)
    ingest_part(ports, "rides/b.csv", rows=5)
    ingest_part(ports, "rides/c.csv", error="no")
    ports.catalog.record_step(StepRecord(run_id="b", step="ingest#d.csv", status="running", started_at=AT))
    found = gathered(ports)
    assert (found.uploads, found.refused, found.rows, found.rejected) == (4, 2, 15, 2)
    assert (found.published, found.dataset_bytes) == (True, 700)
    assert "killed" in (ports.catalog.step("b", "ingest#d.csv").error or "")


def test_a_backfill_that_found_nothing_new_is_no_news(ports: Ports) -> None:
    assert not gathered(ports).published
    ingest_part(ports, "rides/a.csv", published=False)
    assert not gathered(ports).published


def test_keys_that_begin_alike_have_steps_of_their_own_however_long_they_are() -> None:
    long = "rides/" + "ü" * 500
    names = {backfill.part_name(key) for key in (f"{long}a", f"{long}b", "rides/ü", "rides/x/y.csv")}
    assert len(names) == 4
    assert "ingest#x/y.csv" in names
    assert max(len(name.encode()) for name in names) < 1000, "a key of the catalog has 1,024 bytes"


def test_a_file_s_run_is_found_by_its_first_characters(ports: Ports) -> None:
    one, other = (backfill.part_run("b", f"rides/{name}.csv") for name in "ab")
    assert re.fullmatch(r"[0-9a-f]{40}-b", one)
    assert one[:8] != other[:8]


def test_a_backfill_that_is_stopped_closes_the_files_that_it_was_at(ports: Ports) -> None:
    done = ingest_part(ports, "rides/a.csv")
    at = backfill.part_run("b", "rides/b.csv")
    ports.catalog.start_run(a_run(at, subject="rides"))
    for name in ("b.csv", "not yet recorded.csv"):
        ports.catalog.record_step(StepRecord(run_id="b", step=f"ingest#{name}", status="running", started_at=AT))
    request = fail.Request(run_id="b", kind="backfill", input='{"dataset": "rides"}', error="ABORTED")
    fail.run(request, ports)
    closed = ports.catalog.run(at)
    assert (ports.catalog.run("b").status, closed.status, closed.error) == (
        "failed",
        "failed",
        "the execution was stopped before it was done",
    )
    assert ports.catalog.run(done.run_id).status == "succeeded"


def test_a_dataset_weighs_what_its_views_read_of_other_datasets_too() -> None:
    walks = RIDES.model_copy(update={"name": "walks"})
    both = PAST.model_copy(update={"name": "both", "dataset": "walks", "reads": ("rides",)})
    ports = new_ports(Definitions({"rides": RIDES, "walks": walks}, {"both": both}, {}))
    for name, size in (("rides", 700), ("walks", 50)):
        ports.catalog.publish_snapshot(a_snapshot(f"s-{name}", dataset=name, size=size))
    assert bytes_behind_views(ports, "rides") == bytes_behind_views(ports, "walks") == 750
    assert bytes_behind_views(new_ports(), "rides") == 0
