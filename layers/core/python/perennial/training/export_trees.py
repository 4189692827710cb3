"""The ONNX graphs of gradient boosting and of forests, in double precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, numpy_helper

from perennial.training.graph import Graph, end_in_probabilities
from perennial.training.problem import Problem
from perennial.training.scoring import INPUT, OUTPUT
from perennial.training.trees import Tree, flatten

_SUM, _NO_TRANSFORM, _BRANCH_LEQ, _BRANCH_MEMBER = 1, 0, 0, 6
_NO_CATEGORY = -1.0
"""Stands for a missing category in the graph, so that a set of categories can hold it."""


def boosting(graph: Graph, estimator: Any, problem: Problem, seen: list[int]) -> None:
    """Sum of trees plus a constant, through the inverse link of the loss."""
    trees = boosted_trees(estimator, problem)
    source = INPUT
    if problem.categorical and estimator.is_categorical_ is not None:
        filling = np.full(estimator.n_features_in_, np.nan)
        filling[sorted(problem.categorical)] = _NO_CATEGORY
        missing = graph.apply("IsNaN", INPUT, to="missing")
        source = graph.apply("Where", missing, graph.constant("filling", filling), INPUT, to="filled")
    base = graph.constant("base", boosting_base(estimator))
    total = _ensemble(graph, source, trees, estimator.n_trees_per_iteration_)
    if problem.task != "regression":
        raw = graph.apply("Add", total, base, to="raw")
        end_in_probabilities(graph, _probabilities(graph, raw, seen), seen, problem.classes)
    elif estimator.loss in ("poisson", "gamma"):
        graph.apply("Exp", graph.apply("Add", total, base, to="raw"), to=OUTPUT)
    else:
        graph.apply("Add", total, base, to=OUTPUT)


def boosted_trees(estimator: Any, problem: Problem) -> list[Tree]:
    """Return the trees of a fitted boosting, a stage after the other; their features are those of the problem."""
    codes = _Codes(estimator, problem)
    return [
        _boosted(predictor, target, codes) for stage in estimator._predictors for target, predictor in enumerate(stage)
    ]


def boosting_base(estimator: Any) -> npt.NDArray[np.float64]:
    """Return what a fitted boosting adds its trees to: one number, or one for each class."""
    return np.reshape(np.asarray(estimator._baseline_prediction, dtype=np.float64), (-1,))


def forest(graph: Graph, estimator: Any, problem: Problem, seen: list[int]) -> None:
    """Mean of the values, or class probabilities, of the leaves that a row comes to."""
    # scikit-learn's forests take their features as float32 and compare them with float64 thresholds.
    single = graph.cast(graph.cast(INPUT, TensorProto.FLOAT, to="narrow"), TensorProto.DOUBLE, to="single")
    grown = [tree.tree_ for tree in estimator.estimators_]
    count = graph.constant("count", [float(len(grown))])
    if problem.task == "regression":
        total = _ensemble(graph, single, [grown_tree(tree, tree.value[:, 0, 0]) for tree in grown], 1)
        graph.apply("Div", total, count, to=OUTPUT)
        return
    if len(seen) == 2:
        total = _ensemble(graph, single, [grown_tree(tree, tree.value[:, 0, 1]) for tree in grown], 1)
        end_in_probabilities(graph, graph.apply("Div", total, count, to="mean"), seen, problem.classes)
        return
    # A leaf adds to one output only, so each tree says in an output of its own which leaf it is, and a table the rest.
    first, trees = 0, []
    for target, tree in enumerate(grown):
        leaves = np.flatnonzero(tree.children_left < 0)
        number = np.zeros(tree.node_count)
        number[leaves] = first + np.arange(len(leaves))
        trees.append(replace(grown_tree(tree, number), target=target))
        first += len(leaves)
    numbers = _ensemble(graph, single, trees, len(trees))
    places = graph.cast(numbers, TensorProto.INT64, to="leaves")
    table = np.concatenate([tree.value[tree.children_left < 0, 0, :] for tree in grown])
    said = graph.apply("Gather", graph.constant("leaf_probabilities", table), places, to="said", axis=0)
    axis = graph.constant("trees_axis", [1], np.int64)
    total = graph.apply("ReduceSum", said, axis, to="total", keepdims=0)
    end_in_probabilities(graph, graph.apply("Div", total, count, to="mean"), seen, problem.classes)


def _probabilities(graph: Graph, raw: str, seen: list[int]) -> str:
    if len(seen) == 2:
        return graph.apply("Sigmoid", raw, to="sigmoid")
    return graph.apply("Softmax", raw, to="softmax", axis=1)


def _ensemble(graph: Graph, source: str, trees: Sequence[Tree], targets: int) -> str:
    flat = flatten(trees)
    modes = np.where(flat.asks_members == 1, _BRANCH_MEMBER, _BRANCH_LEQ).astype(np.uint8)
    members = {"membership_values": numpy_helper.from_array(flat.members, "members")} if len(flat.members) else {}
    return graph.apply(
        "TreeEnsemble", source, to="trees", domain="ai.onnx.ml",
        n_targets=targets, aggregate_function=_SUM, post_transform=_NO_TRANSFORM,
        tree_roots=flat.roots.tolist(),
        nodes_featureids=flat.feature.tolist(),
        nodes_modes=numpy_helper.from_array(modes, "modes"),
        nodes_splits=numpy_helper.from_array(flat.threshold, "splits"),
        nodes_missing_value_tracks_true=flat.missing_goes_left.tolist(),
        nodes_truenodeids=flat.left.tolist(), nodes_trueleafs=flat.left_is_leaf.tolist(),
        nodes_falsenodeids=flat.right.tolist(), nodes_falseleafs=flat.right_is_leaf.tolist(),
        leaf_targetids=flat.leaf_target.tolist(), leaf_weights=numpy_helper.from_array(flat.leaf, "weights"),
        **members,
    )  # fmt: skip


class _Codes:
    """What the numbers of features and categories within a fitted boosting mean outside of it."""

    def __init__(self, estimator: Any, problem: Problem) -> None:
        self.order = np.arange(estimator.n_features_in_)
        self.known: list[npt.NDArray[np.float64]] = []
        self.all: list[npt.NDArray[np.float64]] = []
        if estimator.is_categorical_ is not None:
            # scikit-learn puts the categorical features first, and numbers the categories that the rows had anew.
            self.order = np.argsort(~estimator.is_categorical_, kind="stable")
            encoder = estimator._preprocessor.named_transformers_["encoder"]
            self.known = [categories[~np.isnan(categories)] for categories in encoder.categories_]
            places = self.order[: len(self.known)]
            self.all = [np.arange(_NO_CATEGORY, problem.categorical[int(place)]) for place in places]

    def going_left(self, feature: int, bits: npt.NDArray[np.uint32], missing: bool) -> npt.NDArray[np.float64]:
        """Return the categories that go left; one that the rows did not have goes where missing ones go."""
        known = self.known[feature]
        numbers = np.arange(len(known))
        left = known[(bits[numbers // 32] >> (numbers % 32)) & 1 == 1]
        return np.union1d(left, np.setdiff1d(self.all[feature], known)) if missing else left


def _boosted(predictor: Any, target: int, codes: _Codes) -> Tree:
    nodes = predictor.nodes
    left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
    members = {}
    for node in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~nodes["is_leaf"].astype(bool)):
        feature = int(nodes["feature_idx"][node])
        bits = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]]
        chosen = codes.going_left(feature, bits, bool(nodes["missing_go_to_left"][node]))
        others = np.setdiff1d(codes.all[feature], chosen)
        if len(others) < len(chosen):  # the runtime asks for one member after the other: ask for the fewer
            chosen, left[node], right[node] = others, right[node], left[node]
        members[int(node)] = chosen
    return Tree(
        is_leaf=nodes["is_leaf"].astype(bool),
        feature=codes.order[nodes["feature_idx"]],
        threshold=np.where(nodes["is_categorical"].astype(bool), 0.0, nodes["num_threshold"]),
        missing_goes_left=nodes["missing_go_to_left"].astype(np.int64),
        left=left,
        right=right,
        value=nodes["value"].astype(np.float64),
        cover=nodes["count"].astype(np.float64),
        target=target,
        members=members,
    )


def grown_tree(tree: Any, value: npt.NDArray[np.float64]) -> Tree:
    """Return a tree of a fitted forest, whose nodes have the given values."""
    return Tree(
        is_leaf=tree.children_left < 0,
        feature=tree.feature.astype(np.int64),
        threshold=tree.threshold.astype(np.float64),
        missing_goes_left=tree.missing_go_to_left.astype(np.int64),
        left=tree.children_left.astype(np.int64),
        right=tree.children_right.astype(np.int64),
        value=value,
        cover=tree.weighted_n_node_samples,
    )
