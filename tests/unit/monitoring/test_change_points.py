"""Change points are where they were planted, and seldom where none was."""

from __future__ import annotations

import numpy as np
import pytest

from perennial.monitoring.change_points import change_points, unchanged_since


def test_a_planted_change_is_found_where_it_is() -> None:
    series = np.random.default_rng(1).standard_normal(60)
    series[40:] += 5
    (found,) = change_points(series.tolist())
    assert found.place == 40
    assert found.before == pytest.approx(0, abs=0.5)
    assert found.after == pytest.approx(5, abs=0.5)
    assert found.chance < 1e-6
    assert unchanged_since((found,)) == 40


def test_a_passing_change_has_a_beginning_and_an_end() -> None:
    series = np.random.default_rng(2).standard_normal(90) * 0.5
    series[30:60] += 3
    assert [change.place for change in change_points(series.tolist())] == [30, 60]


def test_a_series_without_a_change_has_none_at_the_stated_rate() -> None:
    draw = np.random.default_rng(3)
    assert sum(bool(change_points(draw.standard_normal(50).tolist(), level=0.05)) for _ in range(400)) <= 0.05 * 400


def test_a_series_that_hangs_together_is_not_cut_much_oftener() -> None:
    draw, alarms = np.random.default_rng(4), 0
    for _ in range(300):
        series = np.zeros(150)
        for t, noise in enumerate(draw.standard_normal(150)):
            series[t] = 0.6 * series[t - 1] + noise
        alarms += bool(change_points(series[50:].tolist(), level=0.05))
    assert alarms / 300 <= 0.1  # as if independent, more than half would be cut


def test_means_of_few_rows_weigh_less() -> None:
    series, rows = [1.0] * 10 + [1.0, 9.0, 1.0] + [1.0] * 10, [100.0] * 10 + [100, 0.01, 100] + [100.0] * 10
    jitter = np.random.default_rng(5).standard_normal(23) * 0.1
    assert change_points((np.array(series) + jitter).tolist(), rows) == ()


def test_exact_figures_are_cut_where_they_jump_and_nowhere_else() -> None:
    assert [change.place for change in change_points([2.0] * 20 + [3.0] * 20)] == [20]
    assert change_points([2.0] * 40) == ()
    assert change_points([1.0, 9.0, 1.0]) == ()
    assert unchanged_since(()) == 0


@pytest.mark.parametrize(("days", "places"), [(100, (40, 80)), (30, (12, 24))])
def test_two_jumps_do_not_hide_each_other(days: int, places: tuple[int, int]) -> None:
    series = np.random.default_rng(7).normal(0, 0.08, days)
    series[places[0] :] += 3
    series[places[1] :] -= 5
    found = change_points(series.tolist())
    assert tuple(change.place for change in found) == places
    assert found[-1].after - found[-1].before == pytest.approx(-5, abs=0.2)
