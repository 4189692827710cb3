"""Categorical values as numbers: the same in training and in serving."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

MAX_CATEGORIES = 250
"""Values of a feature that are told apart; rarer ones count as missing. scikit-learn's trees take 255 at most."""


def encode(values: Iterable[object], categories: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return each value's place among the categories, NaN for one that is missing or not among them.

    Parameters
    ----------
    values : iterable
        Texts; a number or boolean counts as the text that SQL makes of it.
    categories : sequence of str
        What was learnt, without repetition.

    Returns
    -------
    float64 array of shape (n,)
    """
    places = {category: float(place) for place, category in enumerate(categories)}
    return np.array([np.nan if value is None else places.get(str(value), np.nan) for value in values], dtype=np.float64)
