"""Plan the next round of a run's search, from what the rounds before it found."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from perennial import keys
from perennial.definitions import Model
from perennial.errors import NotFoundError
from perennial.ports import Ports
from perennial.records import Round, TrialResult, TrialTask
from perennial.steps.recording import recorded
from perennial.steps.verified import read_training_set, read_verified, same_definition
from perennial.training.search.rounds import Place, first_round, next_round, place_of


class Request(BaseModel):
    """Which run, and how far its search has come."""

    run_id: str
    model: str
    round: int = 0
    """The round that was run; 0 before the first."""
    sha256: str = ""
    """Of that round's plan."""


class Searched(BaseModel):
    """What is to be tried now, or that the search is over."""

    run_id: str
    model: str
    round: int
    sha256: str
    """Of the round's plan."""
    trials: int
    """Tasks of the round."""
    done: bool
    reason: str
    """What ended the search; empty while it goes on."""


def run(request: Request, ports: Ports) -> Searched:
    """Read the results of the last round and write the next round's plan, unless it is there already.

    A plan follows from the definition, the seed and the results alone: which trial was faster, was killed and tried
    again, or ended first changes nothing. A job that left no result is a failed trial.

    Raises
    ------
    DefinitionError
        More trials failed than the model allows.
    DataError
        The plan of the last round is not the one that was made.
    ConflictError
        The model's definition was changed while the run was under way.
    """
    with recorded(ports, request.run_id, "search") as output:
        same_definition(ports, request.model, request.run_id)
        model = ports.definitions.model(request.model)
        key = keys.search_round(model.name, request.run_id, request.round + 1)
        content = _planned(ports, key)
        if content is None:
            content = _plan(ports, model, request).model_dump_json(indent=1).encode()
            ports.artifacts.put(key, content, "application/json")
        plan = Round.model_validate_json(content)
        searched = Searched(
            run_id=request.run_id,
            model=model.name,
            round=plan.number,
            sha256=hashlib.sha256(content).hexdigest(),
            trials=len(plan.tasks),
            done=not plan.tasks,
            reason=plan.reason,
        )
        output.update(searched.model_dump(mode="json") | progress(model, plan) | {"key": key})
    return searched


def progress(model: Model, plan: Round) -> dict[str, Any]:
    """Return how far a search has come, as small JSON: what it took, and each candidate's best."""
    found = {name: _so_far(plan, name) for name in plan.candidates}
    return {"metric": model.metric, "seconds": plan.seconds, "dollars": plan.dollars, "candidates": found}


def _so_far(plan: Round, name: str) -> dict[str, Any]:
    found, top = plan.candidates[name], len(plan.shares) - 1
    best = None if found.best is None else found.trials[found.best]
    return {
        "trials": len(found.trials),
        "waiting": sum(task.candidate == name for task in plan.tasks),
        "failed": sum(trial.error is not None for trial in found.trials),
        "number": found.best,
        "value": None if best is None else best.values[top],
        "default": found.trials[0].values.get(top) if found.trials else None,
        "parameters": {} if best is None else best.parameters,
        "stopped": found.stopped or plan.reason,
    }


def _planned(ports: Ports, key: str) -> bytes | None:
    try:
        return ports.artifacts.get(key)
    except NotFoundError:
        return None


def _plan(ports: Ports, model: Model, request: Request) -> Round:
    if request.round == 0:
        return first_round(model, read_training_set(ports, request.run_id).rows_train, ports.clock.now())
    key = keys.search_round(model.name, request.run_id, request.round)
    before = Round.model_validate_json(read_verified(ports.artifacts, key, request.sha256))
    results = _results(ports, model.name, request.run_id, before.tasks)
    return next_round(model, before, results, ports.job)


def _results(ports: Ports, model: str, run_id: str, tasks: Iterable[TrialTask]) -> dict[Place, TrialResult]:
    found = {}
    for task in tasks:
        content = _planned(ports, keys.trial(model, run_id, task.candidate, task.number, task.rung))
        if content is not None:
            found[place_of(task)] = TrialResult.model_validate_json(content)
    return found
