"""Skew between what was served and what is computed offline."""

from __future__ import annotations

import numpy as np

from perennial.monitoring.skew import differing_shares


def test_a_row_differs_where_a_value_does_and_missing_equals_missing() -> None:
    served = np.array([[1.0, np.nan], [2.0, np.nan], [3.0, 5.0], [4.0, 6.0]])
    offline = np.array([[1.0, np.nan], [2.5, 4.0], [3.0, 5.0], [4.0, np.nan]])
    assert differing_shares(served, offline, ["a", "b"]) == {"a": 0.25, "b": 0.5}
