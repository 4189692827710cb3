"""What people do with versions by the CLI."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from infra.deployment import Deployment
from infra.labels import since
from infra.operations import describe_model
from infra.registry import change_alias, decide, promote, roll_back, suspend, tag
from perennial import keys
from perennial.client import deployment
from perennial.definitions.files import Definitions
from perennial.errors import ConflictError, DataError, NotFoundError, PerennialError
from perennial.fakes import FixedClock, fake_ports
from perennial.ports import Ports
from tests.support.artifacts import MODEL, a_manifest, linear_graph, register
from tests.support.records import AT, a_challenger, a_version, an_approval
from tests.support.training_runs import world

SECRET = "AQDEtoken"


@dataclass
class Machines:
    """Step Functions, as far as the CLI calls it."""

    error: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def _call(self, name: str, arguments: dict[str, Any]) -> None:
        self.calls.append((name, arguments))
        if self.error:
            message = f"Invalid Token: {arguments.get('taskToken')}"
            raise ClientError({"Error": {"Code": self.error, "Message": message}}, name)

    def send_task_success(self, **arguments: Any) -> None:
        self._call("success", arguments)

    def send_task_failure(self, **arguments: Any) -> None:
        self._call("failure", arguments)

    def start_execution(self, **arguments: Any) -> None:
        self._call("start", arguments)


@dataclass
class Stack:
    """A deployment over fakes."""

    ports: Ports
    person: str = "ada"
    machines: Machines = field(default_factory=Machines)
    outputs: dict[str, str] = field(default_factory=lambda: {"DeployMachineArn": "arn:deploy"})
    start = deployment.Deployment.start

    def client(self, service: str) -> Machines:
        assert service == "stepfunctions"
        return self.machines


def a_stack(versions: int = 2, person: str = "ada") -> Stack:
    ports = fake_ports(Definitions({}, {}, {}), clock=FixedClock(AT))
    for number in range(1, versions + 1):
        graph = linear_graph(bias=float(number))
        register(ports, a_manifest(graph, version=number), graph, champion=False)
    return Stack(ports, person)


def waiting() -> Stack:
    stack = a_stack()
    stack.ports.catalog.request_approval(an_approval(2, MODEL), SECRET)
    return stack


def as_deployment(stack: Stack) -> Deployment:
    return cast(Deployment, stack)


def test_an_approval_is_recorded_and_the_execution_that_waits_is_told() -> None:
    stack = waiting()
    approval, told = decide(as_deployment(stack), MODEL, 2, "approved", "looks well")
    assert (approval.status, approval.by, told) == ("approved", "ada", True)
    assert stack.machines.calls == [("success", {"taskToken": SECRET, "output": '{"approved": true}'})]
    assert stack.ports.catalog.version(MODEL, 2).stage == "candidate"


def test_a_rejection_is_told_with_its_reason() -> None:
    stack = waiting()
    assert decide(as_deployment(stack), MODEL, 2, "rejected", "too dear")[1]
    assert stack.machines.calls == [("failure", {"taskToken": SECRET, "error": "Rejected", "cause": "too dear"})]
    assert stack.ports.catalog.version(MODEL, 2).stage == "refused"


def test_a_decision_whose_teller_was_killed_is_told_by_the_same_command_again() -> None:
    stack = waiting()
    stack.ports.catalog.decide(MODEL, 2, "approved", AT, "ada", "")  # and there it was killed
    assert decide(as_deployment(stack), MODEL, 2, "approved", "")[1]
    assert [name for name, _ in stack.machines.calls] == ["success"]


def test_the_second_person_is_told_who_was_first_and_only_the_same_decision_is_told_again() -> None:
    for decision, told in (("approved", 1), ("rejected", 0)):
        stack = waiting()
        stack.ports.catalog.decide(MODEL, 2, "approved", AT, "bob", "mine")
        with pytest.raises(ConflictError, match=r"was approved by bob at .*: mine; that stands"):
            decide(as_deployment(stack), MODEL, 2, cast(Any, decision), "no")
        assert len(stack.machines.calls) == told


@pytest.mark.parametrize("code", ["TaskDoesNotExist", "TaskTimedOut", "InvalidToken"])
def test_an_execution_that_is_gone_is_no_error(code: str) -> None:
    stack = waiting()
    stack.machines.error = code
    approval, told = decide(as_deployment(stack), MODEL, 2, "approved", "")
    assert (approval.status, told) == ("approved", False)


def test_a_refusal_of_the_service_says_what_to_do_and_not_the_token() -> None:
    stack = waiting()
    stack.machines.error = "AccessDeniedException"
    with pytest.raises(PerennialError, match=r"is recorded, but .*\(AccessDeniedException\); run the same") as refusal:
        decide(as_deployment(stack), MODEL, 2, "approved", "")
    assert SECRET not in str(refusal.value)
    assert refusal.value.__suppress_context__


def test_a_promotion_starts_the_machine_for_the_person() -> None:
    stack = a_stack()
    run_id = promote(as_deployment(stack), MODEL, 2, "it is better", override_gate=True)
    ((name, given),) = stack.machines.calls
    assert (name, given["name"], given["stateMachineArn"]) == ("start", run_id, "arn:deploy")
    trigger = {"kind": "person", "source": "ada", "reason": "it is better", "no_cache": False}
    trigger |= {"override_gate": True, "at_once": False, "retry_of": ""}
    assert json.loads(given["input"]) == {"model": MODEL, "version": 2, "trigger": trigger}


def test_what_may_not_be_promoted_starts_nothing() -> None:
    stack = waiting()
    with pytest.raises(ConflictError, match="waits for approval"):
        promote(as_deployment(stack), MODEL, 2, "now", override_gate=True)
    with pytest.raises(NotFoundError, match="version 9"):
        promote(as_deployment(stack), MODEL, 9, "now", override_gate=True)
    stack.ports.artifacts.delete(keys.artifact(MODEL, 1, "model.onnx"))
    with pytest.raises(DataError, match="not intact"):
        promote(as_deployment(stack), MODEL, 1, "now", override_gate=True)
    assert stack.machines.calls == []


def served(*versions: int) -> Ports:
    ports = a_stack(3).ports
    before = None
    for version in versions:
        before = ports.catalog.promote(MODEL, version, before, AT, "run", "better").version
    return ports


def test_rolling_back_twice_goes_there_and_back() -> None:
    ports = served(1, 2)
    for before, after in ((2, 1), (1, 2)):
        found, champion = roll_back(ports, MODEL, None, "me", "")
        assert (found, champion.version, champion.previous) == (before, after, before)
    assert [(entry.action, entry.reason) for entry in ports.catalog.audit(MODEL)[:2]] == [("rollback", "rollback")] * 2


@pytest.mark.parametrize(
    ("promoted", "to", "sentence"),
    [((1,), None, "served no version before 1"), ((1, 2), 2, "serves already"), ((1, 2), 3, "has never served")],
)
def test_a_roll_back_that_leads_nowhere_is_refused(promoted: tuple[int, ...], to: int | None, sentence: str) -> None:
    ports = served(*promoted)
    with pytest.raises(ConflictError, match=sentence):
        roll_back(ports, MODEL, to, "me", "")
    champion = ports.catalog.champion(MODEL)
    assert champion is not None
    assert champion.version == promoted[-1]


def challenged() -> Ports:
    """Return fakes in which version 2 serves, 1 served before, and 3 answers a tenth of the callers."""
    ports = served(1, 2)
    ports.catalog.set_challenger(MODEL, a_challenger(3, MODEL, run_id="deploy-3"), 2, AT, "deploy-3", "better")
    return ports


def test_a_roll_back_while_a_version_is_on_its_way_withdraws_that_one_first() -> None:
    ports = challenged()
    found, champion = roll_back(ports, MODEL, None, "me", "it looks odd")
    assert (found, champion.version, champion.previous, champion.challenger) == (3, 2, 1, None)
    entry, version = ports.catalog.audit(MODEL)[0], ports.catalog.version(MODEL, 3)
    assert (entry.action, entry.by, entry.reason) == ("withdraw", "me", "it looks odd")
    assert (version.stage, version.reason) == ("candidate", "it looks odd")
    found, champion = roll_back(ports, MODEL, None, "me", "")
    assert (found, champion.version) == (2, 1)


def test_a_roll_back_to_a_version_that_is_named_ends_what_is_on_its_way_in_one_go() -> None:
    ports = challenged()
    found, champion = roll_back(ports, MODEL, 1, "me", "")
    assert (found, champion.version, champion.challenger) == (2, 1, None)
    entry = ports.catalog.audit(MODEL)[0]
    assert (entry.action, entry.detail) == ("rollback", "ends the canary 10 % of version 3")


def test_a_model_shows_what_is_on_its_way() -> None:
    content, tables = describe_model(challenged(), MODEL)
    assert content["champion"]["challenger"]["version"] == 3
    screen = io.StringIO()
    for shown in tables:
        Console(file=screen, width=250).print(shown)
    assert "on its way to serve" in screen.getvalue()
    assert "canary 10 %" in screen.getvalue()


def test_what_is_not_intact_is_not_rolled_back_to() -> None:
    ports = served(1, 2)
    ports.artifacts.put(keys.artifact(MODEL, 1, "model.onnx"), b"something else")
    with pytest.raises(DataError, match=r"version 1 of taxi_fare is not intact: model\.onnx"):
        roll_back(ports, MODEL, None, "me", "")


def test_an_alias_says_what_it_stood_for() -> None:
    ports = a_stack().ports
    assert change_alias(ports, MODEL, "shadow", 1, "ada", "")[1] is None
    alias, before = change_alias(ports, MODEL, "shadow", 2, "ada", "")
    assert (alias.version, before) == (2, 1)
    assert change_alias(ports, MODEL, "shadow", None, "ada", "")[0].version == 2
    assert ports.catalog.aliases(MODEL) == []


def test_a_tag_is_a_key_and_a_value() -> None:
    ports = a_stack().ports
    assert tag(ports, MODEL, 1, ["owner=ada", "formula=a=b"], "ada") == {"formula": "a=b", "owner": "ada"}
    assert tag(ports, MODEL, 1, ["owner="], "ada") == {"formula": "a=b"}
    with pytest.raises(DataError, match="'owner' is no tag; write KEY=VALUE"):
        tag(ports, MODEL, 1, ["owner"], "ada")


def test_a_model_shows_what_waits_and_for_how_long_and_its_labels() -> None:
    stack = waiting()
    catalog, clock = stack.ports.catalog, stack.ports.clock
    assert isinstance(clock, FixedClock)
    catalog.tag(MODEL, 1, {"owner": "ada"}, AT, "ada")
    catalog.set_alias(MODEL, "shadow", 2, AT, "ada")
    catalog.note(MODEL, 1, "made for the fair", AT, "ada")
    clock.set(AT + timedelta(days=2, hours=3, minutes=4))
    content, tables = describe_model(stack.ports, MODEL)
    assert content["aliases"] == {"shadow": 2}
    assert [(one["version"], one["waits"]) for one in content["approvals"]] == [(2, "2 d 3 h")]
    assert [(one["version"], one["text"]) for one in content["notes"]] == [(1, "made for the fair")]
    assert [(one["stage"], one["tags"]) for one in content["versions"]] == [
        ("staging", {}), ("candidate", {"owner": "ada"})
    ]  # fmt: skip
    assert SECRET not in json.dumps(content)
    screen = io.StringIO()
    for shown in tables:
        Console(file=screen, width=250).print(shown)
    for word in ("staging", "2 d 3 h", "shadow", "owner=ada", "made for the fair"):
        assert word in screen.getvalue()


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(), "0 min"),
        (timedelta(minutes=5), "5 min"),
        (timedelta(hours=2, minutes=5), "2 h 5 min"),
        (timedelta(days=1), "1 d 0 h"),
        (timedelta(seconds=-5), "0 min"),
    ],
)
def test_a_wait_is_told_in_two_units(length: timedelta, words: str) -> None:
    assert since(AT, AT + length) == words


def test_a_suspension_lasts_as_long_as_a_person_says_and_is_shown_with_the_model() -> None:
    ports = fake_ports(world(), clock=FixedClock(AT))
    ports.catalog.publish_version(a_version(1, "fare"))
    suspension = suspend(ports, "fare", "2 days", "ada", "prices are being repaired")
    assert suspension.until == AT + timedelta(days=2)
    content, _ = describe_model(ports, "fare")
    assert content["suspension"] == suspension.model_dump(mode="json")
    with pytest.raises(DataError, match="--for: a duration is written like"):
        suspend(ports, "fare", "soon", "ada", "why not")
    with pytest.raises(NotFoundError, match="no model 'oracle'"):
        suspend(ports, "oracle", None, "ada", "why not")
