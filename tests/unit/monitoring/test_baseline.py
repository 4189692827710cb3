"""Baselines keep what windows are compared with, in a file of one size."""

from __future__ import annotations

import numpy as np
import pytest

from perennial.monitoring.baseline import Baseline, column_baseline, make_baseline


def rows(number: int, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return np.stack([draw.standard_normal(number), draw.exponential(size=number), draw.integers(0, 4, number)], axis=1)


def test_a_baseline_survives_json_and_is_the_same_each_time() -> None:
    values = rows(5000, 1)
    first, second = (make_baseline(values, ["a", "b", "c"], {"c": 4}, values[:, 0]) for _ in range(2))
    assert first.model_dump_json() == second.model_dump_json()
    assert Baseline.model_validate_json(first.model_dump_json()) == first
    assert first.columns["c"].kind == "category"
    assert first.columns["a"].rows == 5000


def test_it_does_not_grow_with_the_rows() -> None:
    small, large = (
        len(make_baseline(rows(number, 2), ["a", "b", "c"], {"c": 4}, np.zeros(10)).model_dump_json())
        for number in (20_000, 200_000)
    )
    assert large < 1.2 * small


def test_rows_in_no_order_count_as_independent() -> None:
    assert column_baseline(rows(5000, 3)[:, 0], ordered=False).distribution_effects == ()


def test_days_that_differ_show_in_the_design_effects_and_independent_rows_do_not() -> None:
    draw = np.random.default_rng(4)
    days = np.repeat(draw.standard_normal(300) * 0.3, 200)
    noise = draw.standard_normal(60_000)
    together, alone = column_baseline(days + noise), column_baseline(noise)
    # Of blocks of one day the mean varies by 0.09 beyond 1.09 / 200: 17 times as much.
    assert together.shift_effects[0].effect == pytest.approx(17, rel=0.25)
    assert together.distribution_effects[0].effect > 2
    assert max(effect.effect for effect in alone.shift_effects[:2]) < 1.4
    assert max(effect.effect for effect in alone.distribution_effects[:2]) < 1.2


def test_a_share_of_missing_values_that_comes_in_days_has_an_effect() -> None:
    values = np.random.default_rng(5).standard_normal(20_000)
    values[4000:4200] = np.nan
    assert column_baseline(values).missing_effects[0].effect > 50
