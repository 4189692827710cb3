"""Calibrated chances: what a score has meant on rows that the model did not learn from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from perennial.records import Record

Values = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]

_KNOTS = 200
"""Bins of equally many rows that the isotonic fit starts from; more would follow chance."""
_FOLDS = 5
_SMALLEST = 1e-6


class Calibrator(Record):
    """A rising, piecewise linear map from scores to chances; constant beyond its ends."""

    scores: tuple[float, ...]
    chances: tuple[float, ...]

    def __call__(self, scores: Values) -> Values:
        """Return the chance of each score, of the same shape."""
        return np.asarray(np.interp(scores, self.scores, self.chances), dtype=np.float64)


AS_SAID = Calibrator(scores=(0.0, 1.0), chances=(0.0, 1.0))
"""The scores are chances already."""


def calibrator(scores: Values, happened: Truth) -> Calibrator:
    """Fit what scores mean, or find that they mean what they say.

    An isotonic fit is kept only if on parts that it has not seen (five stretches of rows in a row, each judged by a fit
    on the others) its log loss is lower than that of the scores themselves: where they are calibrated already, a fit
    would add nothing but noise.

    Parameters
    ----------
    scores : float64 array of shape (n,), n > 0
        Probabilities.
    happened : bool array of shape (n,)
    """
    if len(scores) < _FOLDS or happened.all() or not happened.any():
        return AS_SAID
    fitted = said = 0.0
    for rest, part in _folds(len(scores)):
        fitted += _log_loss(isotonic(scores[rest], happened[rest])(scores[part]), happened[part])
        said += _log_loss(scores[part], happened[part])
    return isotonic(scores, happened) if fitted < said else AS_SAID


def isotonic(scores: Values, happened: Truth) -> Calibrator:
    """Fit a rising map by pooling adjacent violators over bins of equally many rows.

    M. Ayer and others, *An empirical distribution function for sampling with incomplete information*, 1955; for
    calibration B. Zadrozny and C. Elkan, 2002.
    """
    order = np.argsort(scores, kind="stable")
    ordered, true = scores[order], happened[order].astype(np.float64)
    starts = np.unique(np.searchsorted(ordered, ordered[np.arange(_KNOTS) * len(ordered) // _KNOTS]))
    rows = np.diff(np.append(starts, len(ordered))).astype(np.float64)
    means = np.add.reduceat(ordered, starts) / rows
    chances = np.add.reduceat(true, starts) / rows
    blocks: list[tuple[float, float, float]] = []  # chance, score, rows
    for block in zip(chances.tolist(), means.tolist(), rows.tolist(), strict=True):
        pooled = block
        while blocks and blocks[-1][0] >= pooled[0]:
            chance, score, weight = blocks.pop()
            total = weight + pooled[2]
            pooled = (
                (chance * weight + pooled[0] * pooled[2]) / total,
                (score * weight + pooled[1] * pooled[2]) / total,
                total,
            )
        blocks.append(pooled)
    return Calibrator(scores=tuple(block[1] for block in blocks), chances=tuple(block[0] for block in blocks))


def _folds(rows: int) -> Iterator[tuple[Truth, Truth]]:
    """Give the rest, and the part that is left out, of each of the stretches."""
    fold = np.arange(rows) * _FOLDS // rows
    for number in range(_FOLDS):
        yield fold != number, fold == number


def _log_loss(chances: Values, happened: Truth) -> float:
    kept = np.clip(chances, _SMALLEST, 1 - _SMALLEST)
    return float(-np.log(np.where(happened, kept, 1 - kept)).sum())
