"""Shapley values of the features of a row in a sum of trees: exact, path-dependent Tree SHAP.

S. Lundberg et al., *From local explanations to global understanding with explainable AI for trees*, Nature Machine
Intelligence 2 (2020). The game of a leaf: with the features of a set known, the row comes to it with the probability
that is the product over the leaf's path of 1 or 0 for a known feature (whether the row takes these branches) and of
the share of training rows that took them for an unknown one. Shapley values add up over leaves and trees, and a feature
that is not on the path has none, so each leaf is a small sum of its own, and all leaves are summed side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import comb
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from perennial.serving.scorer_base import unreadable

if TYPE_CHECKING:
    from perennial.serving.scorer_trees_bulk import BulkTrees

Matrix = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
Truths = npt.NDArray[np.bool_]
_CELLS = 1_000_000
"""Leaves times features that are summed side by side."""


class ShapleyTrees:
    """Trees, with the share of the training rows that takes each branch.

    Raises
    ------
    DataError
        Branches meet again, or fewer than no rows took one.
    """

    def __init__(self, trees: BulkTrees) -> None:
        self._trees = trees
        feature, cover = trees.feature, trees.cover
        self._inner = np.flatnonzero(feature >= 0)
        left, right = self._inner + 1, trees.right[self._inner]
        ways = np.bincount(np.concatenate([left, right, trees.roots]), minlength=len(feature))
        if not (ways == 1).all():
            raise unreadable("branches of a tree meet again, or begin nowhere")
        if not (np.isfinite(cover) & (cover >= 0)).all():
            raise unreadable("fewer than no rows took a branch")
        self._parent = np.full(len(feature), -1)
        self._parent[left] = self._parent[right] = self._inner
        self._tree = np.repeat(np.arange(len(trees.roots)), np.diff(trees.roots, append=len(feature)))
        total = cover[left] + cover[right]
        self._share = np.ones(len(feature))
        """Of the training rows that came to a node's parent, the share that came to the node."""
        self._share[left] = np.divide(cover[left], total, out=np.full(len(total), 0.5), where=total > 0)
        self._share[right] = 1.0 - self._share[left]

    def values(self, row: Matrix) -> tuple[Matrix, Matrix]:
        """Return the expected raw sums, shape (raw sums,), and each feature's value, shape (raw sums, features).

        Parameters
        ----------
        row : float64 array of shape (features,)
        """
        trees = self._trees
        taken = np.ones(len(self._parent), dtype=np.bool_)
        goes_left = trees.goes_left(trees.laid_out(row[None, :])[0], self._inner)
        taken[self._inner + 1], taken[trees.right[self._inner]] = goes_left, ~goes_left
        base, values = trees.base.copy(), np.zeros((len(trees.base), len(row) + 1))
        for leaves in self._portions(len(row)):
            feature, share, takes = self._paths(leaves, taken, len(row))
            said = trees.said(leaves, self._tree[leaves])
            base += share.prod(axis=1) @ said
            for player, factor in enumerate(_factors(share, takes)):
                for output in range(len(base)):
                    weights = factor * said[:, output]
                    values[output] += np.bincount(feature[:, player], weights=weights, minlength=len(row) + 1)
        count = len(trees.roots) if trees.mean else 1
        return base / count, values[:, :-1] / count

    def _portions(self, features: int) -> Iterator[Places]:
        leaves = np.flatnonzero(self._trees.feature < 0)
        step = max(1, _CELLS // features)
        for start in range(0, len(leaves), step):
            yield leaves[start : start + step]

    def _paths(self, leaves: Places, taken: Truths, features: int) -> tuple[Places, Matrix, Truths]:
        """Return the features on the path to each leaf, the share of rows that takes their branches, and if ours does.

        Each of shape (leaves, most features on a path). Where a path has fewer, the features are others, which change
        nothing: all rows take the branches that they do not ask for.
        """
        shares, takes = np.ones((len(leaves), features)), np.ones((len(leaves), features), dtype=np.bool_)
        node, which = leaves, np.arange(len(leaves))
        while True:
            parent = self._parent[node]
            which, node, parent = (each[parent >= 0] for each in (which, node, parent))
            if not len(node):
                break
            asked = self._trees.feature[parent] % features
            shares[which, asked] *= self._share[node]
            takes[which, asked] &= taken[node]
            node = parent
        counts = (shares != 1.0) | ~takes
        most = int(counts.sum(axis=1).max(initial=0))
        order = np.argsort(~counts, axis=1, kind="stable")[:, :most]
        return order, np.take_along_axis(shares, order, axis=1), np.take_along_axis(takes, order, axis=1)


def _factors(share: Matrix, takes: Truths) -> Iterator[Matrix]:
    """Return each player's (column's) Shapley values of the games of the leaves (rows), whose value is 1.

    The product over players of (share + x), or of share alone where the row does not take the branches, is a polynomial
    whose coefficient of x**k sums up the sets of k known players that do not rule the leaf out.
    """
    leaves, players = share.shape
    polynomial = np.zeros((players + 1, leaves))
    polynomial[0] = 1.0
    for player in range(players):
        upper = polynomial[:-1] * takes[:, player]
        polynomial *= share[:, player]
        polynomial[1:] += upper
    # Of a set of k of the other players: k! (m - 1 - k)! / m!, for m players.
    weights = np.array([1.0 / (players * comb(players - 1, known)) for known in range(players)])
    against = -(weights @ polynomial[:players])
    for player in range(players):
        # Divided by (share + x), from the highest power on: shares are at most 1, so errors do not grow.
        quotient, total = np.zeros(leaves), np.zeros(leaves)
        for known in range(players - 1, -1, -1):
            quotient = polynomial[known + 1] - share[:, player] * quotient
            total += weights[known] * quotient
        yield np.where(takes[:, player], (1.0 - share[:, player]) * total, against)
