"""Waiting for runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from infra import waiting
from infra.waiting import find_run, follow_run, wait_until
from perennial.errors import TransientError
from perennial.fakes import FakeCatalog
from perennial.records import Run, StepRecord
from tests.support.records import a_run

START = datetime(2024, 5, 1, tzinfo=UTC)


def a_training(run_id: str, minute: int = 0) -> Run:
    return a_run(run_id, kind="train", subject="rent", started_at=START + timedelta(minutes=minute))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.001)


def test_what_does_not_come_is_an_error_that_names_it() -> None:
    with pytest.raises(TransientError, match="the tide did not come within 0 s"):
        wait_until(lambda: None, 0.01, "the tide")


def test_the_earliest_run_since_a_moment_is_found() -> None:
    catalog = FakeCatalog()
    for run in (a_training("before", -1), a_training("later", 2), a_training("first", 1)):
        catalog.start_run(run)

    found = find_run(catalog, "train", "rent", START)

    assert found is not None
    assert found.run_id == "first"
    assert find_run(catalog, "train", "rent", START, lambda run: run.run_id == "none") is None


def test_following_a_run_tells_each_change_of_a_step_once() -> None:
    catalog, heard = FakeCatalog(), []
    catalog.start_run(a_training("one"))
    step = StepRecord(run_id="one", step="admit", status="running", started_at=START)
    catalog.record_step(step)

    def hear(run: Run, news: StepRecord) -> None:
        heard.append(news.status)
        if news.status == "running":
            catalog.record_step(step.model_copy(update={"status": "succeeded", "ended_at": START}))
            catalog.finish_run("one", "succeeded", START)

    closed = follow_run(catalog, "one", 5, hear)

    assert closed.status == "succeeded"
    assert heard == ["running", "succeeded"]
