"""Histograms on grids that nest: exact to compare, whatever range each was made for."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.data.profiling.histogram import BINS, CELLS, Histogram, make_histogram, stability

numbers = st.one_of(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60),
    st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=60),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20),
)


def of(values: list[float]) -> Histogram:
    return make_histogram(np.sort(np.asarray(values)) + 0)


@given(numbers)
def test_each_value_is_counted_once_where_it_lies(values: list[float]) -> None:
    found = of(values)
    array, edges = np.asarray(values), np.asarray(found.edges)
    assert found.total == len(values)
    assert found.below == np.count_nonzero(array < edges[0])
    assert found.above == np.count_nonzero(array >= edges[-1])
    inside = [np.count_nonzero((array >= low) & (array < high)) for low, high in pairwise(edges)]
    assert list(found.counts) == inside
    assert 1 <= len(found.counts) <= BINS + 2


@given(numbers)
def test_edges_are_multiples_of_a_power_of_two(values: list[float]) -> None:
    found = of(values)
    assert math.frexp(found.width)[0] == 0.5
    assert all((edge / found.width).is_integer() for edge in found.edges)


def test_far_outliers_do_not_hide_the_middle() -> None:
    middle = np.random.default_rng(1).uniform(0, 1, 1000)
    found = of([*middle.tolist(), 1e9, -1e9])
    assert (found.below, found.above) == (1, 1)
    assert len(found.counts) >= BINS // 2


def test_whole_numbers_have_no_bins_between_them() -> None:
    found = make_histogram(np.sort(np.random.default_rng(1).integers(0, 10, 1000)))
    assert found.width == 1
    assert len(found.counts) == 10


def test_a_month_is_shown_by_the_day() -> None:
    start = 1_548_979_200  # 2019-02-01, UTC
    seconds = np.sort(np.random.default_rng(1).integers(start, start + 28 * 86_400, 10_000))
    found = make_histogram(seconds, moments=True)
    assert found.edges == tuple(float(start + 86_400 * day) for day in range(29))
    assert found.total - found.below - found.above == 10_000


def test_nothing_has_moved_between_a_column_and_itself() -> None:
    found = of(np.random.default_rng(1).normal(size=5000).tolist())
    psi, cells = stability(found, found)
    assert psi == 0
    assert 5 <= cells <= CELLS + 1


@settings(max_examples=200)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100), st.floats(-100, 100), st.integers(1, 300))
def test_two_histograms_compare_as_the_values_on_their_common_grid(
    seed: int, scale: float, shift: float, size: int
) -> None:
    random = np.random.default_rng(seed)
    one, two = random.normal(size=400), random.normal(shift, scale, size)
    before, now = of(one.tolist()), of(two.tolist())
    psi, cells = stability(before, now)
    assert psi >= 0
    assert 1 <= cells <= CELLS + 1
    width = max(before.width, now.width)
    low, high = max(before.edges[0], now.edges[0]), min(before.edges[-1], now.edges[-1])
    edges = np.arange(math.ceil(low / width), math.floor(high / width) + 1) * width
    if len(edges):  # the ranges overlap: the same figure from the values themselves
        e, a = (np.bincount(np.searchsorted(edges, x, side="right"), minlength=len(edges) + 1) for x in (one, two))
        assert psi == pytest.approx(_psi_by_tenths(e, a), abs=1e-9)


def _psi_by_tenths(e: np.ndarray, a: np.ndarray) -> float:
    """PSI over runs of cells with a tenth of both, half a count added to each run that is not empty in both."""
    p, q = e / e.sum(), a / a.sum()
    runs, start = [], 0
    for end in range(1, len(e) + 1):
        if (p[start:end].sum() + q[start:end].sum()) / 2 >= 0.1 - 1e-12:
            runs.append((e[start:end].sum(), a[start:end].sum()))
            start = end
    runs.append((e[start:].sum(), a[start:].sum()))
    kept = np.asarray([run for run in runs if any(run)], dtype=float) + 0.5
    p, q = (kept / kept.sum(axis=0)).T
    return float(np.sum((q - p) * np.log(q / p)))


def test_columns_that_do_not_overlap_have_moved_much() -> None:
    low, high = of(np.linspace(0, 1, 1000).tolist()), of(np.linspace(50, 51, 1000).tolist())
    assert stability(low, high)[0] > 1
    assert stability(high, low)[0] == pytest.approx(stability(low, high)[0])


def test_a_range_that_only_grew_is_compared_where_both_have_values() -> None:
    random = np.random.default_rng(1)
    before = of(random.uniform(0, 1, 10_000).tolist())
    now = of(np.concatenate([random.uniform(0, 1, 9_900), random.uniform(1, 100, 100)]).tolist())
    assert stability(before, now)[0] < 0.1
