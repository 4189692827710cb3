"""Flattening scikit-learn's trees into the arrays of ONNX's ``TreeEnsemble``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Tree:
    """One tree, an entry per node; entry 0 is the root.

    A row goes left at an inner node if its value is at most the threshold, or is missing and ``missing_goes_left``;
    at a node of ``members``, if its value is one of those.
    """

    is_leaf: npt.NDArray[np.bool_]
    feature: Integers
    threshold: Numbers
    missing_goes_left: Integers
    left: Integers
    right: Integers
    value: Numbers
    """What a leaf adds to the target."""
    cover: Numbers
    """Training rows that came by."""
    target: int = 0
    """Which output the leaves add to."""
    members: Mapping[int, Numbers] = field(default_factory=dict)


@dataclass(frozen=True)
class Trees:
    """Trees as parallel arrays: one entry per inner node, and ``leaf`` with one value per leaf.

    ``left`` and ``right`` point into ``leaf`` where ``left_is_leaf`` and ``right_is_leaf`` are 1, else at an inner
    node. ``asks_members`` is 1 where a node asks for one of the values in ``members``, which has the nodes' sets one
    after the other, each ended by NaN.
    """

    roots: Integers
    feature: Integers
    threshold: Numbers
    missing_goes_left: Integers
    left: Integers
    left_is_leaf: Integers
    right: Integers
    right_is_leaf: Integers
    asks_members: Integers
    members: Numbers
    leaf: Numbers
    leaf_target: Integers


def flatten(trees: Sequence[Tree]) -> Trees:
    """Flatten trees, keeping their order."""
    tables: list[Numbers] = []
    members: list[Numbers] = []
    roots: list[int] = []
    inner_count = leaf_count = 0
    for tree in trees:
        table = _table(tree, inner_count, leaf_count)
        roots.append(inner_count)
        tables.append(table)
        members += [np.append(values, np.nan) for _, values in sorted(tree.members.items())]
        inner_count += len(table)
        leaf_count += int(np.count_nonzero(tree.is_leaf))
    feature, threshold, *rest = np.concatenate(tables).T
    missing, left, left_is_leaf, right, right_is_leaf, asks_members = (column.astype(np.int64) for column in rest)
    return Trees(
        roots=np.array(roots, dtype=np.int64),
        feature=feature.astype(np.int64),
        threshold=np.ascontiguousarray(threshold),
        missing_goes_left=missing,
        left=left,
        left_is_leaf=left_is_leaf,
        right=right,
        right_is_leaf=right_is_leaf,
        asks_members=asks_members,
        members=np.concatenate(members) if members else np.empty(0),
        leaf=np.concatenate([tree.value[tree.is_leaf] for tree in trees]),
        leaf_target=np.concatenate([np.full(np.count_nonzero(tree.is_leaf), tree.target) for tree in trees]),
    )


def _table(tree: Tree, first_inner: int, first_leaf: int) -> Numbers:
    """Return one tree's inner nodes, a row each in the order of `Trees`' fields.

    Node numbers are far below 2**53, so one float64 table holds them exactly beside the thresholds.
    """
    is_leaf = tree.is_leaf
    if is_leaf[0]:  # a tree that never splits: both branches of a node that asks nothing end in its one leaf
        return np.array([[0, 0.0, 0, first_leaf, 1, first_leaf, 1, 0]], dtype=np.float64)
    place = np.empty(len(is_leaf), dtype=np.int64)
    place[~is_leaf] = first_inner + np.arange(np.count_nonzero(~is_leaf))
    place[is_leaf] = first_leaf + np.arange(np.count_nonzero(is_leaf))
    left, right = tree.left[~is_leaf], tree.right[~is_leaf]
    asks_members = np.zeros(len(is_leaf))
    asks_members[list(tree.members)] = 1
    columns = (
        tree.feature[~is_leaf], tree.threshold[~is_leaf], tree.missing_goes_left[~is_leaf],
        place[left], is_leaf[left], place[right], is_leaf[right], asks_members[~is_leaf],
    )  # fmt: skip
    return np.column_stack(columns).astype(np.float64)
