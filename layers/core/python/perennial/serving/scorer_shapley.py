"""Shapley values of the features of a row in a sum of trees: exact, path-dependent Tree SHAP.

S. Lundberg et al., *From local explanations to global understanding with explainable AI for trees*, Nature Machine
Intelligence 2 (2020). The game of a leaf: with the features of a set known, the row comes to it with the probability
that is the product over the leaf's path of 1 or 0 for a known feature (whether the row takes these branches) and of
the share of training rows that took them for an unknown one. Shapley values add up over leaves and trees, and a feature
that is not on the path has none, so each leaf is a small sum of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import comb, inf
from typing import TYPE_CHECKING, Any

from perennial.serving.scorer_base import unreadable

if TYPE_CHECKING:
    from perennial.serving.scorer_trees import TreesScorer

Path = dict[int, tuple[float, bool]]
"""Feature to the share of training rows that take its branches, and whether the row does."""


class ShapleyTrees:
    """The trees of a scorer, with the share of the training rows that go left at each node.

    Raises
    ------
    DataError
        Branches meet again, so that there are more ways than nodes, or a node was passed by fewer than no rows.
    """

    def __init__(self, scorer: TreesScorer) -> None:
        self._scorer = scorer
        arrays = scorer.arrays
        self._feature, self._threshold, self._right = (
            arrays[name].tolist() for name in ("feature", "threshold", "right")
        )
        cover = arrays["cover"].tolist()
        _require_trees(self._feature, self._right)
        if not all(0 <= rows < inf for rows in cover):
            raise unreadable("a node was passed by fewer than no rows")
        self._left_share = [0.0] * len(cover)
        for node, asked in enumerate(self._feature):
            if asked >= 0:
                left, right = cover[node + 1], cover[self._right[node]]
                self._left_share[node] = left / (left + right) if left + right else 0.5

    def values(self, row: Sequence[Any]) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
        """Return for each raw sum of a row, laid out as the scorer does, the expected one and a value per feature."""
        scorer = self._scorer
        base, features, outputs = list(scorer.base), scorer.form.features, len(scorer.base)
        added = [[0.0] * features for _ in base]
        for number, root in enumerate(scorer.roots):
            for leaf, path in self._leaves(root, row):
                reached, factors = _factors(path)
                if scorer.table:
                    start = int(self._threshold[leaf]) * outputs
                    said = list(enumerate(scorer.table[start : start + outputs]))
                else:
                    said = [(number % outputs, self._threshold[leaf])]
                for output, value in said:
                    base[output] += reached * value
                    ours = added[output]
                    for feature, factor in factors:
                        ours[feature] += factor * value
        count = len(scorer.roots) if scorer.mean else 1
        return tuple(each / count for each in base), tuple(tuple(each / count for each in ours) for ours in added)

    def _leaves(self, root: int, row: Sequence[Any]) -> Iterator[tuple[int, Path]]:
        """Return each leaf that the row, or a training row, comes to, with the features on its path."""
        waiting: list[tuple[int, Path]] = [(root, {})]
        while waiting:
            node, path = waiting.pop()
            asked = self._feature[node]
            if asked < 0:
                yield node, path
                continue
            feature, left = asked % self._scorer.form.features, self._goes_left(asked, node, row)
            share, taken = path.get(feature, (1.0, True))
            for branch, goes, part in (
                (node + 1, left, self._left_share[node]),
                (self._right[node], not left, 1.0 - self._left_share[node]),
            ):
                here = (share * part, taken and goes)
                if here[0] or here[1]:  # else the leaves below it are reached in no case
                    waiting.append((branch, {**path, feature: here}))

    def _goes_left(self, asked: int, node: int, row: Sequence[Any]) -> bool:
        if asked < 2 * self._scorer.form.features:
            return bool(row[asked] <= self._threshold[node])
        return bool(self._scorer.sets[int(self._threshold[node])] >> row[asked] & 1)


def _factors(path: Path) -> tuple[float, list[tuple[int, float]]]:
    """Return the share of training rows that reach a leaf and, for each feature on the path, by what its value counts.

    The sets of known features that do not rule the leaf out hold features whose branches the row takes. The product of
    (share + x) over these is a polynomial whose coefficient of x**k sums up the sets of k known ones.
    """
    taken = [(feature, share) for feature, (share, takes) in path.items() if takes]
    others = [(feature, share) for feature, (share, takes) in path.items() if not takes]
    unknown = 1.0
    for _, share in others:
        unknown *= share
    polynomial = [1.0]
    for _, share in taken:
        polynomial = [
            share * lower + upper
            for lower, upper in zip([*polynomial, 0.0], [0.0, *polynomial], strict=True)
        ]  # fmt: skip
    reached = unknown * polynomial[0]
    if not path:
        return reached, []
    weights = _weights(len(path))
    factors = []
    for feature, share in taken:
        factors.append((feature, (1.0 - share) * unknown * _weighted(_without(polynomial, share), weights)))
    if others:
        each = -unknown * _weighted(polynomial, weights)
        factors += [(feature, each) for feature, _ in others]
    return reached, factors


def _without(polynomial: Sequence[float], share: float) -> list[float]:
    """Divide a polynomial by (share + x), from the highest power on: shares are at most 1, so errors do not grow."""
    quotient = [0.0] * (len(polynomial) - 1)
    upper = 0.0
    for power in range(len(quotient) - 1, -1, -1):
        upper = polynomial[power + 1] - share * upper
        quotient[power] = upper
    return quotient


def _weighted(polynomial: Sequence[float], weights: Sequence[float]) -> float:
    total = 0.0
    for coefficient, weight in zip(polynomial, weights, strict=False):  # of all features, there may be fewer taken
        total += coefficient * weight
    return total


@lru_cache(maxsize=256)
def _weights(features: int) -> tuple[float, ...]:
    """Return Shapley's weight of a set of k of the other features: k! (m - 1 - k)! / m!, for m features."""
    return tuple(1.0 / (features * comb(features - 1, known)) for known in range(features))


def _require_trees(feature: Sequence[int], right: Sequence[int]) -> None:
    """Raise DataError unless the left branch of each node ends where its right one begins."""
    ends = [0] * len(feature)
    for node in range(len(feature) - 1, -1, -1):
        if feature[node] < 0:
            ends[node] = node + 1
        elif ends[node + 1] != right[node]:
            raise unreadable("branches of a tree meet again")
        else:
            ends[node] = ends[right[node]]
