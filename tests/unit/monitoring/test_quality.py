"""Metrics over labelled predictions."""

from __future__ import annotations

import numpy as np
import pytest

from perennial.monitoring.quality import LARGEST_RATIO, measure, ratio_to

LABELS, PREDICTIONS = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 2.0, 0.0, 4.0])


def test_the_mean_absolute_error_is_the_mean_distance() -> None:
    assert measure("mae", LABELS, PREDICTIONS) == 1.0  # (1 + 0 + 3 + 0) / 4


def test_the_root_mean_squared_error_weighs_large_errors_more() -> None:
    assert measure("rmse", LABELS, PREDICTIONS) == pytest.approx(2.5**0.5)  # (1 + 0 + 9 + 0) / 4


def test_a_metric_of_no_rows_or_of_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        measure("mae", np.empty(0), np.empty(0))
    with pytest.raises(ValueError, match="no metric 'mape'"):
        measure("mape", LABELS, PREDICTIONS)


@pytest.mark.parametrize(
    ("reference", "measured", "ratio"),
    [(2.0, 3.0, 1.5), (2.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1e-9, LARGEST_RATIO), (1e-300, 1e300, LARGEST_RATIO)],
)
def test_the_ratio_says_how_many_times_worse_than_promised(reference: float, measured: float, ratio: float) -> None:
    assert ratio_to(reference, measured) == ratio
