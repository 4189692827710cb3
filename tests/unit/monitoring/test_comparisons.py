"""Comparisons of one column: each signal sees its own kind of change, and its threshold is where chance ends."""

from __future__ import annotations

import numpy as np
import pytest

from perennial.monitoring.baseline import ColumnBaseline, column_baseline
from perennial.monitoring.cells import UNSEEN
from perennial.monitoring.comparisons import Comparison, comparisons
from perennial.monitoring.window import count_column

NUMBER = column_baseline(np.random.default_rng(1).standard_normal(20_000))
CATEGORY = column_baseline(np.random.default_rng(2).choice(3, 20_000, p=[0.5, 0.3, 0.2]).astype(float), 3)
LEVEL = 1e-4


def compared(column: ColumnBaseline, values: np.ndarray) -> dict[str, Comparison]:
    return {found.kind: found for found in comparisons(column, count_column(column, values))}


def as_before(rows: int = 2000) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(rows)


def test_nothing_is_unlikely_where_nothing_moved() -> None:
    found = compared(NUMBER, as_before())
    assert found.keys() == {"distribution", "shift", "missing", "beyond"}
    assert min(one.chance for one in found.values()) > 0.01


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("distribution", lambda x: x * 1.5),
        ("shift", lambda x: x + 0.4),
        ("missing", lambda x: np.where(np.arange(len(x)) % 50 == 0, np.nan, x)),
        ("beyond", lambda x: np.where(np.arange(len(x)) % 100 == 0, 99.0, x)),
    ],
)
def test_a_change_of_a_number_is_seen_by_its_own_signal(kind: str, change: object) -> None:
    assert callable(change)
    found = compared(NUMBER, change(as_before()))[kind]
    assert found.chance < LEVEL
    assert found.value > found.threshold(LEVEL)


def test_a_category_that_no_training_row_had_is_seen_apart_from_missing_ones() -> None:
    values = np.random.default_rng(4).choice(3, 2000, p=[0.5, 0.3, 0.2]).astype(float)
    values[:20] = UNSEEN
    found = compared(CATEGORY, values)
    assert found.keys() == {"distribution", "missing", "unseen"}
    assert found["unseen"].value == 0.01
    assert found["unseen"].chance < LEVEL < 0.01 < min(found["missing"].chance, found["distribution"].chance)


def test_a_share_that_fell_is_a_change_as_well() -> None:
    draw = np.random.default_rng(5)
    values = draw.standard_normal(20_000)
    values[draw.random(20_000) < 0.2] = np.nan
    found = compared(column_baseline(values), as_before())["missing"]
    assert (found.value, round(found.reference, 1)) == (0, 0.2)
    assert found.chance < LEVEL


def test_an_empty_window_and_one_of_missing_values_say_what_they_can() -> None:
    assert compared(NUMBER, np.empty(0)) == {}
    assert compared(NUMBER, np.full(300, np.nan)).keys() == {"missing"}


def test_days_that_always_differed_are_no_alarm() -> None:
    draw = np.random.default_rng(6)

    def days(number: int) -> np.ndarray:
        return np.repeat(draw.standard_normal(number) * 0.5, 500) + draw.standard_normal(number * 500)

    column = column_baseline(days(200))
    independent = column_baseline(draw.permutation(days(200)))
    alarms = {True: 0, False: 0}
    for _ in range(100):
        window = days(1)
        for known in (True, False):
            found = compared(column if known else independent, window)
            alarms[known] += min(found["shift"].chance, found["distribution"].chance) < 0.005
    assert alarms[True] <= 3
    assert alarms[False] > 70
