"""The steps ``ask_approval`` and ``settle_approval``."""

from __future__ import annotations

from datetime import timedelta

import pytest

from perennial.definitions.files import Definitions
from perennial.errors import ConflictError
from perennial.fakes import FakeCatalog, FixedClock, fake_ports
from perennial.ports import Ports
from perennial.records import Approval, Decision
from perennial.steps import ask_approval, settle_approval
from tests.support.interruptions import each_death
from tests.support.records import AT, a_version

WEEK = 7 * 86400
SECRET = "AQDEtoken"


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(AT)


@pytest.fixture
def ports(clock: FixedClock) -> Ports:
    return with_a_version(clock)


def with_a_version(clock: FixedClock) -> Ports:
    ports = fake_ports(Definitions({}, {}, {}), clock=clock)
    ports.catalog.publish_version(a_version(1))
    return ports


def ask(ports: Ports, token: str = SECRET, seconds: int = WEEK) -> ask_approval.Asked:
    request = {"run_id": "train-1", "model": "fare", "version": 1, "approval_seconds": seconds, "token": token}
    return ask_approval.run(ask_approval.Request.model_validate(request), ports)


def settle(ports: Ports) -> settle_approval.Settled:
    return settle_approval.run(settle_approval.Request(run_id="train-1", model="fare", version=1), ports)


def decide(ports: Ports, decision: Decision, reason: str = "") -> None:
    ports.catalog.decide("fare", 1, decision, ports.clock.now(), "ada", reason)


def test_the_question_is_recorded_with_all_that_a_person_needs(ports: Ports) -> None:
    asked = ask(ports)
    approval = ports.catalog.approval("fare", 1)
    assert approval is not None
    assert (approval.asked_at, approval.until) == (AT, AT + timedelta(days=7))
    assert (approval.metrics, approval.report_key) == ({"mae": 1.5}, "reports/evaluation/fare/run.json")
    assert ports.catalog.version("fare", 1).stage == "staging"
    assert ports.catalog.approval_token("fare", 1) == SECRET
    assert ports.catalog.step("train-1", "ask_approval").output == asked.model_dump()


def test_the_token_is_shown_nowhere(ports: Ports) -> None:
    request = {"run_id": "train-1", "model": "fare", "version": 1, "approval_seconds": WEEK, "token": SECRET}
    assert SECRET not in repr(ask_approval.Request.model_validate(request))
    assert SECRET not in ask(ports).model_dump_json()
    assert SECRET not in repr(ports.catalog.steps("train-1"))


def test_asked_again_it_keeps_the_question_and_takes_the_new_token(ports: Ports, clock: FixedClock) -> None:
    first = ask(ports)
    clock.advance(minutes=5)
    assert ask(ports, "another token") == first
    assert ports.catalog.approval_token("fare", 1) == "another token"
    assert len(ports.catalog.audit("fare")) == 1


def test_what_was_decided_before_another_try_could_ask_is_told_to_the_machine(ports: Ports) -> None:
    ask(ports)
    decide(ports, "approved")
    with pytest.raises(ConflictError, match="version 1 of fare was approved by ada"):
        ask(ports)
    assert settle(ports).approved


def test_killed_at_any_call_and_run_again_it_asks_once() -> None:
    clean = with_a_version(FixedClock(AT))
    expected = ask(clean)
    deaths = list(each_death(ask, lambda: with_a_version(FixedClock(AT))))
    assert len(deaths) >= 3
    for ports, where in deaths:
        assert ask(ports) == expected, where
        assert ports.catalog.approvals("fare") == clean.catalog.approvals("fare"), where
        assert ports.catalog.audit("fare") == clean.catalog.audit("fare"), where


@pytest.mark.parametrize(("decision", "approved"), [("approved", True), ("rejected", False)])
def test_the_record_says_what_follows(ports: Ports, decision: Decision, approved: bool) -> None:
    ask(ports)
    decide(ports, decision, "as it is")
    settled = settle(ports)
    assert settled.approved is approved
    assert f"was {decision} by ada at 2019-03-01 00:00:00 UTC: as it is" in settled.sentence
    assert settle(ports) == settled


@pytest.mark.parametrize(("seconds", "length"), [(WEEK, "7 days"), (86400, "1 day"), (5400, "90 minutes"), (61, "61")])
def test_what_nobody_approved_in_time_is_refused(ports: Ports, clock: FixedClock, seconds: int, length: str) -> None:
    ask(ports, seconds=seconds)
    clock.advance(seconds=seconds)
    settled = settle(ports)
    assert not settled.approved
    assert settle(ports) == settled
    version = ports.catalog.version("fare", 1)
    assert version.stage == "refused"
    assert version.reason.startswith(f"nobody approved it within {length}")
    with pytest.raises(ConflictError, match="counts as rejected since"):
        decide(ports, "approved")


def test_who_approves_in_the_moment_in_which_the_time_is_up_is_heard(clock: FixedClock) -> None:
    class Slow(FakeCatalog):
        """A catalog in which somebody decides behind the step's look at it."""

        def approval(self, model: str, version: int) -> Approval | None:
            found = super().approval(model, version)
            if found is not None and found.status == "pending":
                self.decide(model, version, "approved", AT, "ada", "just in time")
            return found

    ports = fake_ports(Definitions({}, {}, {}), clock=clock, catalog=Slow())
    ports.catalog.publish_version(a_version(1))
    ask(ports)
    assert settle(ports).approved
    assert ports.catalog.version("fare", 1).stage == "candidate"


def test_what_was_never_asked_is_not_settled(ports: Ports) -> None:
    with pytest.raises(ConflictError, match="was not put before people"):
        settle(ports)
