"""A version without a baseline of its own is watched by what its manifest says."""

from __future__ import annotations

import numpy as np

from perennial.monitoring.manifest_baseline import manifest_baseline
from perennial.monitoring.signals import assess
from perennial.monitoring.window import count
from tests.support.artifacts import FEATURES, PLANS, a_classifier, a_manifest, logistic_graph


def test_values_that_all_fall_into_one_bin_of_ten_have_moved() -> None:
    baseline = manifest_baseline(a_manifest())  # each feature evenly between 0 and 100
    even = np.tile(np.arange(0.5, 100)[:, None], (5, 4))
    window = count(baseline, even, 4 * even[:, 0])
    assert assess(baseline, window).alarms == ()
    even[:, 0] = 5
    moved = {one.subject for one in assess(baseline, count(baseline, even)).alarms}
    assert moved == {FEATURES[0]}


def test_it_tells_categories_from_numbers_and_nothing_of_features_together_or_of_quality() -> None:
    manifest = a_classifier("multiclass", logistic_graph())
    baseline = manifest_baseline(manifest)
    assert [column.kind for column in baseline.columns.values()] == ["category", "number"]
    assert baseline.prediction.kind == "category"
    assert len(PLANS) == 2
    assert baseline.reconstruction is baseline.reconstruction_error is baseline.estimator is None
