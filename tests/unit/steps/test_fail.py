"""The step ``fail``."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Literal

import pytest

from perennial.errors import DataError
from perennial.fakes import FakeMetricSink, fake_ports
from perennial.ports import Ports
from perennial.records import StepRecord
from perennial.steps import admit, fail
from perennial.steps.recording import recorded
from tests.support.records import a_run
from tests.support.training_runs import PERSON, put_snapshots, world


@pytest.fixture
def ports() -> Ports:
    """Return fakes with an admitted training run."""
    ports = fake_ports(world())
    put_snapshots(ports, "s1")
    admit.run(admit.Request(run_id="run-1", model="fare", trigger=PERSON), ports)
    return ports


def ask(ports: Ports, error: str = "States.TaskFailed", cause: Any = "", run_id: str = "run-1") -> str | None:
    """Record a failure and return the run's sentence."""
    text = cause if isinstance(cause, str) else json.dumps(cause)
    fail.run(fail.Request(run_id=run_id, kind="train", subject="fare", error=error, cause=text), ports)
    run = ports.catalog.run(run_id)
    assert run.status == "failed"
    return run.error


def test_the_sentence_is_that_of_the_step_that_failed(ports: Ports) -> None:
    with pytest.raises(DataError), recorded(ports, "run-1", "training_set"):
        raise DataError("there are no rows to learn from")
    assert ask(ports, "DataError", {"errorMessage": "whatever"}) == "training_set: there are no rows to learn from"


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("ABORTED", "the execution was stopped before it was done"),
        ("TIMED_OUT", "the execution took longer than its state machine allows"),
    ],
)
def test_a_run_that_was_ended_from_outside_is_closed_and_lets_go_of_its_model(
    ports: Ports, status: str, sentence: str
) -> None:
    fail.run(fail.Request(run_id="run-1", kind="train", input='{"model": "fare"}', error=status), ports)
    assert ports.catalog.run("run-1").error == sentence
    assert admit.run(admit.Request(run_id="run-2", model="fare", trigger=PERSON), ports).admitted


def test_an_upload_that_failed_is_counted_if_it_was_one_of_a_dataset(ports: Ports) -> None:
    assert isinstance(ports.metrics, FakeMetricSink)
    known = next(iter(ports.definitions.datasets))
    for number, subject in enumerate((known, "junk")):
        fail.run(fail.Request(run_id=f"up-{number}", kind="ingest", subject=subject, error="DataError"), ports)
    assert ports.metrics.values("UploadsFailed") == [1]
    assert ports.metrics.values("UploadsFailed", {"Deployment": ports.deployment, "Dataset": known}) == [1]


def test_an_upload_whose_run_was_ended_before_it_began_is_recorded_all_the_same(ports: Ports) -> None:
    fail.run(fail.Request(run_id="run-9", kind="ingest", input='{"key": "trips/a.csv"}', error="ABORTED"), ports)
    run = ports.catalog.run("run-9")
    assert (run.kind, run.subject, run.status) == ("ingest", "trips", "failed")


@pytest.mark.parametrize("given", [None, "no JSON", "[]", "{}"])
def test_an_input_that_does_not_say_what_it_is_about_is_refused(ports: Ports, given: str | None) -> None:
    with pytest.raises(DataError, match="does not say what it is about"):
        fail.run(fail.Request(run_id="run-9", kind="deploy", input=given, error="ABORTED"), ports)


@pytest.mark.parametrize(
    ("error", "cause", "sentence"),
    [
        ("DataError", {"errorMessage": "no rows", "errorType": "DataError"}, "DataError: no rows"),
        (
            "States.TaskFailed",
            {"Status": "FAILED", "StatusReason": "Essential container in task exited", "Container": {"ExitCode": 1}},
            "States.TaskFailed: Essential container in task exited",
        ),
        (
            "States.TaskFailed",
            {"StatusReason": "Essential container in task exited", "Container": {"Reason": "OutOfMemoryError"}},
            "States.TaskFailed: OutOfMemoryError",
        ),
        ("States.Timeout", "", "States.Timeout"),
        ("States.Runtime", "the path '$.x' leads nowhere", "States.Runtime: the path '$.x' leads nowhere"),
        ("States.TaskFailed", ["a", "list"], 'States.TaskFailed: ["a", "list"]'),
        ("States.TaskFailed", {"Container": None, "StatusReason": "gone"}, "States.TaskFailed: gone"),
    ],
)
def test_a_step_that_could_not_speak_is_spoken_for_by_the_state_machine(
    ports: Ports, error: str, cause: Any, sentence: str
) -> None:
    assert ask(ports, error, cause) == sentence


def test_a_step_that_was_killed_is_no_longer_running(ports: Ports) -> None:
    now = ports.clock.now()
    ports.catalog.record_step(StepRecord(run_id="run-1", step="train#line", status="running", started_at=now))
    ask(ports, "States.Timeout")
    step = ports.catalog.step("run-1", "train#line")
    assert (step.status, step.ended_at, step.error) == ("failed", now, "States.Timeout")


def test_it_lets_the_next_run_in(ports: Ports) -> None:
    ask(ports)
    now = ports.clock.now()
    assert ports.catalog.claim("train#fare", "run-2", now + timedelta(hours=6), now) == "run-2"


def test_it_does_not_free_the_model_of_another_run(ports: Ports) -> None:
    ask(ports, run_id="run-9")
    now = ports.catalog.run("run-1").started_at
    assert ports.catalog.claim("train#fare", "run-2", now + timedelta(hours=6), now) == "run-1"


@pytest.mark.parametrize("kind", ["ingest", "train", "deploy"])
def test_a_run_that_was_never_recorded_is_recorded_as_failed(kind: Literal["ingest", "train", "deploy"]) -> None:
    ports = fake_ports(world())
    fail.run(fail.Request(run_id="run-5", kind=kind, subject="fare", error="States.Timeout", trigger=PERSON), ports)
    run = ports.catalog.run("run-5")
    assert (run.kind, run.subject, run.status, run.trigger) == (kind, "fare", "failed", PERSON)
    assert run.ended_at is not None


def test_a_run_that_is_closed_stays_as_it_is(ports: Ports) -> None:
    closed = a_run("run-3", kind="train", subject="fare", status="succeeded", outputs={"version": 4})
    ports.catalog.start_run(closed)
    fail.run(fail.Request(run_id="run-3", kind="train", subject="fare", error="late"), ports)
    assert ports.catalog.run("run-3") == closed


def test_a_long_cause_is_cut(ports: Ports) -> None:
    assert ask(ports, "E", "x" * 9000) == "E: " + "x" * 500


def test_asked_twice_the_first_sentence_stands(ports: Ports) -> None:
    first = ask(ports, "States.Timeout")
    assert ask(ports, "States.TaskFailed", "again") == first
