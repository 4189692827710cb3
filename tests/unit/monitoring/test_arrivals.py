"""How rows come: volume and freshness."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from perennial.monitoring.arrivals import freshness, volume


def test_the_volume_is_judged_by_a_prediction_interval_of_earlier_periods() -> None:
    earlier = [900, 1100, 1000, 1200, 800]
    found = volume(earlier, 300)
    spread = np.std(earlier, ddof=1) * (1 + 1 / 5) ** 0.5
    assert found is not None
    assert found.expected == 1000
    assert found.chance == pytest.approx(2 * stats.t.sf(700 / spread, 4))


def test_periods_that_are_more_alike_than_chance_allows_count_as_poisson() -> None:
    found = volume([100] * 30, 70)
    assert found is not None
    assert found.chance == pytest.approx(2 * stats.t.sf(3 / (1 + 1 / 30) ** 0.5, 29))


def test_a_stated_rate_holds_for_periods_that_vary_more_than_poisson() -> None:
    draw = np.random.default_rng(2)
    alarms = 0
    for _ in range(3000):
        counts = draw.negative_binomial(20, 20 / 520, 15).tolist()
        found = volume(counts[:-1], counts[-1])
        alarms += found is not None and found.chance <= 0.05
    assert alarms / 3000 == pytest.approx(0.05, abs=0.02)


def test_a_silence_longer_than_all_gaps_of_nineteen_periods_has_a_chance_of_a_twentieth() -> None:
    gaps = [float(gap) for gap in range(1, 20)]
    longest = freshness(gaps, 100.0)
    usual = freshness(gaps, 10.0)
    assert longest is not None
    assert usual is not None
    assert longest.chance == pytest.approx(1 / 20)
    assert usual.chance == pytest.approx(11 / 20)


def test_few_or_empty_periods_say_nothing() -> None:
    assert volume([10, 10, 10], 0) is None
    assert volume([0, 0, 0, 0], 5) is None
    assert freshness([1.0, 2.0], 9.0) is None
