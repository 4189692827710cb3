"""Admission over time: suspension, backing off, asking again, and what a storm of alarms comes to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from perennial.fakes import FixedClock, fake_ports
from perennial.ports import Ports
from perennial.records import StepRecord, Suspension, Trigger
from perennial.steps import admit
from tests.support.records import a_version
from tests.support.training_runs import ALARM, DATA, PERSON, put_snapshots, world

SCHEDULE = Trigger(kind="schedule", source="fare-schedule")


@pytest.fixture
def clock() -> FixedClock:
    """Return a clock that the test may move."""
    return FixedClock("2019-03-01T00:00:00Z")


def a_ports(clock: FixedClock, **retrain: Any) -> Ports:
    ports = fake_ports(world(retrain=retrain), clock=clock)
    put_snapshots(ports, "s1", rows=2000)
    return ports


def ask(ports: Ports, run_id: str, trigger: Trigger = ALARM) -> admit.Admission:
    return admit.run(admit.Request(run_id=run_id, model="fare", trigger=trigger), ports)


def end(ports: Ports, run_id: str, *, version: int | None = None, status: str = "succeeded") -> None:
    """Close a run; with a version it passed the gate, without one the champion stayed."""
    now = ports.clock.now()
    learnt = [f"known to {run_id}"]
    ports.catalog.record_step(
        StepRecord(
            run_id=run_id, step="training_set", status="succeeded", started_at=now, ended_at=now,
            output={"snapshots": learnt},
        )
    )  # fmt: skip
    ports.catalog.finish_run(run_id, status, now, outputs={"passed": version is not None, "version": version or 0})
    ports.catalog.release("train#fare", run_id)


def train_in_vain(ports: Ports, clock: FixedClock, *run_ids: str, trigger: Trigger = ALARM) -> None:
    for run_id in run_ids:
        assert ask(ports, run_id, trigger).admitted
        end(ports, run_id)
        clock.advance(minutes=10)


def suspension(clock: FixedClock, until: datetime | None = None) -> Suspension:
    return Suspension(model="fare", by="ada", reason="prices are being repaired", since=clock.now(), until=until)


def test_while_a_model_is_suspended_only_persons_train_it(clock: FixedClock) -> None:
    ports = a_ports(clock)
    ports.catalog.suspend(suspension(clock))
    for number, trigger in enumerate((ALARM, DATA, SCHEDULE)):
        refused = ask(ports, f"run-{number}", trigger)
        assert refused.reason == (
            "ada suspended the training of fare by itself at 2019-03-01 00:00:00 UTC: prices are being repaired; "
            "see `perennial resume fare`"
        )
        assert refused.ask_again_at is None
    assert ask(ports, "run-9", PERSON).admitted


def test_a_resumed_model_is_trained_by_the_next_data_if_an_alarm_had_come(clock: FixedClock) -> None:
    ports = a_ports(clock)
    ports.catalog.publish_version(a_version(1, "fare"))
    ports.catalog.promote("fare", 1, None, clock.now(), "test", "first")
    ports.catalog.suspend(suspension(clock))
    clock.advance(minutes=1)
    assert not ask(ports, "run-1", ALARM).admitted
    assert ports.catalog.resume("fare", clock.now(), "ada")
    assert not ports.catalog.resume("fare", clock.now(), "ada")
    assert ask(ports, "run-2", DATA).admitted


def test_a_suspension_with_an_end_is_asked_about_again_then(clock: FixedClock) -> None:
    ports = a_ports(clock)
    until = clock.now() + timedelta(hours=2)
    ports.catalog.suspend(suspension(clock, until))
    refused = ask(ports, "run-1")
    assert refused.ask_again_at == until
    clock.advance(hours=2)
    assert ask(ports, "run-2", ALARM.model_copy(update={"retry_of": "run-1"})).admitted


def test_after_three_useless_runs_the_next_waits_a_day_then_two_then_four(clock: FixedClock) -> None:
    ports = a_ports(clock, backoff_after=3, backoff="1 day", daily_budget=100)
    train_in_vain(ports, clock, "run-1", "run-2", "run-3")
    refused = ask(ports, "run-4")
    assert refused.reason == (
        "3 runs in a row improved nothing (retrain.backoff_after is 3), the latest run-3; "
        "the next may start at 2019-03-02 00:20:00 UTC (retrain.backoff); it asks again then"
    )
    assert refused.ask_again_at is not None
    clock.advance(days=1)
    train_in_vain(ports, clock, "run-5")
    clock.advance(days=1)
    assert "4 runs in a row" in ask(ports, "run-6").reason
    clock.advance(days=1)
    train_in_vain(ports, clock, "run-7")
    clock.advance(days=3)
    assert "5 runs in a row" in ask(ports, "run-8").reason
    clock.advance(days=1)
    assert ask(ports, "run-9").admitted


def test_it_never_waits_longer_than_four_weeks(clock: FixedClock) -> None:
    ports = a_ports(clock, backoff_after=1, backoff="20 days", daily_budget=100)
    train_in_vain(ports, clock, "run-1")
    clock.advance(days=20)
    train_in_vain(ports, clock, "run-2")
    clock.advance(days=28)
    assert ask(ports, "run-3").admitted


def test_a_run_that_improved_something_ends_the_waiting(clock: FixedClock) -> None:
    ports = a_ports(clock, backoff_after=2)
    train_in_vain(ports, clock, "run-1")
    assert ask(ports, "run-2").admitted
    ports.catalog.publish_version(a_version(1, "fare"))
    end(ports, "run-2", version=1)
    clock.advance(minutes=10)
    train_in_vain(ports, clock, "run-3")
    assert ask(ports, "run-4").admitted


def test_a_version_that_was_refused_when_it_was_deployed_improved_nothing(clock: FixedClock) -> None:
    ports = a_ports(clock, backoff_after=1)
    assert ask(ports, "run-1").admitted
    ports.catalog.publish_version(a_version(1, "fare").staged("refused", "its canary was slow"))
    end(ports, "run-1", version=1)
    assert "1 runs in a row improved nothing" in ask(ports, "run-2").reason


def test_a_person_and_a_changed_definition_need_not_wait(clock: FixedClock) -> None:
    ports = a_ports(clock, backoff_after=1)
    train_in_vain(ports, clock, "run-1")
    changed = fake_ports(world(target="price * 2", retrain={"backoff_after": 1}), catalog=ports.catalog, clock=clock)
    assert ask(changed, "run-2").admitted
    end(changed, "run-2")
    assert ask(changed, "run-3", PERSON).admitted


def test_of_ten_alarms_at_once_one_trains_and_nine_are_recorded(clock: FixedClock) -> None:
    ports = a_ports(clock)
    admitted = [ask(ports, f"run-{number}").admitted for number in range(10)]
    assert admitted == [True] + [False] * 9
    refused = ports.catalog.runs(100, kind="train", subject="fare")
    assert [run.error for run in refused if run.status == "refused"] == [
        "run run-0 is training model fare; one run at a time"
    ] * 9


def test_a_flapping_alarm_in_the_cooldown_leaves_one_run_that_asks_again(clock: FixedClock) -> None:
    ports = a_ports(clock, cooldown="2 hours")
    assert ask(ports, "run-0").admitted
    end(ports, "run-0")
    asked = []
    for number in range(1, 6):
        clock.advance(minutes=5)
        asked.append(ask(ports, f"run-{number}"))
    waiting = [admission for admission in asked if admission.ask_again_at is not None]
    assert [admission.run_id for admission in waiting] == ["run-1"]
    assert all("run run-1 waits to ask again" in admission.reason for admission in asked[1:])
    clock.advance(hours=2)
    assert ask(ports, "run-6", ALARM.model_copy(update={"retry_of": "run-1"})).admitted


def test_what_asks_again_and_is_refused_again_waits_again(clock: FixedClock) -> None:
    ports = a_ports(clock, cooldown="1 hour", daily_budget=1)
    assert ask(ports, "run-1").admitted
    end(ports, "run-1")
    assert ask(ports, "run-2").ask_again_at == clock.now() + timedelta(hours=1)
    clock.advance(hours=1)
    again = ask(ports, "run-3", ALARM.model_copy(update={"retry_of": "run-2"}))
    assert "retrain.daily_budget" in again.reason
    assert again.ask_again_at == clock.now() + timedelta(hours=23)


def test_what_asks_again_is_refused_if_another_version_serves_since(clock: FixedClock) -> None:
    ports = a_ports(clock, cooldown="1 hour")
    assert ask(ports, "run-1").admitted
    end(ports, "run-1")
    ask(ports, "run-2")
    clock.advance(hours=1)
    ports.catalog.publish_version(a_version(1, "fare"))
    ports.catalog.promote("fare", 1, None, clock.now(), "ada", "by hand")
    again = ask(ports, "run-3", ALARM.model_copy(update={"retry_of": "run-2"}))
    assert again.reason == "version 1 serves since run run-2 asked, so its reason may be gone"


def test_a_refused_run_that_is_asked_about_twice_asks_again_at_the_same_time(clock: FixedClock) -> None:
    ports = a_ports(clock, cooldown="1 hour")
    assert ask(ports, "run-1").admitted
    end(ports, "run-1")
    first = ask(ports, "run-2")
    clock.advance(minutes=1)
    assert ask(ports, "run-2") == first


def test_the_clock_does_not_ask_again_as_it_comes_again_by_itself(clock: FixedClock) -> None:
    ports = a_ports(clock, cooldown="1 hour")
    assert ask(ports, "run-1", SCHEDULE).admitted
    end(ports, "run-1")
    assert ask(ports, "run-2", SCHEDULE).ask_again_at is None
