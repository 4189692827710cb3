"""Runs whose candidates are searched, and searches without any rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from perennial.definitions import Model
from perennial.fakes import fake_ports
from perennial.ports import Ports
from perennial.prices import JobSize
from perennial.records import Round, TrialResult, TrialTask
from perennial.steps import admit, search, trial
from perennial.training.search.rounds import Place, first_round, next_round, place_of
from tests.support.training_runs import PERSON, put_snapshots, put_training_set, trips, world

AT = datetime(2019, 3, 1, tzinfo=UTC)
LINE: dict[str, Any] = {
    "name": "line",
    "algorithm": "ridge",
    "space": {"alpha": {"low": 1e-3, "high": 1e3, "log": True}},
}
TREES: dict[str, Any] = {
    "name": "trees",
    "algorithm": "hist_gradient_boosting",
    "parameters": {"max_iter": 8},
    "space": {
        "learning_rate": {"low": 0.02, "high": 1.0, "log": True},
        "max_leaf_nodes": {"low": 4, "high": 40},
    },
}


def searching(*candidates: dict[str, Any], hours: int = 400, **keys: Any) -> Ports:
    """Return fakes with a run that has its training set; ``keys`` are those of the model's ``search``."""
    limits = {"trials": 6, "parallel": 3, **keys}
    ports = fake_ports(world(candidates=list(candidates or (LINE, TREES)), search=limits))
    put_snapshots(ports, "s1")
    assert admit.run(admit.Request(run_id="run-1", model="fare", trigger=PERSON), ports).searches
    put_training_set(ports, "run-1", trips(hours))
    return ports


def plan(ports: Ports, before: search.Searched | None = None) -> search.Searched:
    """Run the step ``search`` behind a round."""
    behind = {} if before is None else {"round": before.round, "sha256": before.sha256}
    return search.run(search.Request(run_id="run-1", model="fare", **behind), ports)


def try_one(ports: Ports, planned: search.Searched, index: int) -> trial.Tried:
    """Run one trial of a round."""
    request = trial.Request(run_id="run-1", model="fare", round=planned.round, sha256=planned.sha256, index=index)
    return trial.run(request, ports)


def search_all(
    ports: Ports,
    order: Callable[[int], Sequence[int]] = range,
    run: Callable[[Ports, search.Searched, int], Any] = try_one,
) -> search.Searched:
    """Search to the end; ``order`` says in which order a round's trials are run, ``run`` how."""
    planned = plan(ports)
    while not planned.done:
        for index in order(planned.trials):
            run(ports, planned, index)
        planned = plan(ports, planned)
    return planned


def a_model(**changes: Any) -> Model:
    """Return a model with one candidate that is searched by its learning rate."""
    return world(candidates=[TREES], **changes).model("fare")


def a_result(task: TrialTask, value: float | None, seconds: float = 1.0, error: str | None = None) -> TrialResult:
    """Return what came of a task."""
    return TrialResult(value=value, folds=() if value is None else (value,), error=error, seconds=seconds, ended_at=AT)


def bowl(task: TrialTask) -> TrialResult:
    """Return a result that is the better the nearer the parameters are to a rate of 0.1 and ten leaves."""
    rate = float(task.parameters.get("learning_rate", 1.0))
    leaves = float(task.parameters.get("max_leaf_nodes", 31))
    return a_result(task, math.log10(rate * 10) ** 2 + (leaves - 10) ** 2 / 1000 + 0.1 / task.share)


def simulate(model: Model, answer: Callable[[TrialTask], TrialResult | None] = bowl, rows: int = 1000) -> list[Round]:
    """Plan rounds until the search ends, with made-up results; None is a job that was lost."""
    rounds = [first_round(model, rows, AT)]
    while rounds[-1].tasks:
        results: dict[Place, TrialResult] = {}
        for task in rounds[-1].tasks:
            result = answer(task)
            if result is not None:
                results[place_of(task)] = result
        rounds.append(next_round(model, rounds[-1], results, JobSize()))
    return rounds
