"""Backtests judge on earlier stretches what was learnt before each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from perennial.training.backtests import Stretch, backtest, stretches
from perennial.training.rows import Rows

BEGIN = datetime(2019, 1, 1)
DAY = timedelta(days=1)
SPLIT_AT = BEGIN + 10 * DAY
Matrix = npt.NDArray[np.float64]


def hourly(days: int = 10, seed: int | None = 0) -> Rows:
    """Return a row an hour in shuffled order, whose one feature and whose target are its number."""
    number = np.arange(days * 24.0)
    if seed is not None:
        np.random.default_rng(seed).shuffle(number)
    times = np.datetime64(BEGIN, "us") + number.astype(np.int64) * np.timedelta64(1, "h")
    return Rows(times, number[:, None], number)


class Spy:
    """Predicts the mean, and remembers what it was shown."""

    def __init__(self) -> None:
        self.learnt: list[Rows] = []
        self.asked: list[Matrix] = []

    def __call__(self, rows: Rows, features: Matrix) -> Matrix:
        self.learnt.append(rows)
        self.asked.append(features)
        return np.full(len(features), rows.target.mean())


def test_stretches_end_where_the_next_begins_and_the_last_at_the_split() -> None:
    assert stretches(SPLIT_AT, 2 * DAY, 2) == (
        Stretch(BEGIN + 6 * DAY, BEGIN + 8 * DAY),
        Stretch(BEGIN + 8 * DAY, SPLIT_AT),
    )


def test_each_stretch_is_judged_by_what_was_before_it() -> None:
    spy = Spy()
    found = backtest(spy, hourly(), SPLIT_AT, 2 * DAY, 2, least=10)
    assert [sorted(rows.target) for rows in spy.learnt] == [list(range(144)), list(range(192))]
    assert [sorted(asked[:, 0]) for asked in spy.asked] == [list(range(144, 192)), list(range(192, 240))]
    assert [(test.start, test.rows_train) for test in found] == [(BEGIN + 6 * DAY, 144), (BEGIN + 8 * DAY, 192)]
    # Means by hand: (0 + 143) / 2 is 96 below (144 + 191) / 2.
    assert [test.metrics["mae"] for test in found] == [96.0, 120.0]


def test_rows_from_the_split_on_are_not_looked_at() -> None:
    """The future is planted with what would spoil every figure."""
    plain, later = hourly(), hourly(13)
    poisoned = Rows(later.event_time, later.features, np.where(later.target >= 240, 1e12, later.target))
    one, other = (backtest(Spy(), rows, SPLIT_AT, 2 * DAY, 3, least=10) for rows in (plain, poisoned))
    assert [test.metrics["n"] for test in one] == [48, 48, 48]
    assert [test.metrics["mae"] for test in one] == pytest.approx([test.metrics["mae"] for test in other])


def test_the_target_of_a_stretch_says_nothing_to_what_predicts_it() -> None:
    plain = hourly()
    late = plain.target >= 192
    spoilt = Rows(plain.event_time, plain.features, np.where(late, -1e12, plain.target))
    one, other = Spy(), Spy()
    for spy, rows in ((one, plain), (other, spoilt)):
        backtest(spy, rows, SPLIT_AT, 2 * DAY, 2, least=10)
    for mine, theirs in zip(one.learnt, other.learnt, strict=True):
        np.testing.assert_array_equal(mine.target, theirs.target)


def test_history_reaches_back_from_the_stretch() -> None:
    spy = Spy()
    backtest(spy, hourly(), SPLIT_AT, 2 * DAY, 2, history=DAY, least=10)
    assert [(rows.target.min(), rows.target.max()) for rows in spy.learnt] == [(120, 143), (168, 191)]


@pytest.mark.parametrize(
    ("folds", "least", "judged"),
    [(0, 1, []), (4, 48, [2, 4, 6, 8]), (4, 49, []), (5, 1, [2, 4, 6, 8]), (4, 47, [2, 4, 6, 8])],
)
def test_a_stretch_with_few_rows_on_either_side_is_left_out(folds: int, least: int, judged: list[int]) -> None:
    found = backtest(Spy(), hourly(), SPLIT_AT, 2 * DAY, folds, least=least)
    assert [test.start for test in found] == [BEGIN + days * DAY for days in judged]


def test_a_stretch_before_which_there_was_one_class_is_left_out() -> None:
    rows = hourly()
    classes = Rows(rows.event_time, rows.features, (rows.target >= 150) * 1.0)
    found = backtest(Spy(), classes, SPLIT_AT, 2 * DAY, 2, task="binary", least=10)
    assert [test.start for test in found] == [BEGIN + 8 * DAY]
    assert "brier" in found[0].metrics


def test_moments_with_a_zone_are_utc() -> None:
    aware: Any = SPLIT_AT.replace(tzinfo=UTC)
    one, other = (backtest(Spy(), hourly(), at, DAY, 2, least=10) for at in (SPLIT_AT, aware))
    assert [test.metrics for test in one] == [test.metrics for test in other]
