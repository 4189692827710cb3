"""Scoring with trees: boosting and forests.

Nodes stand in preorder: the left branch of a node is the next node, the right one is named. Of a leaf ``feature`` is
negative, and ``threshold`` is its value, or of a forest of several classes the place of its probabilities. The number
of the feature also says where missing values go, so that a step is one comparison: with f features, a row is

- 0 … f-1: the values; a missing one is not at most any threshold, so it goes right;
- f … 2f-1: the values, a missing one as minus infinity, so it goes left;
- 2f … 3f-1: the places of categories, of which a node has a set that goes left.

A raw sum begins with the base, the trees' leaves are added to it in the order of the trees, and of a forest it is
divided by their number. That is scikit-learn's order.
"""

from __future__ import annotations

import math
import operator
from array import array
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from perennial.serving.scorer_base import FlatScorer, Form, unreadable, whole

if TYPE_CHECKING:
    from perennial.serving.scorer_base import Matrix

_TYPES = {
    "roots": "i", "feature": "i", "threshold": "d", "right": "i", "cover": "d",
    "base": "d", "categories": "i", "sets": "I", "table": "d",
}  # fmt: skip
_LISTED = 60_000
"""Nodes up to which lists are made of the arrays: a step is faster, and more memory and time to load are little."""


class TreesScorer(FlatScorer):
    """A sum of trees.

    Parameters
    ----------
    header, arrays
        Of the flat file: ``roots``, ``feature``, ``threshold``, ``right``, ``cover`` (training rows that came by) with
        an entry for each node; ``base``; ``categories`` (for each feature how many, 0 of a number), ``sets`` (bits of
        the places that go left, ``words`` numbers of 32 bits for each set; after the last category comes the bit of
        missing values) and ``table`` (of each leaf the probability of each class), which may be empty.
    """

    def __init__(self, header: Mapping[str, Any], arrays: Mapping[str, array[Any]]) -> None:
        self.form = Form.read(header)
        self.single = header.get("single") is True
        """Whether features are rounded to float32 before they are compared."""
        self.mean = header.get("mean") is True
        """Whether the sum is divided by the number of trees."""
        self.words = whole(header, "words", 0)
        self.arrays = arrays
        self._check()
        self.roots: list[int] = arrays["roots"].tolist()
        self.steps = len(self.roots)
        self.base: list[float] = arrays["base"].tolist()
        self.categories: list[int] = arrays["categories"].tolist()
        self.table: array[float] = arrays["table"]
        small = len(arrays["feature"]) <= _LISTED
        self._feature, self._threshold, self._right = (
            arrays[name].tolist() if small else arrays[name] for name in ("feature", "threshold", "right")
        )

    def raw(self, row: Sequence[float]) -> list[float]:
        """Return the raw sums of a row."""
        leaves = self._fall_with_sets(row) if self.words else self._fall(row)
        threshold, totals = self._threshold, self.base[:]
        if self.table:
            for leaf in leaves:
                start = int(threshold[leaf]) * len(totals)
                for place in range(len(totals)):
                    totals[place] += self.table[start + place]
        elif len(totals) == 1:
            total = totals[0]
            for leaf in leaves:
                total += threshold[leaf]
            totals = [total]
        else:
            for number, leaf in enumerate(leaves):
                totals[number % len(totals)] += threshold[leaf]
        return [total / self.steps for total in totals] if self.mean else totals

    def raw_matrix(self, matrix: Matrix) -> Matrix:
        """Return the raw sums of rows."""
        raw: Matrix = self._bulk.raw_matrix(matrix)
        return raw

    def explained(self, row: Sequence[float]) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
        """Return the Shapley values of a row's features, of the game in which an unknown feature follows both branches.

        Each branch counts with the share of the training rows that took it (S. Lundberg et al., *From local
        explanations to global understanding with explainable AI for trees*, 2020: path-dependent Tree SHAP).
        """
        import numpy as np

        with np.errstate(over="ignore", invalid="ignore"):
            base, values = self._shapley.values(np.array(row, dtype=np.float64))
        return tuple(base.tolist()), tuple(map(tuple, values.tolist()))

    @cached_property
    def _bulk(self) -> Any:
        from perennial.serving.scorer_trees_bulk import BulkTrees

        return BulkTrees(self)

    @cached_property
    def _shapley(self) -> Any:
        from perennial.serving.scorer_shapley import ShapleyTrees

        return ShapleyTrees(self._bulk)

    def _fall(self, row: Sequence[float]) -> list[int]:
        """Return the leaf of each tree that a row comes to."""
        values = self._laid_out(row)
        feature, threshold, right = self._feature, self._threshold, self._right
        leaves = []
        for root in self.roots:
            node, asked = root, feature[root]
            while asked >= 0:
                node = node + 1 if values[asked] <= threshold[node] else right[node]
                asked = feature[node]
            leaves.append(node)
        return leaves

    def _fall_with_sets(self, row: Sequence[float]) -> list[int]:
        """Return the leaf of each tree that a row comes to, where nodes may ask for categories."""
        values, numbers, sets = self._laid_out(row), 2 * self.form.features, self.sets
        feature, threshold, right = self._feature, self._threshold, self._right
        leaves = []
        for root in self.roots:
            node, asked = root, feature[root]
            while asked >= 0:
                if asked < numbers:
                    goes_left = values[asked] <= threshold[node]
                else:
                    goes_left = sets[int(threshold[node])] >> values[asked] & 1
                node = node + 1 if goes_left else right[node]
                asked = feature[node]
            leaves.append(node)
        return leaves

    def _laid_out(self, row: Sequence[float]) -> list[Any]:
        values: list[Any] = array("f", row).tolist() if self.single else list(row)
        values += [-math.inf if math.isnan(value) else value for value in values]
        if self.words:
            values += [_place(value, count) for value, count in zip(row, self.categories, strict=True)]
        return values

    @cached_property
    def sets(self) -> list[int]:
        """The sets of categories, as the bits of whole numbers."""
        words = self.arrays["sets"]
        return [
            sum(word << 32 * place for place, word in enumerate(words[start : start + self.words]))
            for start in range(0, len(words), self.words)
        ]

    def _check(self) -> None:
        """Raise DataError for a file in which a row could come to nowhere, or walk in circles.

        As each step leads to a later node, and the last node is a leaf, each walk ends.
        """
        arrays, features = self.arrays, self.form.features
        types = {name: values.typecode for name, values in arrays.items()}
        if types != _TYPES:
            raise unreadable(f"its arrays are {', '.join(types) or 'none'}, but should be {', '.join(_TYPES)}")
        feature, right, nodes = arrays["feature"], arrays["right"], len(arrays["feature"])
        if not nodes or {len(arrays[name]) for name in ("threshold", "right", "cover")} != {nodes}:
            raise unreadable("its nodes have no number, or not all that a node has")
        roots = arrays["roots"]
        if not roots or roots[0] != 0 or roots[-1] >= nodes or not all(map(operator.lt, roots, roots[1:])):
            raise unreadable("a tree begins nowhere")
        asked = (3 if self.words else 2) * features
        if min(feature) < -1 or max(feature) >= asked or feature[-1] != -1:
            raise unreadable("a node asks for a feature that there is not")
        if max(right) != nodes or right.count(nodes) != 1 or not all(map(operator.gt, right, range(nodes))):
            raise unreadable("a branch leads nowhere")
        if len(arrays["base"]) != self.form.raws or len(arrays["categories"]) != features:
            raise unreadable("its base or its categories are of another number than it says")
        if self.words:
            self._check_sets()
        if arrays["table"]:
            places = (value for asked, value in zip(feature, arrays["threshold"], strict=True) if asked < 0)
            most = len(arrays["table"]) / self.form.raws
            if not all(0 <= place <= most - 1 for place in places):
                raise unreadable("a leaf has no probabilities")

    def _check_sets(self) -> None:
        arrays, numbers = self.arrays, 2 * self.form.features
        if max(arrays["categories"]) >= 32 * self.words or min(arrays["categories"]) < 0:
            raise unreadable("a set of categories is too small")
        asks = zip(arrays["feature"], arrays["threshold"], strict=True)
        most = len(arrays["sets"]) / self.words
        if not all(0 <= number <= most - 1 for asked, number in asks if asked >= numbers):
            raise unreadable("a node asks for a set of categories that there is not")


def _place(value: float, categories: int) -> int:
    """Return a category's place; that of a missing one, and of what is no place, is the number of categories."""
    return int(value) if 0 <= value < categories and value == int(value) else categories
