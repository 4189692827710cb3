"""How the features of a training set are distributed over the rows that a model learns from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from perennial.definitions import Model
from perennial.manifest import Histogram
from perennial.monitoring.baseline import Baseline, make_baseline
from perennial.monitoring.cells import cells_of
from perennial.monitoring.estimate import make_estimator
from perennial.monitoring.histograms import make_category_histogram, make_histogram, one_number_each
from perennial.monitoring.window import PREDICTION
from perennial.records import TrainingSet
from perennial.training.rows import Rows


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


def whole_baseline(
    model: Model, training_set: TrainingSet, learning: Rows, holdout: Rows, prediction: npt.NDArray[np.float64]
) -> Baseline:
    """Return all that a version is monitored by: its rows, its predictions, and what estimates its quality.

    Parameters
    ----------
    learning : Rows
        What it learnt from.
    prediction : float64 array of shape (n,) or (n, number of classes)
        On the held-out rows.
    """
    known = {name: len(values) for name, values in training_set.categories.items() if values}
    said = one_number_each(prediction)
    baseline = make_baseline(
        learning.features,
        training_set.features,
        known,
        said,
        classes=len(training_set.classes) if model.task == "multiclass" else 0,
        ordered=all(bool((np.diff(rows.event_time) >= np.timedelta64(0)).all()) for rows in (learning, holdout)),
    )
    columns = {**baseline.columns, PREDICTION: baseline.prediction}
    values = dict(zip(training_set.features, holdout.features.T, strict=True)) | {PREDICTION: said}
    estimator = make_estimator(
        {name: cells_of(column.histogram.edges, values[name]) for name, column in columns.items()},
        {name: column.groups for name, column in columns.items()},
        prediction,
        holdout.target,
        model.task,
        model.metric,
    )
    return baseline.model_copy(update={"estimator": estimator})
