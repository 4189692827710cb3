"""The rungs of a search: a parameter set sees a part of the rows first, and the better half goes on to more of them.

Successive halving (Jamieson and Talwalkar, 2016) with the promotion rule of ASHA (Li et al., 2020: whoever is among the
best half of all that finished a rung goes on), applied between rounds: so it does not depend on who finished first.
"""

from __future__ import annotations

from collections.abc import Sequence

from perennial.definitions import Search
from perennial.records import Trial

_SHARES = (1 / 16, 1 / 4, 1.0)
LEAST_ROWS = 5000
"""Rows below which a part of them says too little about which parameters are better."""


def shares_of(search: Search, rows: int) -> tuple[float, ...]:
    """Return the shares of the rows that the rungs stand for, the last of them 1.

    Parameters
    ----------
    rows : int
        Of the training set, without the held-out ones.
    """
    if not search.halving:
        return (1.0,)
    return tuple(share for share in _SHARES if share == 1 or share * rows >= LEAST_ROWS)


def promoted(trials: Sequence[Trial], rungs: int, more_is_better: bool, *, last: bool) -> list[tuple[Trial, int]]:
    """Return the trials that go on, each with the rung that it goes to, the highest rungs first.

    Parameters
    ----------
    trials : sequence of Trial
        All of a candidate; none is under way.
    last : bool
        Whether no further parameter set will come: then half of an odd number is rounded up, else down.
    """
    going: list[tuple[Trial, int]] = []
    for rung in reversed(range(rungs - 1)):
        ranked = ranking([trial for trial in trials if rung in trial.values], rung, more_is_better)
        half = (len(ranked) + last) // 2
        going += [(trial, rung + 1) for trial in ranked[:half] if rung + 1 not in trial.values and not trial.error]
    return going


def ranking(trials: Sequence[Trial], rung: int, more_is_better: bool) -> list[Trial]:
    """Return the trials that have a value on a rung, best first; of equals the earlier one."""
    sign = -1 if more_is_better else 1
    return sorted((trial for trial in trials if rung in trial.values), key=lambda t: (sign * t.values[rung], t.number))


def best_of(trials: Sequence[Trial], rungs: int, more_is_better: bool) -> Trial | None:
    """Return the best trial on all rows; None if there is none."""
    return next(iter(ranking([trial for trial in trials if not trial.error], rungs - 1, more_is_better)), None)
