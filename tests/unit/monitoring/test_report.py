"""What a report is made of: where values lie, since when, and how they were spread."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from perennial.monitoring.baseline import column_baseline, make_baseline
from perennial.monitoring.report import Day, place_of, shapes_of, since_when
from perennial.monitoring.window import count, count_column

LEARNT = np.random.default_rng(3).standard_normal(5000)


def a_day(number: int, place: float = 0.5, performance: float | None = 1.0, labelled: int = 100) -> Day:
    return Day(
        day=date(2019, 1, 1) + timedelta(days=number),
        rows=100,
        labelled=labelled,
        final=True,
        performance=performance,
        estimated=None,
        places={"trip__distance": place},
    )


def test_the_place_is_the_chance_that_a_learnt_value_lies_below() -> None:
    column = column_baseline(LEARNT)
    assert place_of(column, count_column(column, LEARNT)) == pytest.approx(0.5)
    # Of normal values that are shifted by d it is the normal law at d over the root of 2: 0.76 at 1.
    assert place_of(column, count_column(column, LEARNT + 1)) == pytest.approx(0.760, abs=0.01)
    assert place_of(column, count_column(column, LEARNT + 9)) == pytest.approx(1, abs=0.02)
    assert place_of(column, count_column(column, np.full(3, np.nan))) is None


def test_since_when_is_the_day_of_the_latest_change() -> None:
    jitter = np.random.default_rng(1).normal(0, 0.005, 30)
    days = [a_day(number, (0.5, 0.7)[number >= 12] + jitter[number], 1.0 + jitter[-number]) for number in range(30)]
    (since,) = since_when(days, ["trip__distance", "trip__hour"], 0.01)
    assert (since.subject, since.day) == ("trip__distance", date(2019, 1, 13))
    assert (since.before, since.after) == (pytest.approx(0.5, abs=0.01), pytest.approx(0.7, abs=0.01))


def test_days_with_few_labels_are_no_points_of_the_performance() -> None:
    jitter = np.random.default_rng(1).normal(0, 0.01, 30)
    days = [
        a_day(n, 0.5 + jitter[n], (1.0, 9.0)[n >= 20] + jitter[n], labelled=100 if n < 20 else 19) for n in range(30)
    ]
    assert since_when(days, [], 0.01) == ()


def test_a_shape_has_shares_of_all_rows_with_missing_and_unknown_ones() -> None:
    places = np.array([0.0] * 60 + [1.0] * 40)
    baseline = make_baseline(np.column_stack([LEARNT[:100], places]), ["x__n", "x__c"], {"x__c": 2}, LEARNT[:100])
    window = count(baseline, np.array([[np.nan, 1.0], [0.0, -1.0], [0.0, 1.0], [9.0, np.nan]]))
    number, category = shapes_of(baseline, window.counts, ["x__n", "x__c"], {"x__c": ("cash", "card")})
    assert [(one.label, one.learnt, one.seen) for one in category.bins] == [
        ("cash", 0.6, 0),
        ("card", 0.4, 0.5),
        ("unknown", 0, 0.25),
        ("missing", 0, 0.25),
    ]
    assert sum(one.learnt for one in number.bins) == pytest.approx(1)
    assert sum(one.seen for one in number.bins) == pytest.approx(1)
    assert (number.bins[-1].label, number.bins[-1].seen) == ("missing", 0.25)
    assert " to " in number.bins[0].label
