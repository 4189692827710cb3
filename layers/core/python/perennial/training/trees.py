"""Flattening scikit-learn's histogram gradient boosting trees into the arrays of ONNX's ``TreeEnsemble``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from perennial.errors import DefinitionError

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Trees:
    """Trees as parallel arrays: one entry per inner node, and ``leaf`` with one value per leaf.

    A row goes left if its value is at most the threshold, or is missing and ``missing_goes_left``. ``left`` and
    ``right`` point into ``leaf`` where ``left_is_leaf`` and ``right_is_leaf`` are 1, else at an inner node.
    """

    roots: Integers
    feature: Integers
    threshold: npt.NDArray[np.float64]
    missing_goes_left: Integers
    left: Integers
    left_is_leaf: Integers
    right: Integers
    right_is_leaf: Integers
    leaf: npt.NDArray[np.float64]


def flatten(trees: Sequence[npt.NDArray[Any]]) -> Trees:
    """Flatten trees.

    Parameters
    ----------
    trees : sequence of structured array
        The ``nodes`` of each fitted ``TreePredictor``; entry 0 is the root.

    Raises
    ------
    DefinitionError
        A tree splits on categories, for which there is no export.
    """
    tables: list[npt.NDArray[Any]] = []
    leaves: list[npt.NDArray[np.float64]] = []
    roots: list[int] = []
    inner_count = leaf_count = 0
    for nodes in trees:
        table, leaf = _table(nodes, inner_count, leaf_count)
        roots.append(inner_count)
        tables.append(table)
        leaves.append(leaf)
        inner_count += len(table)
        leaf_count += len(leaf)
    feature, threshold, missing, left, left_is_leaf, right, right_is_leaf = np.concatenate(tables).T
    whole = (column.astype(np.int64) for column in (feature, missing, left, left_is_leaf, right, right_is_leaf))
    feature, missing, left, left_is_leaf, right, right_is_leaf = whole
    return Trees(
        roots=np.array(roots, dtype=np.int64),
        feature=feature,
        threshold=np.ascontiguousarray(threshold),
        missing_goes_left=missing,
        left=left,
        left_is_leaf=left_is_leaf,
        right=right,
        right_is_leaf=right_is_leaf,
        leaf=np.concatenate(leaves),
    )


def _table(
    nodes: npt.NDArray[Any], first_inner: int, first_leaf: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return one tree's inner nodes, a row each in the order of `Trees`' fields, and its leaf values.

    Node numbers are far below 2**53, so one float64 table holds them exactly beside the thresholds.
    """
    if nodes["is_categorical"].any():
        raise DefinitionError("export: a tree splits on categories; take categorical_features out of the parameters")
    is_leaf = nodes["is_leaf"].astype(bool)
    leaf = nodes["value"][is_leaf].astype(np.float64)
    if is_leaf[0]:  # a tree that never splits: both branches of a node that asks nothing end in its one leaf
        return np.array([[0, 0.0, 0, first_leaf, 1, first_leaf, 1]], dtype=np.float64), leaf
    place = np.empty(len(nodes), dtype=np.int64)
    place[~is_leaf] = first_inner + np.arange(np.count_nonzero(~is_leaf))
    place[is_leaf] = first_leaf + np.arange(np.count_nonzero(is_leaf))
    inner = nodes[~is_leaf]
    left, right = inner["left"].astype(np.int64), inner["right"].astype(np.int64)
    columns = (
        inner["feature_idx"], inner["num_threshold"], inner["missing_go_to_left"],
        place[left], is_leaf[left], place[right], is_leaf[right],
    )  # fmt: skip
    return np.column_stack(columns).astype(np.float64), leaf
