"""The laws are scipy's, also far out."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from perennial.monitoring.laws import (
    beta_share,
    binomial_tail,
    chi_squared_tail,
    f_tail,
    noncentral_chi_squared_tail,
    normal_tail,
    student_tail,
    upper_quantile,
)


@pytest.mark.parametrize(("x", "freedom"), [(0.1, 1), (3, 9), (9, 9), (80, 9), (120.5, 24), (9000, 8000), (2, 2.5)])
def test_the_tail_of_chi_squared_is_that_of_scipy(x: float, freedom: float) -> None:
    assert chi_squared_tail(x, freedom) == pytest.approx(stats.chi2.sf(x, freedom), rel=1e-9)


@pytest.mark.parametrize(("x", "freedom", "shift"), [(30, 9, 0), (30, 9, 5), (30, 9, 60), (1, 3, 2.5), (700, 24, 600)])
def test_the_tail_of_noncentral_chi_squared_is_that_of_scipy(x: float, freedom: float, shift: float) -> None:
    assert noncentral_chi_squared_tail(x, freedom, shift) == pytest.approx(
        stats.ncx2.sf(x, freedom, shift) if shift else stats.chi2.sf(x, freedom), rel=1e-8
    )


@pytest.mark.parametrize(("x", "above", "below"), [(0.2, 3, 7), (4, 9, 90), (30, 1.7, 12.5), (9, 9, 1e5)])
def test_the_tail_of_f_is_that_of_scipy(x: float, above: float, below: float) -> None:
    assert f_tail(x, above, below) == pytest.approx(stats.f.sf(x, above, below), rel=1e-8)


@pytest.mark.parametrize(("x", "freedom"), [(-1, 3), (0, 5), (4.5, 7), (12, 19), (3, math.inf)])
def test_the_tails_of_student_and_the_normal_law_are_those_of_scipy(x: float, freedom: float) -> None:
    assert student_tail(x, freedom) == pytest.approx(stats.t.sf(x, freedom), rel=1e-9)
    assert normal_tail(x) == pytest.approx(stats.norm.sf(x), rel=1e-12)


@pytest.mark.parametrize(
    ("count", "trials", "chance"), [(0, 5, 0.1), (3, 5, 0.1), (40, 1000, 0.02), (60_000, 1_000_000, 0.059), (6, 5, 0.5)]
)
def test_the_tail_of_a_binomial_is_that_of_scipy(count: float, trials: float, chance: float) -> None:
    assert binomial_tail(count, trials, chance) == pytest.approx(stats.binom.sf(count - 1, trials, chance), rel=1e-6)


def test_the_share_of_a_beta_law_ends_at_its_ends() -> None:
    assert (beta_share(0, 2, 3), beta_share(1, 2, 3)) == (0, 1)
    assert beta_share(0.3, 2.5, 0.7) == pytest.approx(stats.beta.cdf(0.3, 2.5, 0.7), rel=1e-10)


def test_a_quantile_is_where_the_tail_is_the_level() -> None:
    found = upper_quantile(lambda x: chi_squared_tail(x, 9), 1e-5)
    assert found == pytest.approx(stats.chi2.isf(1e-5, 9), rel=1e-7)
    assert upper_quantile(normal_tail, 0.7) == pytest.approx(0, abs=1e-12)
