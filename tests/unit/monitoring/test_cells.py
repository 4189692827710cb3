"""Cells of comparison hold enough rows, and every value falls into the cell that its histogram says."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from perennial.manifest import Histogram
from perennial.monitoring.cells import (
    LEAST_EXPECTED,
    UNSEEN,
    cells_of,
    comparable,
    describe,
    grouped,
    groups_of,
)
from perennial.monitoring.histograms import count_into


def test_forty_quantile_bins_of_a_number_are_compared_in_ten_cells_of_equal_rows() -> None:
    histogram = describe(np.arange(4000.0), "number")
    groups = groups_of(histogram, "number")
    counts = grouped(np.array(histogram.counts), groups)
    assert len(histogram.edges) == 41
    assert len(counts) == 10
    assert counts.sum() == 4000
    assert abs(counts - 400).max() <= 2
    assert (groups[0], groups[-2], groups[-1]) == (0, 9, -1)  # below, above, missing


def test_a_constant_and_a_column_without_values_have_one_cell_or_none() -> None:
    assert set(groups_of(describe(np.full(9, 3.0), "number"), "number")) == {0, -1}
    assert groups_of(describe(np.full(9, np.nan), "number"), "number") == (0, -1)


def test_each_category_has_a_cell_and_an_unseen_one_none() -> None:
    histogram = describe(np.array([0, 1, 1, 2, UNSEEN, np.nan]), "category", 3)
    assert histogram.counts == (1, 1, 2, 1, 0, 1)
    assert groups_of(histogram, "category") == (-1, 1, 0, 2, -1, -1)  # the most frequent first


def test_rare_ones_of_many_categories_share_the_last_cell() -> None:
    histogram = describe(np.repeat(np.arange(100.0), np.arange(100, 0, -1)), "category", 100)
    counts = grouped(np.array(histogram.counts), groups_of(histogram, "category"))
    assert counts[:24].tolist() == list(range(100, 76, -1))
    assert counts[24:].tolist() == [sum(range(1, 77))]


@given(st.lists(st.floats(width=32) | st.just(float("nan"))), st.lists(st.floats(allow_nan=False, width=32)))
def test_cells_one_by_one_are_those_that_are_counted(values: list[float], edges: list[float]) -> None:
    rising, given_values = sorted(set(edges)), np.array(values, dtype=np.float64)
    counted = np.bincount(cells_of(rising, given_values), minlength=len(rising) + 2)
    assert counted.tolist() == count_into(rising, given_values).tolist()


def test_cells_are_merged_until_each_is_expected_to_hold_five_rows_on_either_side() -> None:
    expected, actual = comparable(np.array([5000, 3000, 100, 20, 0, 5]), np.array([100, 50, 2, 1, 1, 0]))
    pooled = (expected + actual) / (expected + actual).sum() * 154
    assert (expected.sum(), actual.sum()) == (8125, 154)
    assert len(expected) == 2
    assert pooled.min() >= LEAST_EXPECTED


def test_a_cell_that_both_lack_is_left_out_and_an_empty_side_leaves_none() -> None:
    assert [side.tolist() for side in comparable(np.array([50, 0, 60]), np.array([40, 0, 30]))] == [[50, 60], [40, 30]]
    assert len(comparable(np.array([50, 60]), np.array([0, 0]))[0]) == 0


def test_counts_of_many_blocks_are_grouped_at_once() -> None:
    histogram = Histogram(edges=(0, 1, 2), counts=(0, 5, 5, 0, 0))
    blocks = np.array([[1, 2, 3, 4, 5], [0, 1, 0, 0, 9]])
    assert grouped(blocks, groups_of(histogram, "number")).tolist() == [[3, 7], [1, 0]]
