"""Deployments by phases over fakes: what is seen of the two versions is made up, the rest is as deployed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from perennial.definitions import Delivery
from perennial.fakes import FixedClock
from perennial.manifest import Manifest
from perennial.ports import Ports
from perennial.records import Challenger, Trigger
from perennial.steps import advance, promote, smoke
from perennial.steps.delivering.observed import Observed
from tests.support.artifacts import MODEL, a_manifest, linear_graph, register

BY_TRAINING = Trigger(kind="run", source="train-2", reason="version 2 passed the gate")
BY_ADA = Trigger(kind="person", source="ada", reason="it is better")
STEPWISE = Delivery(
    shadow=timedelta(hours=1), canary=(0.1, 0.5), bake=timedelta(hours=2), min_rows=100, on_too_little="rollback"
)


def requests(number: int, failures: int = 0, milliseconds: float = 5.0, version: int = 0) -> Observed:
    """Return so many requests of one row, of which the first ones failed."""
    return Observed(
        version,
        np.ones(number, dtype=np.int64),
        np.full(number, milliseconds),
        np.arange(number) < failures,
    )


@dataclass
class Traffic:
    """What is seen of champion and challenger at each look; a test changes it as it goes."""

    champion: Observed = field(default_factory=lambda: requests(1000))
    challenger: Observed = field(default_factory=lambda: requests(200))
    asked: list[tuple[str, datetime]] = field(default_factory=list)
    """Phase and moment of each look."""

    def __call__(
        self, ports: Ports, champion: Manifest, challenger: Manifest, there: Challenger, until: datetime
    ) -> tuple[Observed, Observed]:
        """Observe, as `perennial.steps.advance.Observe` has it."""
        self.asked.append((there.phase, until))
        return replace(self.champion, version=champion.version), replace(self.challenger, version=challenger.version)


def with_delivery(ports: Ports, limits: Delivery) -> Ports:
    """Return ports whose model is delivered so."""
    models = {name: model.model_copy(update={"delivery": limits}) for name, model in ports.definitions.models.items()}
    return replace(ports, definitions=replace(ports.definitions, models=models))


def two_versions(ports: Ports) -> None:
    """Register version 1, which serves, and versions 2 and 3."""
    register(ports)
    for version in (2, 3):
        graph = linear_graph(bias=4.0 + version)
        register(ports, a_manifest(graph, version=version), graph, champion=False)


def tried(ports: Ports, run_id: str = "deploy-2", version: int = 2, trigger: Trigger = BY_TRAINING) -> None:
    """Take a deployment through its smoke test."""
    smoke.run(smoke.Request(run_id=run_id, model=MODEL, version=version, trigger=trigger), ports)


def advanced(ports: Ports, traffic: Callable[..., Any], run_id: str = "deploy-2", version: int = 2) -> advance.Move:
    """Ask what is next."""
    request = advance.Request(run_id=run_id, model=MODEL, version=version, look_seconds=60)
    return advance.run(request, ports, traffic)


def promoted(ports: Ports, run_id: str = "deploy-2", version: int = 2) -> promote.Promotion:
    """Let the version serve."""
    return promote.run(promote.Request(run_id=run_id, model=MODEL, version=version), ports)


def until_moved(ports: Ports, traffic: Traffic, run_id: str = "deploy-2", version: int = 2) -> advance.Move:
    """Look as often as the machine would, until there is nothing to wait for."""
    clock = ports.clock
    assert isinstance(clock, FixedClock)
    for _ in range(10_000):
        move = advanced(ports, traffic, run_id, version)
        if move.next != "wait":
            return move
        clock.advance(seconds=move.seconds)
    raise AssertionError("it waits forever")
