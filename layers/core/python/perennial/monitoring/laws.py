"""The laws that test figures follow where nothing has moved: numpy and the standard library alone.

Each function gives the upper tail, ``P(X > x)``, and keeps its digits where that is tiny: many tests share one
false-alarm rate, so what decides is far out. The incomplete gamma and beta functions are summed as W. Press and others
do (*Numerical Recipes*, 3rd edition, 2007, sections 6.2 and 6.4); the tests hold them to scipy's.
"""

from __future__ import annotations

import math
from collections.abc import Callable

_PRECISION = 1e-15
_TINY = 1e-300
_SHOWN = 1e-8
"""Relative precision of a quantile."""
_STEPS = 1_000_000


def normal_tail(x: float) -> float:
    """Return P(X > x) of the standard normal law."""
    return 0.5 * math.erfc(x / math.sqrt(2))


def chi_squared_tail(x: float, freedom: float) -> float:
    """Return P(X > x) of chi-squared with ``freedom`` > 0 degrees of freedom."""
    return 1.0 if x <= 0 else _upper_gamma(freedom / 2, x / 2)


def noncentral_chi_squared_tail(x: float, freedom: float, shift: float) -> float:
    """Return P(X > x) of noncentral chi-squared: a Poisson(shift / 2) mixture of chi-squared with 2 degrees more each.

    Parameters
    ----------
    shift : float
        The noncentrality, not negative: what the mean is above ``freedom``.
    """
    if shift == 0:
        return chi_squared_tail(x, freedom)
    mean, spread = shift / 2, 8 * math.sqrt(shift / 2) + 20
    total = 0.0
    for k in range(max(0, int(mean - spread)), int(mean + spread) + 1):
        weight = math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))
        total += weight * chi_squared_tail(x, freedom + 2 * k)
    return min(total, 1.0)


def f_tail(x: float, above: float, below: float) -> float:
    """Return P(X > x) of Fisher's F with ``above`` and ``below`` degrees of freedom."""
    return 1.0 if x <= 0 else beta_share(below / (below + above * x), below / 2, above / 2)


def student_tail(x: float, freedom: float) -> float:
    """Return P(X > x) of Student's t with ``freedom`` degrees of freedom; infinitely many make it normal."""
    if math.isinf(freedom):
        return normal_tail(x)
    half = 0.5 * beta_share(freedom / (freedom + x * x), freedom / 2, 0.5)
    return half if x > 0 else 1 - half


def binomial_tail(count: float, trials: float, chance: float) -> float:
    """Return P(X >= count) of a binomial law.

    Counts need not be whole: what a design effect divides is no whole number, and the beta function does not mind.
    """
    if count <= 0:
        return 1.0
    return beta_share(chance, count, trials - count + 1) if count <= trials else 0.0


def beta_share(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function: the share of a Beta(a, b) law below x, 0 <= x <= 1."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return min(front * _beta_fraction(x, a, b) / a, 1.0)
    return 1 - min(front * _beta_fraction(1 - x, b, a) / b, 1.0)


def upper_quantile(tail: Callable[[float], float], level: float) -> float:
    """Return the x above 0 whose upper tail is ``level``; 0 where the tail is below that everywhere.

    Parameters
    ----------
    tail : callable
        Falls with x, towards 0.
    """
    low, high = 0.0, 1.0
    while tail(high) > level:
        low, high = high, 2 * high
    while high - low > _SHOWN * high and high > _TINY:
        middle = (low + high) / 2
        if tail(middle) > level:
            low = middle
        else:
            high = middle
    return high


def _upper_gamma(a: float, x: float) -> float:
    """Return the regularised upper incomplete gamma function, a > 0 and x > 0."""
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        for n in range(1, _STEPS):
            term *= x / (a + n)
            total += term
            if term < total * _PRECISION:
                break
        return max(1 - front * total, 0.0)
    b, c = x + 1 - a, 1 / _TINY
    d = fraction = 1 / b
    for n in range(1, _STEPS):
        factor, b = -n * (n - a), b + 2
        d = 1 / _away_from_zero(factor * d + b)
        c = _away_from_zero(b + factor / c)
        fraction *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return min(front * fraction, 1.0)


def _beta_fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    fraction = d
    for n in range(1, _STEPS):
        even = n * (b - n) * x / ((a + 2 * n - 1) * (a + 2 * n))
        odd = -(a + n) * (a + b + n) * x / ((a + 2 * n) * (a + 2 * n + 1))
        for factor in (even, odd):
            d = 1 / _away_from_zero(1 + factor * d)
            c = _away_from_zero(1 + factor / c)
            fraction *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return fraction


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
