"""Where predictions go wrong: reliability of probabilities, residuals of numbers. numpy only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from perennial.definitions import Task
from perennial.records import Record

Vector = npt.NDArray[np.float64]
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_SHOWN = (0.005, 0.995)
"""Quantiles between which a histogram is drawn: a few extreme values would leave everything else in one bar."""


class Reliability(Record):
    """A bin of predicted probabilities, and how often what they are of came true."""

    predicted: float
    """Mean probability."""
    observed: float
    rows: int


class ResidualBin(Record):
    """Rows with similar predictions, and how far they are off: prediction minus truth, in the target's unit."""

    predicted: float
    """Mean prediction."""
    mean: float
    low: float
    """A tenth of the residuals lies below."""
    high: float
    """A tenth of the residuals lies above."""
    rows: int


class Spread(Record):
    """Shares of values between edges."""

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    """One fewer than there are edges; what lies beyond the edges is in none."""


class Fit(Record):
    """How predictions lie to the truth on the held-out rows."""

    reliability: tuple[Reliability, ...] = ()
    """Of classes: of the probability of ``true``, or of the class that is held most likely."""
    calibration_error: float | None = None
    """Of classes: see `calibration_error`."""
    confusion: tuple[tuple[int, ...], ...] = ()
    """Of classes: rows by the true class (line) and the predicted one (column)."""
    residual_quantiles: dict[str, float] = Field(default_factory=dict)
    """Of a regression: ``0.05`` and so on to prediction minus truth."""
    residuals: Spread | None = None
    residuals_by_prediction: tuple[ResidualBin, ...] = ()
    truth: Spread | None = None
    prediction: Spread | None = None
    """Between the same edges as ``truth``; of a binary model the probabilities."""


def fit_of(target: Vector, prediction: Vector, task: Task) -> Fit:
    """Describe how predictions lie to the truth; arrays as in `perennial.training.evaluation.metrics`, all finite."""
    if task == "regression":
        residual = prediction - target
        edges = _edges(np.concatenate([target, prediction]))
        quantiles = np.quantile(residual, QUANTILES)
        return Fit(
            residual_quantiles={f"{q:g}": float(value) for q, value in zip(QUANTILES, quantiles, strict=True)},
            residuals=_spread(residual, _edges(residual)),
            residuals_by_prediction=residual_bins(prediction, residual),
            truth=_spread(target, edges),
            prediction=_spread(prediction, edges),
        )
    if task == "binary":
        happened, probability, said, classes = target == 1, prediction, (prediction > 0.5).astype(np.int64), 2
    else:
        said, classes = np.argmax(prediction, axis=1), prediction.shape[1]
        happened, probability = said == target, np.max(prediction, axis=1)
    bins = reliability(happened, probability)
    confusion = np.bincount(target.astype(np.int64) * classes + said, minlength=classes**2).reshape(classes, classes)
    return Fit(
        reliability=bins,
        calibration_error=calibration_error(bins),
        confusion=tuple(tuple(line) for line in confusion.tolist()),
        prediction=_spread(probability, np.linspace(0, 1, 21)) if task == "binary" else None,
    )


def reliability(happened: npt.NDArray[np.bool_], probability: Vector, bins: int = 10) -> tuple[Reliability, ...]:
    """Compare probabilities with how often they came true, in bins of about equally many rows.

    The bins lie between quantiles of the probabilities, as those of scikit-learn's ``calibration_curve`` with the
    strategy ``quantile``; empty ones are left out.
    """
    return tuple(
        Reliability(predicted=float(probability[rows].mean()), observed=float(happened[rows].mean()), rows=len(rows))
        for rows in _quantile_bins(probability, bins)
    )


def calibration_error(bins: tuple[Reliability, ...]) -> float:
    """Return the expected calibration error: the mean over rows of their bin's |observed - predicted|."""
    rows = sum(each.rows for each in bins)
    return sum(each.rows * abs(each.observed - each.predicted) for each in bins) / rows


def residual_bins(prediction: Vector, residual: Vector, bins: int = 20) -> tuple[ResidualBin, ...]:
    """Describe residuals in bins of about equally many rows, by rising prediction."""
    found = []
    for rows in _quantile_bins(prediction, bins):
        low, high = np.quantile(residual[rows], (0.1, 0.9))
        mean = float(residual[rows].mean())
        predicted = float(prediction[rows].mean())
        found.append(ResidualBin(predicted=predicted, mean=mean, low=float(low), high=float(high), rows=len(rows)))
    return tuple(found)


def _quantile_bins(values: Vector, bins: int) -> list[npt.NDArray[np.int64]]:
    """Return the rows of each bin that has some, by rising value; equal values share a bin."""
    inner = np.quantile(values, np.arange(1, bins) / bins)
    place = np.searchsorted(inner, values)
    order = np.argsort(place, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(place, minlength=bins))[:-1])
    return [rows for rows in parts if len(rows)]


def _edges(values: Vector, bins: int = 40) -> Vector:
    low, high = np.quantile(values, _SHOWN)
    return np.linspace(low, high if high > low else low + max(abs(low), 1.0) * 1e-6, bins + 1)


def _spread(values: Vector, edges: Vector) -> Spread:
    counts, _ = np.histogram(values, edges)
    return Spread(edges=tuple(edges.tolist()), shares=tuple((counts / len(values)).tolist()))
