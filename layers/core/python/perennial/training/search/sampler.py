"""Asking Optuna for parameter sets: from what is known and a seed, so that the same question has the same answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from perennial.definitions import Candidate, Scalar, Search, Space
from perennial.records import Trial

_TRIES = 20
"""How often more than what is wanted is asked for where the same parameters come again."""


def ask(
    candidate: Candidate,
    trials: Sequence[Trial],
    count: int,
    *,
    search: Search,
    rungs: int,
    seed: str,
    more_is_better: bool,
) -> list[dict[str, Scalar]]:
    """Return parameter sets to try next, all different from one another and from what was tried.

    Parameters
    ----------
    candidate : Candidate
        Whose ``space`` is searched.
    trials : sequence of Trial
        What is known, in the order of the numbers. One that did not reach the last rung counts as pruned there, as
        Optuna's own pruners leave it.
    count : int
        How many are wanted; fewer come where the space has no others.
    rungs : int
        Number of rungs.
    seed : str
        Any text that names this question among all of the search.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {name: _distribution(space) for name, space in candidate.space.items()}
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4])
    study = optuna.create_study(
        direction="maximize" if more_is_better else "minimize", sampler=_sampler(search.method, number)
    )
    for trial in trials:
        if (told := _told(candidate, trial, distributions, rungs)) is not None:
            study.add_trial(told)
    known = {_identity({**_defaults(candidate, trial), **trial.parameters}) for trial in trials}
    found: list[dict[str, Scalar]] = []
    for _ in range(_TRIES * count):
        if len(found) == count:
            break
        asked = study.ask(distributions).params
        parameters = {name: _readable(asked[name], space) for name, space in candidate.space.items()}
        if (identity := _identity(parameters)) not in known:
            known.add(identity)
            found.append(parameters)
    return found


def _sampler(method: str, seed: int) -> optuna.samplers.BaseSampler:
    if method == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    # A round is asked for in one go, so that Optuna's liar would know nothing that the next round does not.
    return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=False)


def _distribution(space: Space) -> BaseDistribution:
    if space.choices:
        return CategoricalDistribution(space.choices)
    assert space.low is not None, "a range has both ends"
    assert space.high is not None, "a range has both ends"
    if space.whole:
        return IntDistribution(int(space.low), int(space.high), log=space.log)
    return FloatDistribution(space.low, space.high, log=space.log)


def _told(
    candidate: Candidate, trial: Trial, distributions: Mapping[str, BaseDistribution], rungs: int
) -> optuna.trial.FrozenTrial | None:
    """Return a trial as Optuna knows it; None of the defaults where the space does not reach them."""
    parameters = {**_defaults(candidate, trial), **trial.parameters}
    if not all(name in parameters and _within(space, parameters[name]) for name, space in candidate.space.items()):
        return None
    full = trial.values.get(rungs - 1)
    done = TrialState.COMPLETE if full is not None else TrialState.PRUNED
    return optuna.trial.create_trial(
        state=TrialState.FAIL if trial.error or not trial.values else done,
        value=full if not trial.error else None,
        params=parameters,
        distributions=dict(distributions),
        intermediate_values={} if trial.error else dict(trial.values),
    )


def _defaults(candidate: Candidate, trial: Trial) -> dict[str, Scalar]:
    return {name: value for name, value in trial.defaults.items() if name in candidate.space and value is not None}


def _within(space: Space, value: Scalar) -> bool:
    if space.choices:
        return any(type(value) is type(choice) and value == choice for choice in space.choices)
    if isinstance(value, bool | str) or space.low is None or space.high is None:
        return False
    return space.low <= value <= space.high and (not space.whole or isinstance(value, int))


def _readable(value: Scalar, space: Space) -> Scalar:
    """Return a number with four significant digits, as people read them in reports; a whole one as it is."""
    if not isinstance(value, float) or space.low is None or space.high is None:
        return value
    return min(max(float(f"{value:.4g}"), space.low), space.high)


def _identity(parameters: Mapping[str, Scalar]) -> str:
    return json.dumps(parameters, sort_keys=True)
