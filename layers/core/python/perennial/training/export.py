"""Turning a fitted estimator into an ONNX file, in double precision throughout.

skl2onnx does not serve here: its trees are float32 (a value on a threshold takes the wrong branch) and its imputer has
no double kernel in onnxruntime. Both algorithms are a handful of standard operators, which stand here as they are.
The file depends on the estimator alone: names, versions and producer are fixed, so equal fits give equal bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline

from perennial.training.scoring import INPUT, OUTPUT
from perennial.training.trees import flatten

# The oldest that hold what is used here (TreeEnsemble came with ai.onnx.ml 5): any later runtime reads the file.
_IR_VERSION = 10
_OPSETS = (("", 21), ("ai.onnx.ml", 5))
_ONE_TARGET, _SUM, _NO_TRANSFORM, _BRANCH_LEQ = 1, 1, 0, 0


class _Graph:
    """Nodes and constants of a graph in the making."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, values: npt.ArrayLike) -> str:
        """Add a float64 constant and return its name."""
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=np.float64), name))
        return name

    def apply(self, operator: str, *inputs: str, to: str, domain: str = "", **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        self.nodes.append(helper.make_node(operator, list(inputs), [to], name=to, domain=domain, **attributes))
        return to


def export(estimator: Any) -> bytes:
    """Return the ONNX file of an estimator that ``perennial.training.candidates.fit`` has fitted.

    The model has the input ``features`` (float64, shape (n, number of features), NaN for missing) and the output
    ``prediction`` (float64, shape (n, 1)), and gives what ``estimator.predict`` gives but for rounding.

    Raises
    ------
    TypeError
        The estimator is of neither kind.
    """
    graph = _Graph()
    if isinstance(estimator, Pipeline):
        _linear(graph, estimator)
    elif isinstance(estimator, HistGradientBoostingRegressor):
        _boosting(graph, estimator)
    else:
        raise TypeError(f"there is no ONNX export of {type(estimator).__name__}")
    model = _model(graph, int(estimator.n_features_in_))
    checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _linear(graph: _Graph, pipeline: Pipeline) -> None:
    """Imputation, scaling and a weighted sum, in the order and the arithmetic of scikit-learn."""
    imputer, scaler, estimator = (pipeline.named_steps[name] for name in ("impute", "scale", "estimate"))
    missing = graph.apply("IsNaN", INPUT, to="missing")
    filled = graph.apply("Where", missing, graph.constant("medians", imputer.statistics_), INPUT, to="filled")
    centred = graph.apply("Sub", filled, graph.constant("means", scaler.mean_), to="centred")
    scaled = graph.apply("Div", centred, graph.constant("scales", scaler.scale_), to="scaled")
    weights = graph.constant("weights", np.reshape(estimator.coef_, (-1, 1)))
    weighted = graph.apply("MatMul", scaled, weights, to="weighted")
    graph.apply("Add", weighted, graph.constant("intercept", [estimator.intercept_]), to=OUTPUT)


def _boosting(graph: _Graph, estimator: HistGradientBoostingRegressor) -> None:
    """Sum of trees plus a constant, through the inverse link of the loss."""
    trees = flatten([stage[0].nodes for stage in estimator._predictors])
    total = graph.apply(
        "TreeEnsemble", INPUT, to="trees", domain="ai.onnx.ml",
        n_targets=_ONE_TARGET, aggregate_function=_SUM, post_transform=_NO_TRANSFORM,
        tree_roots=trees.roots.tolist(),
        nodes_featureids=trees.feature.tolist(),
        nodes_modes=numpy_helper.from_array(np.full(len(trees.feature), _BRANCH_LEQ, np.uint8), "modes"),
        nodes_splits=numpy_helper.from_array(trees.threshold, "splits"),
        nodes_missing_value_tracks_true=trees.missing_goes_left.tolist(),
        nodes_truenodeids=trees.left.tolist(), nodes_trueleafs=trees.left_is_leaf.tolist(),
        nodes_falsenodeids=trees.right.tolist(), nodes_falseleafs=trees.right_is_leaf.tolist(),
        leaf_targetids=[0] * len(trees.leaf), leaf_weights=numpy_helper.from_array(trees.leaf, "weights"),
    )  # fmt: skip
    base = graph.constant("base", np.reshape(estimator._baseline_prediction, (1,)))
    logarithmic = estimator.loss in ("poisson", "gamma")
    raw = graph.apply("Add", total, base, to="raw" if logarithmic else OUTPUT)
    if logarithmic:
        graph.apply("Exp", raw, to=OUTPUT)


def _model(graph: _Graph, features: int) -> ModelProto:
    source = helper.make_tensor_value_info(INPUT, TensorProto.DOUBLE, ["rows", features])
    sink = helper.make_tensor_value_info(OUTPUT, TensorProto.DOUBLE, ["rows", 1])
    return helper.make_model(
        helper.make_graph(graph.nodes, "perennial", [source], [sink], graph.constants),
        producer_name="perennial",
        ir_version=_IR_VERSION,
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in _OPSETS],
    )
