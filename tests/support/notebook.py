"""A person at a notebook, whose state machine is this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perennial.definitions.files import Definitions
from perennial.errors import PerennialError
from perennial.fakes import fake_ports
from perennial.ports import Ports
from perennial.records import Trigger
from perennial.steps import admit, evaluate, fail, register, take_submission
from tests.support.training_runs import judge_all, put_snapshots, put_training_set, trips, world

ADA = "arn:aws:iam::000000000000:user/ada"


class Ada:
    """Starts a training run and goes through its steps at once, as the machine ``train`` does for a submission."""

    person = ADA

    def __init__(self, ports: Ports, price: float = 2.0) -> None:
        self.ports = ports
        self.price = price
        self.reasons: list[str] = []

    def start(self, verb: str, about: Mapping[str, Any], reason: str) -> str:
        """Run the steps to the end, a failure as the machine's ``fail`` records it; return the run's id."""
        assert verb == "train"
        run_id = f"train-{about['submission'][:8]}-{len(self.reasons)}"
        self.reasons.append(reason)
        trigger = Trigger(kind="person", source=ADA, reason=reason)
        try:
            if admitted(self.ports, run_id, str(about["submission"]), trigger):
                put_training_set(self.ports, run_id, trips(price=self.price))
                take(self.ports, run_id, str(about["submission"]))
                evaluate.run(evaluate.Request(run_id=run_id, model="fare"), self.ports)
                made = register.run(register.Request(run_id=run_id, model="fare"), self.ports)
                if made.passed:
                    champion = self.ports.catalog.champion("fare")
                    before, now = champion.version if champion else None, self.ports.clock.now()
                    self.ports.catalog.promote("fare", made.version, before, now, run_id, "it passed the gate")
        except PerennialError as error:  # as the state machine catches it; a fault of the code itself fails the test
            caught = fail.Request(run_id=run_id, kind="train", subject="fare", error=type(error).__name__)
            fail.run(caught, self.ports)
        return run_id


def admitted(ports: Ports, run_id: str, submission: str, trigger: Trigger) -> bool:
    """Ask for a run that judges a submission; tell whether it may go on."""
    request = admit.Request(run_id=run_id, model="fare", trigger=trigger, submission=submission)
    return admit.run(request, ports).admitted


def take(ports: Ports, run_id: str, submission: str) -> take_submission.Taken:
    """Run the step that takes a submission."""
    return take_submission.run(take_submission.Request(run_id=run_id, model="fare", submission=submission), ports)


def a_lab(crowned: bool = True, definitions: Definitions | None = None, **gate: Any) -> Ports:
    """Return fakes with the model ``fare`` (`tests.support.training_runs`), by default with a champion."""
    ports = fake_ports(definitions or world(gate={"max_error": 3.0, **gate}))
    put_snapshots(ports, "s1")
    if crowned:
        judge_all(ports, "run-0")
        version = register.run(register.Request(run_id="run-0", model="fare"), ports).version
        ports.catalog.promote("fare", version, None, ports.clock.now(), "test", "first")
    return ports
