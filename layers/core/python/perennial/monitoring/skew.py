"""Skew between training and serving: the same rows' features, as they were served and as the offline store has them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]


def differing_shares(served: Matrix, offline: Matrix, names: Sequence[str]) -> dict[str, float]:
    """Return the share of rows in which each feature was not served as it is computed offline.

    Both are the same computation, so any difference at all is a fault, and needs no test.

    Parameters
    ----------
    served, offline : float64 arrays of shape (n, number of features), n > 0
        The same requests, in the same order; a missing value equals a missing one.
    """
    same = (served == offline) | (np.isnan(served) & np.isnan(offline))
    return dict(zip(names, (1 - same.mean(axis=0)).tolist(), strict=True))
