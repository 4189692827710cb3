"""Scoring many rows with trees: all rows go down all trees together, a level at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from perennial.serving.scorer_trees import TreesScorer

Matrix = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
_WALKS = 200_000
"""Rows times trees that walk together: what they need should stay in the processor's cache."""


class BulkTrees:
    """The trees of a scorer as numpy arrays.

    Parameters
    ----------
    scorer : TreesScorer
        Checked, so that every index is within its array.
    """

    def __init__(self, scorer: TreesScorer) -> None:
        arrays, self._scorer = scorer.arrays, scorer
        self._roots, self._feature, self._right = (
            np.array(arrays[name], dtype=np.intp) for name in ("roots", "feature", "right")
        )
        self._threshold = np.array(arrays["threshold"])
        self._categories = np.array(arrays["categories"], dtype=np.float64)
        self._sets = np.array(arrays["sets"])
        self._table = np.array(arrays["table"]).reshape(-1, len(scorer.base))

    def raw_matrix(self, matrix: Matrix) -> Matrix:
        """Return the raw sums of rows, shape (n, raw sums), added up in the order of `TreesScorer.raw`."""
        raw = np.empty((len(matrix), len(self._scorer.base)))
        step = max(1, _WALKS // len(self._roots))
        for start in range(0, len(matrix), step):
            raw[start : start + step] = self._summed(matrix[start : start + step])
        return raw

    def _summed(self, matrix: Matrix) -> Matrix:
        leaves = self._fall(self._laid_out(matrix))
        # A row for each raw sum, so that each addition runs along the memory.
        raw = np.repeat(np.array(self._scorer.base)[:, None], len(matrix), axis=1)
        if len(self._table):
            for leaf in leaves:
                raw += self._table[self._threshold[leaf].astype(np.intp)].T
        else:
            for number, leaf in enumerate(leaves):
                raw[number % len(raw)] += self._threshold[leaf]
        return (raw / len(leaves) if self._scorer.mean else raw).T

    def _laid_out(self, matrix: Matrix) -> Matrix:
        if self._scorer.single:
            with np.errstate(over="ignore"):
                values = matrix.astype(np.float32).astype(np.float64)
        else:
            values = matrix
        parts = [values, np.where(np.isnan(values), -np.inf, values)]
        if self._scorer.words:
            known = (matrix >= 0) & (matrix < self._categories) & (matrix == np.floor(matrix))
            parts.append(np.where(known, matrix, self._categories))
        return np.concatenate(parts, axis=1)

    def _fall(self, values: Matrix) -> Places:
        """Return the leaf of each tree that each row comes to, shape (trees, n)."""
        rows, width = values.shape
        flat = values.reshape(-1)
        leaves = np.repeat(self._roots, rows)
        start = np.tile(np.arange(rows) * width, len(self._roots))
        node, asked = leaves, self._feature[leaves]
        walk = np.flatnonzero(asked >= 0)
        node, asked, start = node[walk], asked[walk], start[walk]
        while len(walk):
            value = flat[start + asked]
            goes_left = value <= self._threshold[node]
            if self._scorer.words:
                self._ask_sets(asked, value, node, goes_left)
            node = np.where(goes_left, node + 1, self._right[node])
            asked = self._feature[node]
            ended = asked < 0
            if ended.any():
                leaves[walk[ended]] = node[ended]
                goes_on = ~ended
                walk, node, asked, start = walk[goes_on], node[goes_on], asked[goes_on], start[goes_on]
        return leaves.reshape(-1, rows)

    def _ask_sets(self, asked: Places, value: Matrix, node: Places, goes_left: npt.NDArray[np.bool_]) -> None:
        """Say at the nodes that have a set of categories whether the row's is in it."""
        which = np.flatnonzero(asked >= 2 * self._scorer.form.features)
        if len(which):
            place = value[which].astype(np.intp)
            word = self._threshold[node[which]].astype(np.intp) * self._scorer.words + (place >> 5)
            goes_left[which] = (self._sets[word] >> (place & 31).astype(np.uint32)) & 1
