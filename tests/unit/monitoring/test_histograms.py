"""Histograms hold every value in exactly one cell."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.manifest import Histogram
from perennial.monitoring.histograms import CATEGORY_BINS, count_into, make_category_histogram, make_histogram, quantile

NAN = math.nan


def counts(edges: list[float], values: list[float]) -> list[int]:
    return [int(count) for count in count_into(edges, np.array(values, dtype=np.float64))]


def test_values_fall_into_half_open_bins_of_which_the_last_is_closed() -> None:
    #                                                  below  [0,1)  [1,2]  above  missing
    assert counts([0, 1, 2], [-1, 0, 0.5, 1, 2, 2.5, NAN]) == [1, 2, 2, 1, 1]


def test_infinite_values_lie_beyond_the_edges() -> None:
    assert counts([0, 1], [-math.inf, math.inf]) == [1, 0, 1, 0]


def test_without_edges_there_are_present_and_missing_values_only() -> None:
    assert counts([], [1, 2, NAN]) == [2, 1]


def test_many_values_are_cut_at_their_quantiles() -> None:
    # The k-th decile of 0 … 999 is the value at which the share of smaller or equal ones reaches k / 10.
    histogram = make_histogram(np.arange(1000, dtype=np.float64), bins=10)
    assert histogram.edges == (0, 99, 199, 299, 399, 499, 599, 699, 799, 899, 999)
    assert histogram.counts == (0, 99, *[100] * 8, 101, 0, 0)


def test_few_distinct_values_have_a_bin_each() -> None:
    histogram = make_histogram(np.array([1, 2, 2, 7, 7, 7, NAN]))
    assert histogram.counts == (0, 1, 2, 3, 0, 1)
    assert counts(list(histogram.edges), [7, 7.5, 0.5]) == [1, 0, 0, 1, 1, 0]


def test_a_constant_has_one_bin_and_everything_else_lies_outside() -> None:
    histogram = make_histogram(np.full(5, 3.0))
    assert histogram.counts == (0, 5, 0, 0)
    assert counts(list(histogram.edges), [2.999, 3.0, 3.001]) == [1, 1, 1, 0]


def test_a_frequent_largest_value_is_kept_apart_from_smaller_ones() -> None:
    # Half of the values are 99: without an edge above it, the last bin would hold what lies below as well.
    values = np.concatenate([np.arange(0, 99), np.full(99, 99.0)])
    histogram = make_histogram(values)
    assert histogram.counts[len(histogram.edges) - 1] == 99


def test_a_column_without_a_value_is_all_missing() -> None:
    assert make_histogram(np.array([NAN, NAN])) == Histogram(edges=(), counts=(0, 2))


def test_the_edges_survive_json() -> None:
    histogram = make_histogram(np.array([0.1, 1 / 3, 2.0]))
    again = Histogram.model_validate_json(histogram.model_dump_json())
    assert counts(list(again.edges), [0.1, 1 / 3, 2.0]) == list(histogram.counts)
    assert json.loads(histogram.model_dump_json())["counts"] == [0, 1, 1, 1, 0, 0]


@given(st.lists(st.floats(allow_infinity=False, width=32)), st.integers(1, 12))
def test_every_value_is_counted_once_and_none_of_the_baseline_lies_outside(values: list[float], bins: int) -> None:
    histogram = make_histogram(np.array(values, dtype=np.float64), bins)
    assert sum(histogram.counts) == len(values)
    assert len(histogram.counts) == len(histogram.edges) + 2
    assert list(histogram.edges) == sorted(set(histogram.edges))
    if histogram.edges:
        assert histogram.counts[0] == histogram.counts[len(histogram.edges)] == 0


@pytest.mark.parametrize(("level", "value"), [(0.0, 0.0), (0.25, 50.0), (0.5, 100.0), (0.75, 250.0), (1.0, 400.0)])
def test_a_quantile_is_read_linearly_within_its_bin(level: float, value: float) -> None:
    assert quantile(Histogram(edges=(0, 100, 400), counts=(3, 10, 10, 5, 9)), level) == value


def test_a_histogram_without_values_between_its_edges_has_no_quantile() -> None:
    assert math.isnan(quantile(Histogram(edges=(), counts=(0, 2)), 0.5))


def test_each_category_has_a_bin_of_its_own_also_one_that_no_row_has() -> None:
    found = make_category_histogram(np.array([0.0, 0.0, 2.0, 3.0, np.nan]), 4)
    assert found.edges == (0.0, 1.0, 2.0, 3.0, 4.0)
    assert found.counts == (0, 2, 0, 1, 1, 0, 1)
    assert count_into(found.edges, np.array([1.0, 3.0])).tolist() == [0, 0, 1, 0, 1, 0, 0]


def test_many_categories_share_bins_and_a_column_without_any_is_missing_alone() -> None:
    places = np.repeat(np.arange(250.0), 4)
    found = make_category_histogram(places, 250)
    assert len(found.edges) <= CATEGORY_BINS + 2
    assert sum(found.counts) == 1000
    assert make_category_histogram(np.array([np.nan]), 0) == Histogram(edges=(), counts=(0, 1))
