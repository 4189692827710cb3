"""Turning a fitted estimator into a flat file, which serving scores with (`perennial.serving.scorer`).

Beside the ONNX file, and of the same numbers; `perennial.serving.scorer_trees` and `perennial.serving.scorer_linear`
say what the arrays are. The file depends on the estimator and on the rows that it learnt from alone.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline

from perennial.flat_file import pack
from perennial.training.candidates import Fitted
from perennial.training.export_trees import boosted_trees, boosting_base, grown_tree
from perennial.training.preprocessing import BOOLEANS, CATEGORIES, ESTIMATE, NUMBERS, PREPARE
from perennial.training.trees import Tree

Matrix = npt.NDArray[np.float64]
_BITS = 32


def flat(fitted: Fitted, features: Matrix) -> bytes | None:
    """Return the flat file of a fitted estimator; None of a custom one, which onnxruntime serves.

    Parameters
    ----------
    fitted : Fitted
        As `perennial.training.candidates.fit` returns it.
    features : array of float64, shape (n, number of features)
        The rows that it learnt from, whose means the contributions of a linear model start from.
    """
    if fitted.candidate.estimator is not None:
        return None
    if isinstance(fitted.estimator, Pipeline):
        return _linear(fitted, features)
    if fitted.candidate.algorithm == "random_forest":
        return _forest(fitted)
    return _boosting(fitted)


def _header(fitted: Fitted, kind: str, link: str, scale: str) -> dict[str, Any]:
    return {
        "format": 1,
        "kind": kind,
        "features": fitted.features,
        "outputs": fitted.problem.classes or 1,
        "seen": [] if fitted.problem.task == "regression" else fitted.classes,
        "link": link,
        "scale": scale,
    }


def _link_of_classes(fitted: Fitted) -> str:
    return "sigmoid" if len(fitted.classes) == 2 else "softmax"


def _boosting(fitted: Fitted) -> bytes:
    estimator, problem = fitted.estimator, fitted.problem
    if problem.task != "regression":
        header = _header(fitted, "trees", _link_of_classes(fitted), "log_odds")
    elif estimator.loss in ("poisson", "gamma"):
        header = _header(fitted, "trees", "exp", "log")
    else:
        header = _header(fitted, "trees", "identity", "target")
    # A set of categories splits a feature only if scikit-learn was told of categories.
    categories = np.zeros(fitted.features, dtype=np.int64)
    for place, count in problem.categorical.items():
        categories[place] = count
    return _trees(header, boosted_trees(estimator, problem), boosting_base(estimator), categories)


def _forest(fitted: Fitted) -> bytes:
    grown = [tree.tree_ for tree in fitted.estimator.estimators_]
    regression = fitted.problem.task == "regression"
    header = _header(fitted, "trees", "identity", "target" if regression else "probability")
    header |= {"single": True, "mean": True}
    categories = np.zeros(fitted.features, dtype=np.int64)
    if regression or len(fitted.classes) == 2:
        column = 0 if regression else 1
        trees = [grown_tree(tree, tree.value[:, 0, column]) for tree in grown]
        return _trees(header, trees, np.zeros(1), categories)
    first, trees = 0, []
    for tree in grown:
        leaves = tree.children_left < 0
        number = np.zeros(tree.node_count)
        number[leaves] = first + np.arange(np.count_nonzero(leaves))
        first += int(np.count_nonzero(leaves))
        trees.append(grown_tree(tree, number))
    table = np.concatenate([tree.value[tree.children_left < 0, 0, :] for tree in grown])
    return _trees(header, trees, np.zeros(table.shape[1]), categories, table)


def _trees(
    header: dict[str, Any],
    trees: Sequence[Tree],
    base: Matrix,
    categories: npt.NDArray[np.int64],
    table: Matrix | None = None,
) -> bytes:
    """Lay the nodes of all trees out in preorder, and pack them."""
    asks_sets = any(tree.members for tree in trees)
    words = int(categories.max()) // _BITS + 1 if asks_sets else 0
    roots, parts = [0], []
    sets: list[npt.NDArray[np.uint32]] = []
    for tree in trees:
        order, right = _preorder(tree)
        inner = ~tree.is_leaf[order]
        asked = tree.feature + len(categories) * tree.missing_goes_left
        threshold = np.where(tree.is_leaf, tree.value, tree.threshold)
        for node, members in tree.members.items():
            place = int(tree.feature[node])
            asked[node] = place + 2 * len(categories)
            threshold[node] = len(sets)
            sets.append(_bits(members, int(categories[place]), words))
        parts.append((np.where(inner, asked[order], -1), threshold[order], right + roots[-1], tree.cover[order]))
        roots.append(roots[-1] + len(order))
    feature, threshold, right, cover = (np.concatenate(part) for part in zip(*parts, strict=True))
    arrays = {
        "roots": _array("i", roots[:-1]),
        "feature": _array("i", feature),
        "threshold": _array("d", threshold),
        "right": _array("i", right),
        "cover": _array("d", cover),
        "base": _array("d", base),
        "categories": _array("i", categories),
        "sets": _array("I", np.concatenate(sets) if sets else []),
        "table": _array("d", [] if table is None else table.reshape(-1)),
    }
    return pack({**header, "words": words}, arrays)


def _preorder(tree: Tree) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the nodes in preorder, and for each in that order where its right branch begins; a leaf ends there."""
    left, right, is_leaf = tree.left.tolist(), tree.right.tolist(), tree.is_leaf.tolist()
    order: list[int] = []
    begins = [0] * len(is_leaf)
    waiting: list[tuple[int, int]] = [(0, -1)]
    while waiting:
        node, parent = waiting.pop()
        if parent >= 0:
            begins[parent] = len(order)
        place = len(order)
        order.append(node)
        if is_leaf[node]:
            begins[place] = place + 1
        else:
            waiting += [(right[node], place), (left[node], -1)]
    return np.array(order), np.array(begins[: len(order)])


