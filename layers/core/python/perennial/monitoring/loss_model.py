r"""How large a row's loss is to be expected, from the cells that its features and its prediction fall into.

Direct loss estimation with an additive model: the loss of a row is a constant plus a term for the cell of each column.
So the mean loss of a window depends on the window's histograms alone,

.. math:: \hat L = \beta_0 + \sum_f \sum_c a_{fc} \beta_{fc}

with the shares a, and each column's part in a change of it is a term of the sum: the Shapley value of an additive
game is the term itself. The terms are found by ridge regression on rows that the model did not learn from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import Field

from perennial.records import Record

Values = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_FOLDS = 5
_PENALTIES = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 10_000.0)
"""Rows' worth of doubt that each cell's term is drawn to 0 by; what predicts the left-out stretches best is taken."""
_STEP = 16_384


class LossModel(Record):
    """Terms of the expected loss."""

    mean: float
    """Mean loss of the held-out rows."""
    terms: dict[str, tuple[float, ...]]
    """Column to a term for each cell of its histogram; their mean over the held-out rows is 0."""
    shares: dict[str, tuple[float, ...]]
    """Column to the share of the held-out rows in each of these cells."""
    explained: float = Field(le=1)
    """Share of the variance of row losses that is predicted on stretches that were left out; below 0 nothing is."""

    def expected(self, counts: Mapping[str, Integers]) -> float:
        """Return the mean loss of a window with those counts of each column's cells; not below 0."""
        return max(self.mean + sum(self.parts(counts).values()), 0.0)

    def parts(self, counts: Mapping[str, Integers]) -> dict[str, float]:
        """Return what the shift of each column adds to the mean loss of the held-out rows, in the loss's unit."""
        found = {}
        for name, terms in self.terms.items():
            total = max(int(counts[name].sum()), 1)
            found[name] = float((counts[name] / total - np.array(self.shares[name])) @ np.array(terms))
        return found


def fit_loss_model(
    cells: Mapping[str, Integers], groups: Mapping[str, Sequence[int]], losses: Values
) -> tuple[LossModel, Values]:
    """Fit the terms.

    Parameters
    ----------
    cells : mapping
        Column to the histogram cell of each held-out row, int64 of shape (n,), by rising event time.
    groups : mapping
        Column to the cell of comparison of each histogram cell; cells of none (missing values, unseen categories) are
        told apart by themselves.
    losses : float64 array of shape (n,)

    Returns
    -------
    (LossModel, float64 array of shape (n,))
        With it, the loss that was expected of each row by a fit that had not seen the row's stretch.
    """
    columns = {name: _columns(groups[name]) for name in cells}
    offsets = dict(zip(columns, np.cumsum([0, *(found.max() + 1 for found in columns.values())]), strict=False))
    design = np.stack([columns[name][cells[name]] + offsets[name] for name in cells], axis=1)
    width = sum(int(found.max()) + 1 for found in columns.values())
    fold = np.arange(len(losses)) * _FOLDS // max(len(losses), 1)
    sums = [_sums(design[fold == one], losses[fold == one], width) for one in range(_FOLDS)]
    penalty = min(_PENALTIES, key=lambda tried: sum(_left_out(sums, one, tried) for one in range(_FOLDS)))
    expected = np.empty(len(losses))
    for one in range(_FOLDS):
        constant, terms = _solved(_without(sums, one), penalty)
        expected[fold == one] = constant + terms[design[fold == one]].sum(axis=1)
    _, terms = _solved(_without(sums, None), penalty)
    variance = float(np.var(losses))
    explained = 1 - float(np.mean((losses - expected) ** 2)) / variance if variance > 0 else 0.0
    by_column, shares = {}, {}
    for name, found in columns.items():
        share = np.bincount(cells[name], minlength=len(found)) / len(losses)
        each = terms[found + offsets[name]]
        by_column[name] = tuple((each - share @ each).tolist())
        shares[name] = tuple(share.tolist())
    model = LossModel(mean=float(losses.mean()), terms=by_column, shares=shares, explained=min(explained, 1.0))
    return model, expected


class _Sums:
    """Sums over rows that a ridge regression needs: of cells' pairs, of losses by cell, and totals."""

    def __init__(self, pairs: Matrix, losses: Values, rows: float, total: float, squares: float) -> None:
        self.pairs, self.losses, self.rows, self.total, self.squares = pairs, losses, rows, total, squares


def _columns(groups: Sequence[int]) -> Integers:
    """Return a place for each histogram cell: its group, or a place of its own."""
    found = np.array(groups, dtype=np.int64)
    alone = found < 0
    found[alone] = found.max(initial=-1) + 1 + np.arange(np.count_nonzero(alone))
    return found


def _sums(design: Integers, losses: Values, width: int) -> _Sums:
    pairs, by_cell = np.zeros((width, width)), np.zeros(width)
    for start in range(0, len(losses), _STEP):
        rows = design[start : start + _STEP]
        ones = np.zeros((len(rows), width))
        np.put_along_axis(ones, rows, 1.0, axis=1)
        pairs += ones.T @ ones
        by_cell += losses[start : start + _STEP] @ ones
    return _Sums(pairs, by_cell, float(len(losses)), float(losses.sum()), float(losses @ losses))


def _without(sums: Sequence[_Sums], left_out: int | None) -> _Sums:
    kept = [one for place, one in enumerate(sums) if place != left_out]
    return _Sums(
        np.sum([one.pairs for one in kept], axis=0),
        np.sum([one.losses for one in kept], axis=0),
        sum(one.rows for one in kept),
        sum(one.total for one in kept),
        sum(one.squares for one in kept),
    )


def _solved(sums: _Sums, penalty: float) -> tuple[float, Values]:
    """Return the constant, which is not drawn to 0, and the terms."""
    mean, share = sums.total / max(sums.rows, 1), np.diag(sums.pairs) / max(sums.rows, 1)
    centered = sums.pairs - sums.rows * np.outer(share, share)
    target = sums.losses - sums.rows * share * mean
    terms = np.asarray(np.linalg.solve(centered + penalty * np.eye(len(target)), target), dtype=np.float64)
    return mean - float(share @ terms), terms


def _left_out(sums: Sequence[_Sums], fold: int, penalty: float) -> float:
    """Return the squared error on a stretch of a fit on the others."""
    constant, terms = _solved(_without(sums, fold), penalty)
    part = sums[fold]
    counts = np.diag(part.pairs)
    linear = float(terms @ part.losses) + constant * part.total
    square = float(terms @ part.pairs @ terms) + 2 * constant * float(counts @ terms) + constant**2 * part.rows
    return part.squares - 2 * linear + square
