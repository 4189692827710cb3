"""The step ``admit``."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from perennial.errors import NotFoundError
from perennial.fakes import FixedClock, fake_ports
from perennial.ports import Ports
from perennial.records import StepRecord, Trigger
from perennial.steps import admission, admit
from perennial.steps.kept_definitions import kept
from tests.support.interruptions import each_death
from tests.support.records import a_snapshot, a_version, an_assessment
from tests.support.training_runs import ALARM, DATA, PERSON, put_snapshots, world

SCHEDULE = Trigger(kind="schedule", source="fare-schedule")
MACHINES = [ALARM, DATA, SCHEDULE]


@pytest.fixture
def clock() -> FixedClock:
    """Return a clock that the test may move."""
    return FixedClock("2019-03-01T00:00:00Z")


def a_ports(clock: FixedClock | None = None, rows: int = 2000, **retrain: Any) -> Ports:
    """Return fakes of a deployment with 2,000 rows in one snapshot."""
    ports = fake_ports(world(retrain=retrain), clock=clock or FixedClock())
    put_snapshots(ports, "s1", rows=rows)
    return ports


def ask(ports: Ports, run_id: str = "run-1", trigger: Trigger = PERSON) -> admit.Admission:
    return admit.run(admit.Request(run_id=run_id, model="fare", trigger=trigger), ports)


def finish(ports: Ports, run_id: str, snapshots: tuple[str, ...] | None = None, status: str = "succeeded") -> None:
    """Close an admitted run; ``snapshots`` are those of its training set, None if it did not get there."""
    now = ports.clock.now()
    if snapshots is not None:
        output = {"snapshots": list(snapshots)}
        ports.catalog.record_step(
            StepRecord(
                run_id=run_id, step="training_set", status="succeeded", started_at=now, ended_at=now, output=output
            )
        )
    ports.catalog.finish_run(run_id, status, now)
    ports.catalog.release("train#fare", run_id)


def crown(ports: Ports) -> None:
    """Make a version champion that learnt from ``s1``."""
    ports.catalog.publish_version(a_version(1, "fare"))
    ports.catalog.promote("fare", 1, None, ports.clock.now(), "test", "first")


def test_a_run_that_an_alarm_starts_says_what_moved_and_carries_the_report_that_it_reacts_to() -> None:
    ports = a_ports()
    seen = an_assessment(sentence="mae is 2.49 instead of 1.4 (1.78×)", report_key="reports/monitoring/fare/1/a.json")
    ports.catalog.record_assessment(seen)
    trigger = ALARM.model_copy(update={"reason": "Threshold Crossed: 1 out of the last 1 datapoints."})
    ask(ports, trigger=trigger)
    run = ports.catalog.run("run-1")
    words = "Threshold Crossed: 1 out of the last 1 datapoints. The monitor says: mae is 2.49 instead of 1.4 (1.78×)"
    assert run.trigger.reason == words
    assert run.inputs["monitoring_report"] == seen.report_key
    finish(ports, "run-1")
    ask(ports, "run-2")
    assert "monitoring_report" not in ports.catalog.run("run-2").inputs  # a person has reasons of their own
    assert ask(ports, "run-3", ALARM.model_copy(update={"reason": words})).run_id == "run-3"
    assert ports.catalog.run("run-3").trigger.reason == words  # one that asks again says it once


def test_an_admitted_run_fans_out_over_the_candidates_of_the_definition(tmp_path: Path) -> None:
    ports = a_ports()
    admission = ask(ports)
    assert admission.model_dump() == {
        "run_id": "run-1",
        "admitted": True,
        "reason": "",
        "candidates": ["line", "trees"],
        "submission": "",
        "searches": False,
        "ask_again_at": None,
        "dataset_bytes": 1000,  # what a_snapshot() is said to take
    }
    run = ports.catalog.run("run-1")
    assert (run.kind, run.subject, run.status, run.trigger) == ("train", "fare", "running", PERSON)
    assert run.definition_hash == ports.definitions.fingerprint("fare")
    assert run.code_version == "test"
    place = run.inputs["definitions"]
    assert run.inputs == {"dataset": "trips", "revision": 1, "snapshots": ["s1"], "definitions": place}
    assert place["key"] == f"definitions/{place['sha256']}.json"
    assert hashlib.sha256(ports.artifacts.get(place["key"])).hexdigest() == place["sha256"]
    assert kept(ports, run, tmp_path) == ports.definitions
    assert ports.catalog.step("run-1", "admit").output == admission.model_dump()


def test_a_refused_run_is_recorded_with_its_reason() -> None:
    ports = a_ports(rows=10)
    admission = ask(ports)
    assert (admission.admitted, admission.candidates) == (False, [])
    assert admission.reason == "dataset trips holds 10 rows; the first model needs 1000 (retrain.min_rows)"
    run = ports.catalog.run("run-1")
    assert (run.status, run.error) == ("refused", admission.reason)


def test_one_run_of_a_model_at_a_time() -> None:
    ports = a_ports()
    assert ask(ports, "run-1").admitted
    assert ask(ports, "run-2").reason == "run run-1 is training model fare; one run at a time"
    finish(ports, "run-1")
    assert ask(ports, "run-3").admitted


def test_a_run_that_died_without_a_word_holds_its_model_for_six_hours(clock: FixedClock) -> None:
    ports = a_ports(clock)
    ask(ports, "run-1")
    clock.advance(hours=5, minutes=59)
    assert not ask(ports, "run-2").admitted
    clock.advance(minutes=1)
    assert ask(ports, "run-3").admitted


def test_a_refused_run_does_not_hold_the_model() -> None:
    ports = a_ports(rows=10)
    ask(ports, "run-1")
    put_snapshots(ports, "s2", rows=990)
    assert ask(ports, "run-2").admitted


def test_a_refused_run_does_not_free_the_model_of_the_one_that_holds_it() -> None:
    ports = a_ports()
    ask(ports, "run-1")
    ask(ports, "run-2")
    assert not ask(ports, "run-3").admitted


def test_a_champion_may_be_replaced_from_fewer_rows_than_the_first_model_needs() -> None:
    ports = a_ports(rows=10)
    crown(ports)
    assert ask(ports).admitted


def test_new_data_starts_the_first_model() -> None:
    assert ask(a_ports(), trigger=DATA).admitted


def test_new_data_alone_does_not_replace_a_champion_unless_the_definition_says_so() -> None:
    ports = a_ports()
    crown(ports)
    put_snapshots(ports, "s2", rows=100_000)
    assert ask(ports, trigger=DATA).reason == (
        "new data alone starts no run while there is a champion (retrain.new_rows is not set)"
    )


@pytest.mark.parametrize(("rows", "admitted"), [(499, False), (500, True)])
def test_rows_are_new_that_the_champion_has_not_learnt_from(rows: int, admitted: bool) -> None:
    ports = a_ports(new_rows=500)
    crown(ports)
    put_snapshots(ports, "s2", rows=rows)
    admission = ask(ports, trigger=DATA)
    assert admission.admitted is admitted
    if not admitted:
        assert admission.reason == (
            "499 rows are new since champion version 1 was trained; 500 are needed (retrain.new_rows)"
        )


def test_new_data_starts_the_run_that_an_alarm_found_nothing_new_for(clock: FixedClock) -> None:
    ports = a_ports(clock)
    ask(ports, "run-1")
    finish(ports, "run-1", snapshots=("s1",))
    crown(ports)
    clock.advance(minutes=1)
    assert admission.NOTHING_NEW in ask(ports, "run-2", ALARM).reason
    put_snapshots(ports, "s2", rows=10)
    assert ask(ports, "run-3", DATA).admitted


def test_an_alarm_of_an_earlier_champion_is_waited_for_no_longer(clock: FixedClock) -> None:
    ports = a_ports(clock)
    ask(ports, "run-1")
    finish(ports, "run-1", snapshots=("s1",))
    ask(ports, "run-2", ALARM)
    clock.advance(minutes=1)
    crown(ports)
    put_snapshots(ports, "s2", rows=10)
    assert "retrain.new_rows is not set" in ask(ports, "run-3", DATA).reason


def test_a_corrected_file_counts_as_new_as_a_whole() -> None:
    ports = a_ports(new_rows=2001)
    crown(ports)
    corrected = a_snapshot("s1b", rows=2001, source="s3://raw/trips/s1.csv", source_version="v2")
    ports.catalog.publish_snapshot(corrected)
    assert ask(ports, trigger=DATA).admitted


def test_an_alarm_is_heeded_only_where_the_definition_says_so() -> None:
    assert ask(a_ports(on_alarm=True), trigger=ALARM).admitted
    assert "retrain.on_alarm is false" in ask(a_ports(on_alarm=False), trigger=ALARM).reason


def test_what_a_failed_run_was_to_learn_is_tried_again() -> None:
    ports = a_ports()
    ask(ports, "run-1")
    finish(ports, "run-1", snapshots=("s1",), status="failed")
    assert ask(ports, "run-2", ALARM).admitted


@pytest.mark.parametrize("trigger", MACHINES, ids=lambda trigger: trigger.kind)
def test_nothing_new_to_learn_from_is_not_learnt_from_again(trigger: Trigger) -> None:
    ports = a_ports()
    ask(ports, "run-1")
    finish(ports, "run-1", snapshots=("s1",))
    assert ask(ports, "run-2", trigger).reason == "there is nothing new to learn from since run run-1"


def test_a_person_may_learn_the_same_again() -> None:
    ports = a_ports()
    ask(ports, "run-1")
    finish(ports, "run-1", snapshots=("s1",))
    assert ask(ports, "run-2", PERSON).admitted


def test_a_new_snapshot_is_something_new() -> None:
    ports = a_ports()
    ask(ports, "run-1")
    finish(ports, "run-1", snapshots=("s1",))
    put_snapshots(ports, "s2")
    assert ask(ports, "run-2", ALARM).admitted


def test_a_new_definition_is_something_new() -> None:
    ports = a_ports()
    ask(ports, "run-1")
    finish(ports, "run-1", snapshots=("s1",))
    changed = fake_ports(world(target="price * 2"), catalog=ports.catalog, clock=ports.clock)
    assert ask(changed, "run-2", ALARM).admitted


def test_a_view_whose_sql_was_changed_is_something_new() -> None:
    ports = a_ports()
    ask(ports, "run-1")
    finish(ports, "run-1", snapshots=("s1",))
    view = "SELECT distance * 2 AS distance, zone AS zone FROM trips"
    changed = fake_ports(world(view), catalog=ports.catalog, clock=ports.clock)
    assert ask(changed, "run-2", ALARM).admitted


def test_a_run_that_had_no_training_set_has_learnt_nothing(clock: FixedClock) -> None:
    ports = a_ports(clock)
    ask(ports, "run-1")
    finish(ports, "run-1", snapshots=("s1",))
    put_snapshots(ports, "s2")
    clock.advance(minutes=1)
    ask(ports, "run-2")
    finish(ports, "run-2", status="failed")
    clock.advance(minutes=1)
    assert ask(ports, "run-3", ALARM).admitted


def test_machines_wait_for_the_cooldown_since_the_latest_run_that_no_person_asked_for(clock: FixedClock) -> None:
    ports = a_ports(clock, cooldown="2 hours")
    ask(ports, "run-1", ALARM)
    finish(ports, "run-1")
    clock.advance(hours=1)
    refused = ask(ports, "run-2", ALARM)
    assert refused.reason == (
        "run run-1 started less than 2:00:00 ago; the cooldown ends at 2019-03-01 02:00:00 UTC; it asks again then"
    )
    assert ask(ports, "run-3", PERSON).admitted
    finish(ports, "run-3")
    clock.advance(hours=1)  # neither the refused run nor the person's started the wait anew
    assert ask(ports, "run-4", ALARM).admitted


def test_machines_have_a_daily_budget_that_persons_do_not_spend(clock: FixedClock) -> None:
    ports = a_ports(clock, daily_budget=2)
    for run_id, trigger in (("run-1", ALARM), ("run-2", PERSON), ("run-3", SCHEDULE)):
        assert ask(ports, run_id, trigger).admitted
        finish(ports, run_id)
        clock.advance(hours=1)
    refused = ask(ports, "run-4", ALARM)
    assert refused.reason == (
        "2 runs that no person asked for started in the last 24 hours; "
        "2 are allowed (retrain.daily_budget); it asks again then"
    )
    assert ask(ports, "run-5", PERSON).admitted
    finish(ports, "run-5")
    clock.advance(hours=21)  # 24 hours after the first
    assert ask(ports, "run-6", ALARM).admitted


def test_reasons_are_given_in_their_order(clock: FixedClock) -> None:
    """Everything speaks against this run; as one reason after another goes away, the next one shows."""
    ports = a_ports(clock, rows=10, on_alarm=False, cooldown="1 hour", daily_budget=1)
    first = fake_ports(world(retrain={"min_rows": 1}), catalog=ports.catalog, clock=clock)
    ask(first, "run-1", ALARM)
    clock.advance(minutes=1)
    assert "one run at a time" in ask(ports, "run-2", ALARM).reason
    finish(ports, "run-1", snapshots=("s1",))
    assert "retrain.min_rows" in ask(ports, "run-3", ALARM).reason
    crown(ports)
    assert "retrain.new_rows" in ask(ports, "run-4", DATA).reason
    assert "retrain.on_alarm" in ask(ports, "run-5", ALARM).reason
    same = fake_ports(world(retrain={"min_rows": 1}), catalog=ports.catalog, clock=clock)
    assert "nothing new" in ask(same, "run-6", SCHEDULE).reason
    assert "cooldown" in ask(ports, "run-7", SCHEDULE).reason  # another definition by now: something new
    clock.advance(hours=1)
    assert "retrain.daily_budget" in ask(ports, "run-8", SCHEDULE).reason


@pytest.mark.parametrize("rows", [10, 2000])
def test_asked_again_it_gives_the_same_answer(rows: int) -> None:
    ports = a_ports(rows=rows, cooldown="2 hours", daily_budget=1)
    first = ask(ports, trigger=ALARM)
    assert ask(ports, trigger=ALARM) == first


def test_a_run_that_is_over_is_not_admitted_again() -> None:
    ports = a_ports()
    ask(ports)
    finish(ports, "run-1")
    assert ask(ports).reason == "run run-1 is over: it succeeded"


@pytest.mark.parametrize("rows", [10, 2000])
def test_killed_at_any_call_and_run_again_it_decides_as_one_clean_run(rows: int) -> None:
    clean = a_ports(rows=rows)
    expected = ask(clean, trigger=ALARM)
    deaths = list(each_death(lambda ports: ask(ports, trigger=ALARM), lambda: a_ports(rows=rows)))
    assert len(deaths) >= 4
    for ports, where in deaths:
        assert ask(ports, trigger=ALARM) == expected, where
        assert ports.catalog.run("run-1") == clean.catalog.run("run-1")
        assert ask(ports, "run-2", PERSON) == ask(clean, "run-2", PERSON)
        clean.catalog.release("train#fare", "run-2")


def test_an_unknown_model_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="no model 'oracle'; there is fare"):
        admit.run(admit.Request(run_id="run-1", model="oracle", trigger=PERSON), a_ports())
