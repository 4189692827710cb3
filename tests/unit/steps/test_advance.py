"""The step ``advance``: a version's way beside the champion."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from perennial import keys
from perennial.definitions import Delivery
from perennial.definitions.files import Definitions
from perennial.errors import ConflictError, DataError
from perennial.fakes import FixedClock, fake_ports
from perennial.ports import Ports
from perennial.records import Challenger, Champion
from perennial.steps import fail
from perennial.steps.delivering.phases import LONGEST_PAUSE, seconds_until_next_look
from tests.support.artifacts import MODEL, register
from tests.support.deliveries import (
    BY_ADA,
    BY_TRAINING,
    STEPWISE,
    Traffic,
    advanced,
    promoted,
    requests,
    tried,
    two_versions,
    until_moved,
    with_delivery,
)
from tests.support.interruptions import each_death, held
from tests.support.records import a_run


@pytest.fixture
def traffic() -> Traffic:
    return Traffic()


@pytest.fixture
def stepwise(ports: Ports, clock: FixedClock) -> Ports:
    """Return fakes in which version 1 serves, and version 2 has passed its smoke test."""
    ports = with_delivery(ports, STEPWISE)
    two_versions(ports)
    tried(ports)
    clock.advance(minutes=1)
    return ports


def pointer(ports: Ports) -> Champion:
    champion = ports.catalog.champion(MODEL)
    assert champion is not None
    return champion


def beside(ports: Ports) -> Challenger:
    there = pointer(ports).challenger
    assert there is not None
    return there


def test_a_model_without_phases_is_promoted_at_once(ports: Ports, traffic: Traffic) -> None:
    two_versions(ports)
    tried(ports)
    assert advanced(ports, traffic).next == "promote"
    assert pointer(ports).challenger is None
    assert promoted(ports).serves
    assert traffic.asked == []


def test_the_first_version_has_nothing_to_be_compared_with(ports: Ports, traffic: Traffic) -> None:
    ports = with_delivery(ports, STEPWISE)
    register(ports, champion=False)
    tried(ports, "deploy-1", 1)
    assert advanced(ports, traffic, "deploy-1", 1).next == "promote"
    assert promoted(ports, "deploy-1", 1).serves


def test_a_person_may_want_a_version_at_once(ports: Ports, traffic: Traffic) -> None:
    ports = with_delivery(ports, STEPWISE)
    two_versions(ports)
    tried(ports, trigger=BY_ADA.model_copy(update={"at_once": True}))
    assert advanced(ports, traffic).next == "promote"
    tried(ports, "deploy-3", 3, BY_ADA)
    assert advanced(ports, traffic, "deploy-3", 3).next == "wait"


def test_a_good_version_goes_through_its_phases_to_the_champions_place(
    stepwise: Ports, traffic: Traffic, clock: FixedClock
) -> None:
    began = clock.now()
    assert until_moved(stepwise, traffic).next == "promote"
    entries = [(e.at - began, e.detail) for e in stepwise.catalog.audit(MODEL)[::-1] if e.action == "challenge"]
    # An hour as a shadow, then two at each share: each begins when the one before is over, and not a look earlier.
    assert entries == [
        (timedelta(0), "shadow"), (timedelta(hours=1), "canary 10 %"), (timedelta(hours=3), "canary 50 %")
    ]  # fmt: skip
    assert clock.now() - began == timedelta(hours=5)
    promotion = promoted(stepwise)
    assert (promotion.serves, promotion.previous) == (True, 1)
    assert (pointer(stepwise).version, pointer(stepwise).challenger) == (2, None)
    assert stepwise.catalog.run("deploy-2").status == "succeeded"


def test_a_shadow_answers_nobody(stepwise: Ports, traffic: Traffic) -> None:
    move = advanced(stepwise, traffic)
    assert (move.next, move.seconds) == ("wait", 60)
    there = beside(stepwise)
    assert (there.version, there.shadow, there.weight, there.run_id) == (2, True, 0.0, "deploy-2")
    assert pointer(stepwise).version == 1


def test_each_phase_is_a_step_of_the_run_with_what_was_seen(stepwise: Ports, traffic: Traffic) -> None:
    until_moved(stepwise, traffic)
    steps = stepwise.catalog.steps("deploy-2")
    assert [(step.step, step.status) for step in steps] == [
        ("smoke", "succeeded"),
        ("advance#shadow", "succeeded"),
        ("advance#0.1", "succeeded"),
        ("advance#0.5", "succeeded"),
    ]
    assert steps[2].output["challenger"] == {
        "version": 2, "requests": 200, "failures": 0, "rows": 200, "labelled": 0
    }  # fmt: skip
    assert [rating["rule"] for rating in steps[2].output["ratings"]] == ["errors", "latency", "quality"]


def test_a_canary_that_errs_is_taken_back_at_the_next_look(
    stepwise: Ports, traffic: Traffic, clock: FixedClock
) -> None:
    advanced(stepwise, traffic)
    clock.advance(hours=1)
    advanced(stepwise, traffic)
    assert beside(stepwise).weight == 0.1
    traffic.challenger = requests(8, failures=8)
    clock.advance(seconds=60)
    move = advanced(stepwise, traffic)
    assert move.next == "end"
    assert (pointer(stepwise).version, pointer(stepwise).challenger) == (1, None)
    version, run = stepwise.catalog.version(MODEL, 2), stepwise.catalog.run("deploy-2")
    sentence = "canary 10 %: 8 of 8 requests failed; of the champion's 0 of 1,000: more than max_error_rate 0.01."
    assert (version.stage, version.reason) == ("refused", sentence)
    assert (run.status, run.error, run.outputs["serves"]) == ("refused", sentence, False)
    entry = stepwise.catalog.audit(MODEL)[0]
    assert (entry.action, entry.by, entry.reason) == ("withdraw", "deploy-2", sentence)
    assert stepwise.catalog.step("deploy-2", "advance#0.1").status == "failed"


def test_a_slow_canary_is_taken_back(stepwise: Ports, traffic: Traffic) -> None:
    traffic.challenger = requests(200, milliseconds=20.0)
    assert until_moved(stepwise, traffic).next == "end"
    assert "max_latency_ratio 2 times as long" in (stepwise.catalog.run("deploy-2").error or "")


def test_a_version_that_was_taken_back_is_promoted_by_nobody(stepwise: Ports, traffic: Traffic) -> None:
    traffic.challenger = requests(8, failures=8)
    until_moved(stepwise, traffic)
    tried(stepwise, "deploy-9", 2, BY_ADA)
    with pytest.raises(ConflictError, match=r"version 2 of taxi_fare was refused \(shadow: 8 of 8 requests failed"):
        advanced(stepwise, traffic, "deploy-9")


@pytest.mark.parametrize(("outcome", "failures"), [("promoted", 0), ("rolled back", 200)])
def test_the_report_tells_how_it_went(stepwise: Ports, traffic: Traffic, outcome: str, failures: int) -> None:
    traffic.challenger = requests(200, failures)
    until_moved(stepwise, traffic)
    report = json.loads(stepwise.artifacts.get(keys.delivery_report(MODEL, "deploy-2")))
    assert (report["version"], report["champion"], report["outcome"]) == (2, 1, outcome)
    page = stepwise.artifacts.get(keys.delivery_report(MODEL, "deploy-2", "html")).decode()
    assert "shadow" in page
    assert report["sentence"].split(":")[0] in page


def test_thin_traffic_waits_and_then_turns_back(ports: Ports, clock: FixedClock) -> None:
    limits = Delivery(canary=(0.5,), bake=timedelta(hours=1), patience=timedelta(hours=3), on_too_little="wait")
    ports = with_delivery(ports, limits)
    two_versions(ports)
    tried(ports)
    began = clock.now()
    assert until_moved(ports, Traffic(challenger=requests(99))).next == "end"
    assert timedelta(hours=4) <= clock.now() - began <= timedelta(hours=4.5)
    assert "99 rows in 99 requests, where 100 rows are asked for: too little" in (
        ports.catalog.run("deploy-2").error or ""
    )


def test_of_two_runs_the_second_leaves_its_version_as_it_is(stepwise: Ports, traffic: Traffic) -> None:
    advanced(stepwise, traffic)
    tried(stepwise, "deploy-3", 3)
    assert advanced(stepwise, traffic, "deploy-3", 3).next == "end"
    run = stepwise.catalog.run("deploy-3")
    assert run.status == "refused"
    assert "version 2 of taxi_fare is on its way to serve by run deploy-2 (shadow)" in (run.error or "")
    assert stepwise.catalog.version(MODEL, 3).stage == "candidate"
    assert beside(stepwise).run_id == "deploy-2"


def test_a_persons_wish_ends_what_a_run_began_which_then_ends_as_overtaken(stepwise: Ports, traffic: Traffic) -> None:
    advanced(stepwise, traffic)
    tried(stepwise, "deploy-3", 3, BY_ADA)
    assert advanced(stepwise, traffic, "deploy-3", 3).next == "wait"
    assert beside(stepwise).run_id == "deploy-3"
    assert advanced(stepwise, traffic).next == "end"
    run = stepwise.catalog.run("deploy-2")
    assert (run.status, run.error) == (
        "refused",
        "version 2 of taxi_fare was overtaken by version 3, which run deploy-3 brought: it is better",
    )
    assert stepwise.catalog.version(MODEL, 2).stage == "candidate"
    assert beside(stepwise).run_id == "deploy-3"


def ada_withdraws(ports: Ports) -> None:
    ports.catalog.withdraw_challenger(MODEL, "deploy-2", ports.clock.now(), "ada", "it looks odd")


def ada_promotes(ports: Ports) -> None:
    ports.catalog.promote(MODEL, 3, 1, at=ports.clock.now(), by="ada", reason="now")


OVERTAKING: dict[str, tuple[Callable[[Ports], None], str]] = {
    "withdrawn": (ada_withdraws, "version 2 of taxi_fare was withdrawn by ada: it looks odd"),
    "promoted": (ada_promotes, "version 2 of taxi_fare was overtaken by version 3, which ada let serve: now"),
}


@pytest.mark.parametrize("what", OVERTAKING)
def test_what_a_person_does_meanwhile_stands_and_the_run_ends_as_overtaken(
    stepwise: Ports, traffic: Traffic, what: str
) -> None:
    act, sentence = OVERTAKING[what]
    advanced(stepwise, traffic)
    act(stepwise)
    before = pointer(stepwise)
    assert advanced(stepwise, traffic).next == "end"
    assert (stepwise.catalog.run("deploy-2").status, stepwise.catalog.run("deploy-2").error) == ("refused", sentence)
    assert pointer(stepwise) == before
    assert stepwise.catalog.version(MODEL, 2).stage == "candidate"


@pytest.mark.parametrize("what", OVERTAKING)
def test_what_a_person_does_between_the_last_look_and_the_promotion_stands(
    stepwise: Ports, traffic: Traffic, what: str
) -> None:
    act, sentence = OVERTAKING[what]
    assert until_moved(stepwise, traffic).next == "promote"
    act(stepwise)
    before = pointer(stepwise)
    assert not promoted(stepwise).serves
    assert pointer(stepwise) == before
    assert (stepwise.catalog.run("deploy-2").status, stepwise.catalog.run("deploy-2").error) == ("refused", sentence)


def test_a_run_that_fails_takes_its_challenger_with_it_and_blames_nobody(stepwise: Ports, traffic: Traffic) -> None:
    advanced(stepwise, traffic)
    fail.run(fail.Request(run_id="deploy-2", kind="deploy", input=f'{{"model": "{MODEL}"}}', error="ABORTED"), stepwise)
    assert (pointer(stepwise).version, pointer(stepwise).challenger) == (1, None)
    version = stepwise.catalog.version(MODEL, 2)
    assert version.stage == "candidate"
    assert version.reason == "its run failed: the execution was stopped before it was done"
    assert advanced(stepwise, traffic).next == "end"


def test_what_a_closed_run_left_behind_stops_nobody(stepwise: Ports, traffic: Traffic) -> None:
    advanced(stepwise, traffic)
    stepwise.catalog.finish_run("deploy-2", "failed", stepwise.clock.now(), error="and nobody cleaned up")
    tried(stepwise, "deploy-3", 3)
    assert advanced(stepwise, traffic, "deploy-3", 3).next == "wait"
    assert beside(stepwise).run_id == "deploy-3"


def test_an_older_version_or_an_altered_one_stands_beside_no_champion(ports: Ports, traffic: Traffic) -> None:
    ports = with_delivery(ports, STEPWISE)
    two_versions(ports)
    ports.artifacts.put(keys.artifact(MODEL, 3, "model.onnx"), b"altered")
    ports.catalog.start_run(a_run("deploy-3", kind="deploy", subject=MODEL, trigger=BY_TRAINING))
    with pytest.raises(DataError, match="not intact"):
        advanced(ports, traffic, "deploy-3", 3)
    ports.catalog.promote(MODEL, 3, 1, at=ports.clock.now(), by="ada", reason="")
    tried(ports)
    with pytest.raises(ConflictError, match="only a person may go back"):
        advanced(ports, traffic)
    assert pointer(ports).challenger is None


def test_shares_that_were_changed_meanwhile_count_from_the_next_look(
    stepwise: Ports, traffic: Traffic, clock: FixedClock
) -> None:
    advanced(stepwise, traffic)
    clock.advance(hours=1)
    advanced(stepwise, traffic)
    hurried = with_delivery(stepwise, STEPWISE.model_copy(update={"canary": (0.05, 0.8), "bake": timedelta(minutes=1)}))
    clock.advance(minutes=1)
    advanced(hurried, traffic)
    assert beside(hurried).weight == 0.8


@pytest.mark.parametrize("outcome", ["promote", "end"])
def test_a_look_that_dies_anywhere_and_is_repeated_leaves_what_one_clean_look_leaves(
    definitions: Definitions, outcome: str
) -> None:
    failures = 200 if outcome == "end" else 0

    def at_the_last_phase() -> Ports:
        clock = FixedClock("2019-03-01T00:00:00Z")
        limits = STEPWISE.model_copy(update={"shadow": timedelta(0), "canary": (0.5,)})
        ports = with_delivery(fake_ports(definitions, clock=clock), limits)
        two_versions(ports)
        tried(ports)
        advanced(ports, Traffic())
        clock.advance(hours=2)
        return ports

    def look(ports: Ports) -> str:
        return advanced(ports, Traffic(challenger=requests(200, failures))).next

    clean = at_the_last_phase()
    assert look(clean) == outcome
    for ports, where in each_death(look, at_the_last_phase):
        assert look(ports) == outcome, where
        assert pointer(ports) == pointer(clean), where
        assert ports.catalog.run("deploy-2") == clean.catalog.run("deploy-2"), where
        assert ports.catalog.audit(MODEL) == clean.catalog.audit(MODEL), where


def test_a_beginning_that_dies_anywhere_and_is_repeated_leaves_what_one_clean_one_leaves(
    definitions: Definitions,
) -> None:
    def fresh() -> Ports:
        ports = with_delivery(fake_ports(definitions, clock=FixedClock()), STEPWISE)
        two_versions(ports)
        tried(ports)
        return ports

    clean = fresh()
    advanced(clean, Traffic(challenger=requests(0)))
    for ports, where in each_death(lambda ports: advanced(ports, Traffic(challenger=requests(0))), fresh):
        assert advanced(ports, Traffic(challenger=requests(0))).next == "wait", where
        assert held(ports)["catalog"]["_champions"] == held(clean)["catalog"]["_champions"], where
        assert ports.catalog.audit(MODEL) == clean.catalog.audit(MODEL), where


def test_a_phase_is_looked_at_often_at_first_and_never_beyond_its_end() -> None:
    def pause(minutes: float, length: timedelta = timedelta(days=7)) -> int:
        return seconds_until_next_look(timedelta(minutes=minutes), length, 60)

    assert (pause(0), pause(5), pause(60)) == (60, 60, 360)
    assert pause(10_000) == LONGEST_PAUSE.total_seconds()
    assert pause(59.5, timedelta(hours=1)) == 30
    assert pause(61, timedelta(hours=1)) == 366


def test_the_longest_delivery_is_looked_at_fewer_times_than_an_execution_has_events_for() -> None:
    elapsed, length, looks = timedelta(0), timedelta(days=30), 0
    while elapsed < length:
        elapsed += timedelta(seconds=seconds_until_next_look(elapsed, length, 60))
        looks += 1
    # A wait, a function and a choice write about a dozen events; an execution has 25,000 ("Step Functions quotas").
    assert looks * 12 < 25_000
