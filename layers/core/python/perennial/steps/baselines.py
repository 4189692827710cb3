"""How the features of a training set are distributed over the rows that a model learns from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from perennial.manifest import Histogram
from perennial.monitoring.histograms import make_category_histogram, make_histogram
from perennial.records import TrainingSet


def baselines(features: npt.NDArray[np.float64], training_set: TrainingSet) -> dict[str, Histogram]:
    """Return each feature column's histogram, of categorical ones over the places of their values.

    Parameters
    ----------
    features : float64 array of shape (n, number of features)
        In the training set's order.
    training_set : TrainingSet
        Names the features and their categories.
    """
    known = training_set.categories
    return {
        name: make_category_histogram(features[:, place], len(known[name]))
        if known.get(name)
        else make_histogram(features[:, place])
        for place, name in enumerate(training_set.features)
    }
