"""What every catalog promises about runs, steps and claims."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from perennial.errors import NotFoundError
from perennial.ports import Catalog
from perennial.records import Made
from tests.support.records import AT, a_run, a_step


def test_a_started_run_is_found_again(catalog: Catalog) -> None:
    run = a_run(inputs={"key": "trips/2019-01.csv", "rows": 3}, code_version="abc")
    assert catalog.start_run(run) == run
    assert catalog.run("run-1") == run


def test_starting_a_run_again_returns_the_recorded_one(catalog: Catalog) -> None:
    first = catalog.start_run(a_run())
    assert catalog.start_run(a_run(started_at=AT + timedelta(hours=1))) == first
    assert catalog.runs() == [first]


def test_an_unknown_run_is_not_found(catalog: Catalog) -> None:
    with pytest.raises(NotFoundError, match="nowhere"):
        catalog.run("nowhere")
    with pytest.raises(NotFoundError, match="nowhere"):
        catalog.finish_run("nowhere", "failed", AT)


def test_finishing_a_run_records_its_end_and_outputs(catalog: Catalog) -> None:
    catalog.start_run(a_run())
    closed = catalog.finish_run("run-1", "succeeded", AT + timedelta(minutes=2), outputs={"version": 3, "mae": 0.1})
    assert (closed.status, closed.outputs) == ("succeeded", {"version": 3, "mae": 0.1})
    assert closed.ended_at == AT + timedelta(minutes=2)
    assert catalog.run("run-1") == closed
    assert catalog.runs() == [closed]


def test_a_closed_run_stays_as_it_is(catalog: Catalog) -> None:
    catalog.start_run(a_run())
    closed = catalog.finish_run("run-1", "failed", AT, error="the file is empty")
    assert catalog.finish_run("run-1", "succeeded", AT + timedelta(hours=1)) == closed
    assert catalog.run("run-1").error == "the file is empty"


def test_runs_come_newest_first(catalog: Catalog) -> None:
    for hour in (2, 1, 3):
        catalog.start_run(a_run(f"run-{hour}", started_at=AT + timedelta(hours=hour)))
    assert [run.run_id for run in catalog.runs()] == ["run-3", "run-2", "run-1"]


def test_runs_that_start_at_one_moment_come_in_the_order_of_their_ids(catalog: Catalog) -> None:
    for run_id in ("b", "c", "a"):
        catalog.start_run(a_run(run_id))
    assert [run.run_id for run in catalog.runs()] == ["c", "b", "a"]


def test_runs_are_filtered_before_they_are_limited(catalog: Catalog) -> None:
    catalog.start_run(a_run("old-train", kind="train", subject="fare", started_at=AT - timedelta(hours=9)))
    for minute in range(5):
        catalog.start_run(a_run(f"ingest-{minute}", started_at=AT + timedelta(minutes=minute)))
    assert [run.run_id for run in catalog.runs(limit=1, kind="train")] == ["old-train"]
    assert [run.run_id for run in catalog.runs(limit=1, subject="fare")] == ["old-train"]
    assert [run.run_id for run in catalog.runs(limit=2, kind="ingest", subject="trips")] == ["ingest-4", "ingest-3"]
    assert catalog.runs(kind="ingest", subject="fare") == []
    assert len(catalog.runs(limit=4)) == 4


def test_the_latest_record_of_a_step_stands(catalog: Catalog) -> None:
    catalog.record_step(a_step())
    done = a_step(status="succeeded", ended_at=AT, output={"rows": 7, "views": {"zone_stats": 2}})
    catalog.record_step(done)
    assert catalog.step("run-1", "ingest") == done
    assert catalog.steps("run-1") == [done]


def test_steps_come_in_the_order_in_which_they_started(catalog: Catalog) -> None:
    catalog.record_step(a_step("evaluate", started_at=AT + timedelta(seconds=9)))
    catalog.record_step(a_step("train#ridge", started_at=AT + timedelta(seconds=1)))
    catalog.record_step(a_step("train#trees", started_at=AT))
    catalog.record_step(a_step("ingest", run_id="run-10"))
    assert [step.step for step in catalog.steps("run-1")] == ["train#trees", "train#ridge", "evaluate"]


def test_an_unknown_step_is_not_found(catalog: Catalog) -> None:
    catalog.record_step(a_step("train#ridge"))
    with pytest.raises(NotFoundError, match=r"run-1.*train"):
        catalog.step("run-1", "train")
    assert catalog.steps("run-2") == []


def test_figures_that_are_not_finite_come_back_as_they_are(catalog: Catalog) -> None:
    catalog.record_step(a_step(output={"worst": float("inf"), "none": None, "exact": 0.1 + 0.2}))
    assert catalog.step("run-1", "ingest").output == {"worst": float("inf"), "none": None, "exact": 0.30000000000000004}


def test_a_free_lock_is_given_and_a_held_one_names_its_holder(catalog: Catalog) -> None:
    until = AT + timedelta(hours=6)
    assert catalog.claim("train#fare", "run-1", until, AT) == "run-1"
    assert catalog.claim("train#fare", "run-2", until, AT) == "run-1"
    assert catalog.claim("train#tips", "run-2", until, AT) == "run-2"


def test_the_holder_may_claim_again_and_so_extend_it(catalog: Catalog) -> None:
    catalog.claim("lock", "run-1", AT + timedelta(hours=1), AT)
    assert catalog.claim("lock", "run-1", AT + timedelta(hours=5), AT) == "run-1"
    assert catalog.claim("lock", "run-2", AT + timedelta(hours=9), AT + timedelta(hours=2)) == "run-1"


@pytest.mark.parametrize(("after", "holder"), [(59, "run-1"), (60, "run-2"), (61, "run-2")])
def test_a_lock_is_free_from_the_moment_until_which_it_was_held(catalog: Catalog, after: int, holder: str) -> None:
    catalog.claim("lock", "run-1", AT + timedelta(seconds=60), AT)
    now = AT + timedelta(seconds=after)
    assert catalog.claim("lock", "run-2", now + timedelta(hours=1), now) == holder


def test_only_the_holder_gives_a_lock_back(catalog: Catalog) -> None:
    until = AT + timedelta(hours=1)
    catalog.claim("lock", "run-1", until, AT)
    catalog.release("lock", "run-2")
    assert catalog.claim("lock", "run-2", until, AT) == "run-1"
    catalog.release("lock", "run-1")
    catalog.release("lock", "run-1")
    assert catalog.claim("lock", "run-2", until, AT) == "run-2"


def made(key: str = "k1", **changes: Any) -> Made:
    example: dict[str, Any] = {
        "subject": "fare",
        "step": "train#ridge",
        "key": key,
        "inputs": {"code": "c"},
        "run_id": "run-1",
    }
    return Made(**{**example, "why": "ran", "output": {"rows": 7}, "at": AT, **changes})


def test_what_a_step_made_is_remembered_by_its_inputs_and_as_the_last(catalog: Catalog) -> None:
    assert catalog.remembered("fare", "train#ridge", "k1") is None
    assert catalog.remembered("fare", "train#ridge") is None
    first, second = made(), made("k2", run_id="run-2")
    catalog.remember(first)
    catalog.remember(second)
    assert catalog.remembered("fare", "train#ridge", "k1") == first
    assert catalog.remembered("fare", "train#ridge") == second
    for other in (("tips", "train#ridge"), ("fare", "train#ridge2"), ("fare", "train#rid")):
        assert catalog.remembered(*other) is None
        assert catalog.remembered(*other, "k1") is None


def test_what_was_made_anew_takes_the_place_of_what_was_remembered(catalog: Catalog) -> None:
    catalog.remember(made())
    catalog.remember(made(run_id="run-3"))
    assert catalog.remembered("fare", "train#ridge", "k1") == made(run_id="run-3")


def test_runs_of_one_kind_about_one_subject_show_how_they_ended(catalog: Catalog) -> None:
    catalog.start_run(a_run("train-1", kind="train", subject="fare"))
    catalog.start_run(a_run("train-2", kind="train", subject="fares"))
    catalog.start_run(a_run("deploy-1", kind="deploy", subject="fare"))
    catalog.finish_run("train-1", "succeeded", AT)
    assert [(run.run_id, run.status) for run in catalog.runs(5, "train", "fare")] == [("train-1", "succeeded")]