def _bits(members: Matrix, categories: int, words: int) -> npt.NDArray[np.uint32]:
    """Return a set of places as bits; a negative one stands for missing values, whose bit follows the last category."""
    bits = np.zeros(words * _BITS, dtype=np.uint8)
    bits[np.where(members < 0, categories, members).astype(np.int64)] = 1
    return np.packbits(bits, bitorder="little").view("<u4").astype(np.uint32)


def _linear(fitted: Fitted, features: Matrix) -> bytes:
    """Pack preparation and weights in the order of the pipeline's columns."""
    preparation, estimator = (fitted.estimator.named_steps[name] for name in (PREPARE, ESTIMATE))
    parts = {name: (transformer, list(places)) for name, transformer, places in preparation.transformers_}
    columns: dict[str, list[Any]] = {name: [] for name in ("places", "fill", "mean", "scale", "centre")}
    if NUMBERS in parts:
        transformer, places = parts[NUMBERS]
        imputer, scaler = (transformer.named_steps[name] for name in ("impute", "scale"))
        centre = np.zeros(len(places))
        _extend(columns, places, imputer.statistics_, scaler.mean_, scaler.scale_, centre)
    if BOOLEANS in parts:
        imputer, places = parts[BOOLEANS]
        values = features[:, places]
        centre = np.where(np.isnan(values), imputer.statistics_, values).mean(axis=0)
        _extend(columns, places, imputer.statistics_, np.zeros(len(places)), np.ones(len(places)), centre)
    encoder, category_places = parts.get(CATEGORIES, (None, []))
    counts = [len(categories) for categories in encoder.categories_] if encoder is not None else []
    shares = [_shares(features[:, place], count) for place, count in zip(category_places, counts, strict=True)]
    weights = np.atleast_2d(estimator.coef_)
    numbers = len(columns["places"])
    if fitted.problem.task == "regression":
        header = _header(fitted, "linear", "identity", "target")
    else:
        header = _header(fitted, "linear", _link_of_classes(fitted), "log_odds")
    arrays = {
        "places": _array("i", columns.pop("places")),
        **{name: _array("d", values) for name, values in columns.items()},
        "weights": _array("d", weights[:, :numbers].reshape(-1)),
        "category_places": _array("i", category_places),
        "categories": _array("i", counts),
        "category_weights": _array("d", weights[:, numbers:].reshape(-1)),
        "shares": _array("d", np.concatenate(shares) if shares else []),
        "intercept": _array("d", np.reshape(estimator.intercept_, (-1,))),
    }
    return pack(header, arrays)


def _extend(columns: dict[str, list[Any]], *values: Any) -> None:
    for column, more in zip(columns.values(), values, strict=True):
        column += list(more)


def _shares(values: Matrix, count: int) -> Matrix:
    """Return the share of the rows that each category has; missing ones have none."""
    known = values[~np.isnan(values)].astype(np.int64)
    return np.bincount(known, minlength=count) / len(values)


def _array(code: str, values: npt.ArrayLike) -> array[Any]:
    dtype = {"i": np.int32, "I": np.uint32, "d": np.float64}[code]
    found: array[Any] = array(code)
    found.frombytes(np.ascontiguousarray(values, dtype=dtype).tobytes())
    return found
