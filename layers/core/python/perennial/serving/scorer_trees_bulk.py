"""Scoring many rows with trees: all rows go down all trees together, a level at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from perennial.serving.scorer_trees import TreesScorer

Matrix = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
_WALKS = 50_000
"""Rows times trees that walk together: what they need should stay in the processor's cache."""


class BulkTrees:
    """The trees of a scorer as numpy arrays.

    Parameters
    ----------
    scorer : TreesScorer
        Checked, so that every index is within its array.
    """

    def __init__(self, scorer: TreesScorer) -> None:
        arrays = scorer.arrays
        self._words, self._single, self.mean = scorer.words, scorer.single, scorer.mean
        self.roots, self.feature, self.right = (
            np.array(arrays[name], dtype=np.intp) for name in ("roots", "feature", "right")
        )
        self._threshold, self.cover, self.base = (np.array(arrays[name]) for name in ("threshold", "cover", "base"))
        self._categories = np.array(arrays["categories"], dtype=np.float64)
        self._sets = np.array(arrays["sets"])
        self._table = np.array(arrays["table"]).reshape(-1, len(self.base))

    def raw_matrix(self, matrix: Matrix) -> Matrix:
        """Return the raw sums of rows, shape (n, raw sums), added up in the order of `TreesScorer.raw`."""
        raw = np.empty((len(matrix), len(self.base)))
        step = max(1, _WALKS // len(self.roots))
        for start in range(0, len(matrix), step):
            raw[start : start + step] = self._summed(matrix[start : start + step])
        return raw

    def _summed(self, matrix: Matrix) -> Matrix:
        leaves = self._fall(self.laid_out(matrix))
        # A row for each raw sum, so that each addition runs along the memory.
        raw = np.repeat(self.base[:, None], len(matrix), axis=1)
        if len(self._table):
            for leaf in leaves:
                raw += self._table[self._threshold[leaf].astype(np.intp)].T
        else:
            for number, leaf in enumerate(leaves):
                raw[number % len(raw)] += self._threshold[leaf]
        return (raw / len(leaves) if self.mean else raw).T

    def laid_out(self, matrix: Matrix) -> Matrix:
        """Return rows as `perennial.serving.scorer_trees` says."""
        values = matrix.astype(np.float32).astype(np.float64) if self._single else matrix
        parts = [values, np.where(np.isnan(values), -np.inf, values)]
        if self._words:
            known = (matrix >= 0) & (matrix < self._categories) & (matrix == np.floor(matrix))
            parts.append(np.where(known, matrix, self._categories))
        return np.concatenate(parts, axis=1)

    def _fall(self, values: Matrix) -> Places:
        """Return the leaf of each tree that each row comes to, shape (trees, n)."""
        rows, width = values.shape
        flat = values.reshape(-1)
        leaves = np.repeat(self.roots, rows)
        start = np.tile(np.arange(rows) * width, len(self.roots))
        node, asked = leaves, self.feature[leaves]
        walk = np.flatnonzero(asked >= 0)
        node, asked, start = node[walk], asked[walk], start[walk]
        while len(walk):
            goes_left = self._goes_left(flat[start + asked], asked, node)
            node = np.where(goes_left, node + 1, self.right[node])
            asked = self.feature[node]
            ended = asked < 0
            if ended.any():
                leaves[walk[ended]] = node[ended]
                goes_on = ~ended
                walk, node, asked, start = walk[goes_on], node[goes_on], asked[goes_on], start[goes_on]
        return leaves.reshape(-1, rows)

    def goes_left(self, values: Matrix, node: Places) -> npt.NDArray[np.bool_]:
        """Tell at which of some inner nodes a row, laid out, goes left."""
        asked = self.feature[node]
        return self._goes_left(values[asked], asked, node)

    def said(self, leaf: Places, tree: Places) -> Matrix:
        """Return what leaves of trees (their numbers) add to each raw sum, shape (leaves, raw sums)."""
        if len(self._table):
            return self._table[self._threshold[leaf].astype(np.intp)]
        said = np.zeros((len(leaf), len(self.base)))
        said[np.arange(len(leaf)), tree % len(self.base)] = self._threshold[leaf]
        return said

    def _goes_left(self, value: Matrix, asked: Places, node: Places) -> npt.NDArray[np.bool_]:
        goes_left = value <= self._threshold[node]
        if self._words:
            which = np.flatnonzero(asked >= 2 * len(self._categories))
            place = value[which].astype(np.intp)
            word = self._threshold[node[which]].astype(np.intp) * self._words + (place >> 5)
            goes_left[which] = (self._sets[word] >> (place & 31).astype(np.uint32)) & 1
        return goes_left
