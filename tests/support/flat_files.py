"""Flat files of trees that are written down by hand: a leaf is (value, training rows), a node is a `Node`."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from perennial.flat_file import pack

Leaf = tuple[float, float]


@dataclass(frozen=True)
class Node:
    """Asks whether a feature is at most a threshold or, given a set of places (None: missing), whether it is in it."""

    feature: int
    threshold: float
    left: Node | Leaf
    right: Node | Leaf
    missing_goes_left: bool = False
    places: frozenset[int | None] | None = None


def a_flat_file(
    trees: Sequence[Node | Leaf],
    features: int,
    *,
    base: Sequence[float] = (0.0,),
    categories: Sequence[int] | None = None,
    **header: Any,
) -> bytes:
    """Return the flat file of some trees; by default of a regression."""
    counts = list(categories or [0] * features)
    words = max(counts) // 32 + 1 if categories else 0
    arrays = {
        "roots": array("i"), "feature": array("i"), "threshold": array("d"), "right": array("i"), "cover": array("d"),
        "base": array("d", base), "categories": array("i", counts), "sets": array("I"), "table": array("d"),
    }  # fmt: skip
    for tree in trees:
        arrays["roots"].append(len(arrays["feature"]))
        _write(tree, arrays, counts, words)
    said = {
        "format": 1, "kind": "trees", "features": features, "outputs": 1, "seen": [], "link": "identity",
        "scale": "target", "words": words,
    }  # fmt: skip
    return pack({**said, **header}, arrays)


def _write(tree: Node | Leaf, arrays: dict[str, array[Any]], counts: list[int], words: int) -> float:
    place = len(arrays["feature"])
    for name in ("feature", "threshold", "right", "cover"):
        arrays[name].append(0)
    if isinstance(tree, tuple):
        arrays["feature"][place], arrays["right"][place] = -1, place + 1
        arrays["threshold"][place], arrays["cover"][place] = tree
        return tree[1]
    asked, threshold = tree.feature + len(counts) * tree.missing_goes_left, tree.threshold
    if tree.places is not None:
        asked, threshold = tree.feature + 2 * len(counts), len(arrays["sets"]) / words
        bits = sum(1 << (counts[tree.feature] if each is None else each) for each in tree.places)
        arrays["sets"].extend(bits >> 32 * word & 0xFFFFFFFF for word in range(words))
    arrays["feature"][place], arrays["threshold"][place] = asked, threshold
    rows = _write(tree.left, arrays, counts, words)
    arrays["right"][place] = len(arrays["feature"])
    arrays["cover"][place] = rows + _write(tree.right, arrays, counts, words)
    return float(arrays["cover"][place])
