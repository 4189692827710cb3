"""Windows are counted in parts and added up."""

from __future__ import annotations

import numpy as np

from perennial.monitoring.baseline import Baseline, make_baseline
from perennial.monitoring.cells import UNSEEN
from perennial.monitoring.window import PREDICTION, RECONSTRUCTION, count


def baseline() -> Baseline:
    draw = np.random.default_rng(1)
    rows = np.stack([draw.standard_normal(3000), draw.integers(0, 3, 3000)], axis=1)
    return make_baseline(rows, ["v__x", "v__c"], {"v__c": 3}, rows[:, 0])


def test_the_sum_of_parts_is_the_whole() -> None:
    against, draw = baseline(), np.random.default_rng(2)
    rows = np.stack([draw.standard_normal(500), draw.integers(0, 3, 500)], axis=1)
    whole = count(against, rows, rows[:, 0])
    parts = count(against, rows[:123], rows[:123, 0]) + count(against, np.asfortranarray(rows[123:]), rows[123:, 0])
    assert parts.rows == whole.rows == 500
    assert {name: counts.tolist() for name, counts in parts.counts.items()} == {
        name: counts.tolist() for name, counts in whole.counts.items()
    }
    assert whole.counts.keys() == {"v__x", "v__c", PREDICTION, RECONSTRUCTION}


def test_missing_unseen_and_out_of_range_values_are_counted_apart() -> None:
    rows = np.array([[np.nan, UNSEEN], [99.0, np.nan], [-99.0, 1], [0.0, 1]])
    found = count(baseline(), rows)
    assert (found.counts["v__x"][0], found.counts["v__x"][-2], found.counts["v__x"][-1]) == (1, 1, 1)
    assert (found.counts["v__c"][0], found.counts["v__c"][-1]) == (1, 1)
    assert PREDICTION not in found.counts


def test_rows_with_predictions_and_rows_without_add_up_to_what_there_is() -> None:
    against, rows = baseline(), np.zeros((4, 2))
    both = count(against, rows, np.zeros(4)) + count(against, rows)
    assert both.counts[PREDICTION].sum() == 4
    assert both.counts["v__x"].sum() == 8
