"""Planning a search's rounds: a function of the definition, the seed and the results, and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from perennial.definitions import Candidate, Model, Scalar
from perennial.prices import JobSize
from perennial.records import CandidateSearch, Round, Trial, TrialResult, TrialTask
from perennial.training.search.budget import check_failures, ended, spent
from perennial.training.search.ladder import best_of, promoted, shares_of
from perennial.training.search.sampler import ask

Place = tuple[str, int, int]
"""Candidate, trial and rung."""
LOST = "its job ended without a result: it was killed, or had too little memory or time"


def searched(model: Model) -> list[Candidate]:
    """Return the candidates that have a space."""
    return [candidate for candidate in model.candidates if candidate.space]


def place_of(task: TrialTask) -> Place:
    """Return where the result of a task belongs."""
    return task.candidate, task.number, task.rung


def first_round(model: Model, rows: int, now: datetime) -> Round:
    """Plan the first round: each candidate's defaults on all rows, and others beside them.

    Parameters
    ----------
    rows : int
        Of the training set, without the held-out ones.
    """
    begin = Round(
        number=0,
        began_at=now,
        shares=shares_of(model.search, rows),
        tasks=(),
        candidates={candidate.name: CandidateSearch() for candidate in searched(model)},
    )
    return _planned(model, begin)


def next_round(model: Model, before: Round, results: Mapping[Place, TrialResult], job: JobSize) -> Round:
    """Plan the round after another one.

    Parameters
    ----------
    before : Round
        The round that was run.
    results : mapping
        What came of its tasks; of one that is missing, its job was lost.
    job : JobSize
        What each task cost.

    Raises
    ------
    DefinitionError
        Too many trials failed.
    """
    found = [results.get(place_of(task)) for task in before.tasks]
    done = [result.ended_at for result in found if result]
    seconds = max([before.seconds, *((moment - before.began_at).total_seconds() for moment in done)])
    known = before.model_copy(
        update={
            "seconds": seconds,
            "dollars": before.dollars + sum(job.dollars(result.seconds if result else 0.0) for result in found),
            "candidates": {name: _learnt(model, name, before, results) for name in before.candidates},
        }
    )
    return _planned(model, known)


def _learnt(model: Model, name: str, before: Round, results: Mapping[Place, TrialResult]) -> CandidateSearch:
    """Return a candidate's trials with what came of the round."""
    trials = {trial.number: trial for trial in before.candidates[name].trials}
    for task in before.tasks:
        if task.candidate == name:
            trials[task.number] = _with(trials[task.number], task.rung, results.get(place_of(task)))
    known = tuple(trials[number] for number in sorted(trials))
    best = best_of(known, len(before.shares), model.more_is_better)
    return before.candidates[name].model_copy(update={"trials": known, "best": None if best is None else best.number})


def _with(trial: Trial, rung: int, result: TrialResult | None) -> Trial:
    if result is None:
        return trial.model_copy(update={"error": LOST})
    changes: dict[str, object] = {
        "error": result.error,
        "seconds": trial.seconds + result.seconds,
        "defaults": result.defaults,
    }
    if result.value is not None:
        changes |= {"values": {**trial.values, rung: result.value}, "folds": result.folds}
    return trial.model_copy(update=changes)


def _planned(model: Model, known: Round) -> Round:
    """Return the round after what is known, with its tasks, or without any and with the reason."""
    number, search = known.number + 1, model.search
    reason = spent(known.model_copy(update={"number": number}), search)
    candidates = {
        name: found.model_copy(update={"stopped": ended(found, search)}) for name, found in known.candidates.items()
    }
    known = known.model_copy(update={"number": number, "candidates": dict(candidates)})
    tasks: list[TrialTask] = []
    for name, places in ({} if reason else _places(model, known)).items():
        candidates[name], given = _given(model, name, known, places)
        tasks += given
    reason = reason if reason or tasks else "; ".join(dict.fromkeys(found.stopped for found in candidates.values()))
    for name, found in candidates.items():
        waiting = any(task.candidate == name for task in tasks) or _has_more(model, known, found)
        check_failures(name, found, search, over=bool(reason) or not waiting)
    return known.model_copy(update={"tasks": tuple(tasks), "candidates": candidates, "reason": reason})


def _places(model: Model, known: Round) -> dict[str, int]:
    """Return how many of a round's places each candidate is given that still has something to try.

    Whoever would get one more than the others changes from round to round.
    """
    open_ = [name for name, found in known.candidates.items() if _has_more(model, known, found)]
    if not open_:
        return {}
    turn = (known.number - 1) % len(open_)
    each, rest = divmod(model.search.parallel, len(open_))
    return {name: each + (place < rest) for place, name in enumerate(open_[turn:] + open_[:turn])}


def _has_more(model: Model, known: Round, found: CandidateSearch) -> bool:
    return not found.stopped or bool(promoted(found.trials, len(known.shares), model.more_is_better, last=True))


def _given(model: Model, name: str, known: Round, places: int) -> tuple[CandidateSearch, list[TrialTask]]:
    """Fill a candidate's places: first with those that go on to more rows, then with new parameter sets."""
    found, rungs, search = known.candidates[name], len(known.shares), model.search
    stopped = found.stopped
    going = promoted(found.trials, rungs, model.more_is_better, last=bool(stopped))[:places]
    wanted = 0 if stopped else min(places - len(going), search.trials - len(found.trials))
    fresh = _fresh(model, name, known, wanted) if wanted > 0 else []
    if len(fresh) < wanted:
        stopped = "the space has no other parameter set"
        going = promoted(found.trials, rungs, model.more_is_better, last=True)[: places - len(fresh)]
    new = [
        Trial(number=len(found.trials) + offset, round=known.number, parameters=parameters)
        for offset, parameters in enumerate(fresh)
    ]
    # Without a search, it is the defaults that would be trained: they are judged on all rows at once.
    rung_of = {trial.number: rungs - 1 if trial.number == 0 else 0 for trial in new}
    tasks = [(trial, rung) for trial, rung in going] + [(trial, rung_of[trial.number]) for trial in new]
    return found.model_copy(update={"trials": (*found.trials, *new), "stopped": stopped}), [
        TrialTask(
            candidate=name,
            number=trial.number,
            rung=rung,
            share=known.shares[rung],
            parameters=trial.parameters,
        )
        for trial, rung in tasks
    ]


def _fresh(model: Model, name: str, known: Round, wanted: int) -> list[dict[str, Scalar]]:
    trials = known.candidates[name].trials
    defaults: list[dict[str, Scalar]] = [] if trials else [{}]
    return defaults + ask(
        model.candidate(name),
        trials,
        wanted - len(defaults),
        search=model.search,
        rungs=len(known.shares),
        seed=f"{model.seed}/{name}/{known.number}",
        more_is_better=model.more_is_better,
    )
