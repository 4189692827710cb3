"""Figures as multiples of their limits: above 1 exactly where a signal is an alarm."""

from __future__ import annotations

import numpy as np
import pytest

from perennial.definitions import SIGNALS
from perennial.monitoring.baseline import make_baseline
from perennial.monitoring.published import METRICS, group_of, multiple, published
from perennial.monitoring.signals import Policy, Signals, assess
from perennial.monitoring.window import count

DRAW = np.random.default_rng(0)
LEARNT = DRAW.standard_normal((5000, 3))
BASELINE = make_baseline(LEARNT, ["a", "b", "c"], {}, LEARNT[:, 0])


def found(shift: float, rows: int = 2000, missing: int = 0) -> Signals:
    window = np.random.default_rng(1).standard_normal((rows, 3))
    window[:, 1] += shift
    window[:missing, 2] = np.nan
    return assess(BASELINE, count(BASELINE, window, window[:, 0]))


def test_each_metric_is_of_a_signal_that_may_have_an_alarm_but_for_what_the_log_lost() -> None:
    assert set(METRICS.values()) == {*SIGNALS, "lost"}


@pytest.mark.parametrize("shift", [0, 0.05, 0.5, 2])
def test_a_figure_is_above_one_exactly_where_one_of_its_signals_is_an_alarm(shift: float) -> None:
    signals = found(shift, missing=100 if shift > 1 else 0)
    alarmed = {group_of(one) for one in signals.alarms}
    assert {group for group, figure in published(signals, Policy()).items() if figure > 1} == alarmed


def test_a_figure_is_the_change_over_the_least_one() -> None:
    policy = Policy()
    signals = found(0.5, missing=100)
    (shift,) = (one for one in signals.signals if (one.subject, one.kind) == ("b", "shift"))
    assert multiple(shift, policy) == pytest.approx(0.5 / 0.1, rel=0.15)
    (missing,) = (one for one in signals.signals if (one.subject, one.kind) == ("c", "missing"))
    assert multiple(missing, policy) == pytest.approx(0.05 / 0.01)
    assert published(signals, policy)["quality"] == pytest.approx(5)


def test_what_chance_may_have_made_is_at_most_the_limit() -> None:
    signals = found(0.3, rows=30)  # a third of a standard deviation, of thirty rows
    (shift,) = (one for one in signals.signals if (one.subject, one.kind) == ("b", "shift"))
    assert (shift.large, shift.significant) == (True, False)
    assert multiple(shift, Policy()) == 1
