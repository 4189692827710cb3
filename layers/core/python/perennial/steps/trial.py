"""Try one parameter set of a search's round: a child of the round's array job."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pydantic import BaseModel

from perennial import keys
from perennial.definitions import Candidate, Model
from perennial.errors import DataError, DefinitionError, NotFoundError
from perennial.ports import Ports
from perennial.records import FoldScore, Round, TrainingSet, TrialResult, TrialTask
from perennial.steps.verified import download_verified, read_training_set, read_verified, same_definition
from perennial.training.problem import Problem, problem_of
from perennial.training.rows import Rows, read_rows
from perennial.training.search.folds import Fold, folds, judge


class Request(BaseModel):
    """Which task of which round."""

    run_id: str
    model: str
    round: int
    sha256: str
    """Of the round's plan."""
    index: int = 0
    """The task's place in the plan; a child of an array job is told it by Batch."""


class Tried(BaseModel):
    """What came of it."""

    candidate: str
    number: int
    rung: int
    value: float | None
    error: str | None


def run(request: Request, ports: Ports) -> Tried:
    """Judge a parameter set by backtests within the training rows, and leave the result in the artifacts.

    Each backtest that is done is kept: whoever is killed goes on behind it. A result that is there stays as it is.
    Parameters that the estimator refuses, or whose metric cannot be measured, are a result too. The held-out rows are
    never read.

    Raises
    ------
    DataError
        The plan or the training set is not the one that was recorded, or the round has no such task.
    ConflictError
        The model's definition was changed while the run was under way.
    """
    same_definition(ports, request.model, request.run_id)
    model = ports.definitions.model(request.model)
    place = keys.search_round(request.model, request.run_id, request.round)
    plan = Round.model_validate_json(read_verified(ports.artifacts, place, request.sha256))
    if not 0 <= request.index < len(plan.tasks):
        raise DataError(
            f"run {request.run_id}: round {request.round} has {len(plan.tasks)} trials, and none with index "
            f"{request.index}; submit as many jobs as it has"
        )
    task = plan.tasks[request.index]
    key = keys.trial(request.model, request.run_id, task.candidate, task.number, task.rung)
    try:
        result = TrialResult.model_validate_json(ports.artifacts.get(key))
    except NotFoundError:
        result = _try(ports, model, request.run_id, task)
        ports.artifacts.put(key, result.model_dump_json().encode(), "application/json")
    return Tried(candidate=task.candidate, number=task.number, rung=task.rung, value=result.value, error=result.error)


def _try(ports: Ports, model: Model, run_id: str, task: TrialTask) -> TrialResult:
    candidate = model.candidate(task.candidate)
    tried = candidate.model_copy(update={"parameters": {**candidate.parameters, **task.parameters}})
    training_set = read_training_set(ports, run_id)
    problem = problem_of(model, training_set, ports.definitions)
    rows = _rows(ports, training_set)
    try:
        parts = folds(
            rows, training_set.split_at, model.split.holdout, model.search.folds, candidate.history, model.task
        )
    except DataError as error:
        return TrialResult(value=None, error=str(error), seconds=0.0, ended_at=ports.clock.now())
    scores: list[FoldScore] = []
    for place, fold in enumerate(parts):
        scores.append(_score(ports, model, tried, problem, run_id, task, place, fold))
        if scores[-1].error:
            break
    values = [score.value for score in scores if score.value is not None]
    return TrialResult(
        value=None if scores[-1].error else sum(values) / len(values),
        folds=tuple(values),
        error=scores[-1].error,
        seconds=sum(score.seconds for score in scores),
        ended_at=ports.clock.now(),
        defaults=scores[0].defaults if task.number == 0 else {},
    )


def _rows(ports: Ports, training_set: TrainingSet) -> Rows:
    """Return the rows to learn from; the held-out ones stay where they are."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.parquet"
        download_verified(ports.artifacts, training_set.train_key, training_set.sha256[training_set.train_key], path)
        return read_rows(path, training_set.features, training_set.categories, training_set.classes)


def _score(
    ports: Ports,
    model: Model,
    candidate: Candidate,
    problem: Problem,
    run_id: str,
    task: TrialTask,
    place: int,
    fold: Fold,
) -> FoldScore:
    """Return what a fold gives: as an earlier attempt left it, or measured now and left for a later one."""
    key = keys.trial(model.name, run_id, task.candidate, task.number, task.rung, place)
    try:
        return FoldScore.model_validate_json(ports.artifacts.get(key))
    except NotFoundError:
        pass
    began = ports.clock.now()
    try:
        judged = judge(model, candidate, problem, fold, task.share)
    except (DataError, DefinitionError, ArithmeticError, MemoryError) as error:
        sentence = str(error) or type(error).__name__
        score = FoldScore(value=None, error=sentence, seconds=(ports.clock.now() - began).total_seconds())
    else:
        seconds = (ports.clock.now() - began).total_seconds()
        score = FoldScore(value=judged.value, rows=judged.rows, seconds=seconds, defaults=judged.defaults)
    ports.artifacts.put(key, score.model_dump_json().encode(), "application/json")
    return score
