"""A registered version whose predictions can be worked out in the head: a linear ONNX graph and its manifest."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from perennial import keys
from perennial.definitions import Column
from perennial.manifest import Histogram, Manifest, RequestView, StoredView
from perennial.ports import Ports
from perennial.serving.engine import Engine
from perennial.serving.loading import load_predictor
from perennial.serving.predictor import Predictor
from tests.support.records import AT, a_training_set, a_version

MODEL = "taxi_fare"
SQL = """SELECT
    trip_distance AS distance,
    hour(pickup_datetime) AS hour,
    coalesce(passenger_count, 1) AS passengers
FROM taxi_trips"""
INPUTS = {
    "pickup_datetime": Column(type="timestamp", format="%Y-%m-%d %H:%M:%S"),
    "passenger_count": Column(type="integer", nullable=True, min=0, max=9),
    "trip_distance": Column(type="double", min=0.1, max=60),
    "pickup_location_id": Column(type="integer", min=1, max=265),
}
FEATURES = ("trip_context__distance", "trip_context__hour", "trip_context__passengers", "zone_stats__mean_speed")
WEIGHTS = (2.0, 0.5, 1.0, 0.1)
BIAS = 3.0
"""The graph predicts 3 + 2 distance + hour / 2 + passengers + speed / 10, a missing feature counting as 0."""
VIEW_VERSION = "f" * 64


def linear_graph(weights: Sequence[float] = WEIGHTS, bias: float = BIAS, dtype: int = TensorProto.DOUBLE) -> bytes:
    """Return an ONNX file that computes ``x @ weights + bias``, missing values counting as 0."""
    return _graph([[weight] for weight in weights], [bias], "Identity", dtype)


def logistic_graph(weights: Sequence[float] = WEIGHTS, bias: float = BIAS) -> bytes:
    """Return an ONNX file that computes the probability ``sigmoid(x @ weights + bias)``."""
    return _graph([[weight] for weight in weights], [bias], "Sigmoid")


def softmax_graph(weights: Sequence[Sequence[float]], bias: Sequence[float]) -> bytes:
    """Return an ONNX file that computes the probabilities ``softmax(x @ weights + bias)``, a column for each class."""
    return _graph(weights, bias, "Softmax")


def _graph(
    weights: Sequence[Sequence[float]], bias: Sequence[float], link: str, dtype: int = TensorProto.DOUBLE
) -> bytes:
    shape = [len(weights), len(bias)]
    matrix = helper.make_tensor("weights", dtype, shape, [weight for row in weights for weight in row])
    nodes = [
        helper.make_node("IsNaN", ["features"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "features"], ["filled"]),
        helper.make_node("MatMul", ["filled", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["sum"]),
        helper.make_node(link, ["sum"], ["prediction"]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("features", dtype, [None, shape[0]])],
        [helper.make_tensor_value_info("prediction", dtype, [None, shape[1]])],
        [
            matrix,
            helper.make_tensor("bias", dtype, [shape[1]], list(bias)),
            helper.make_tensor("zero", dtype, [1], [0.0]),
        ],
    )
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
    assert isinstance(content, bytes)
    return content


def a_manifest(graph: bytes | None = None, **changes: Any) -> Manifest:
    """Return the manifest of version 1: a request view, a stored view and baselines of evenly spread values."""
    graph = linear_graph() if graph is None else graph
    tens = tuple(float(edge) for edge in range(0, 110, 10))
    flat = Histogram(edges=tens, counts=(0, *[100] * 10, 0, 0))
    example: dict[str, Any] = {
        "model": MODEL,
        "version": 1,
        "task": "regression",
        "target": "total_amount - tip_amount",
        "metric": "mae",
        "algorithm": "ridge",
        "candidate": "ridge",
        "parameters": {},
        "seed": 0,
        "features": FEATURES,
        "request": RequestView(
            name="trip_context", table="taxi_trips", sql=SQL, columns=("distance", "hour", "passengers")
        ),
        "stored": (
            StoredView(
                name="zone_stats",
                version=VIEW_VERSION,
                entity=("pickup_location_id",),
                columns=("mean_speed",),
                ttl_seconds=92 * 86400.0,
            ),
        ),
        "inputs": INPUTS,
        "ignored": ("fare_amount", "total_amount"),
        "event_time": "pickup_datetime",
        "onnx_input": "features",
        "onnx_output": "prediction",
        "files": {"model.onnx": hashlib.sha256(graph).hexdigest()},
        "metrics": {"mae": 2.0, "rmse": 3.0},
        "parity_error": 0.0,
        "baseline": dict.fromkeys(FEATURES, flat),
        "prediction_baseline": Histogram(edges=tuple(4 * edge for edge in tens), counts=flat.counts),
        "definition_hash": "d" * 64,
        "code_version": "test",
        "run_id": "train-1",
        "training_set_id": "t1",
        "snapshots": ("s1",),
        "split_at": datetime(2019, 2, 22),
        "libraries": {},
        "created_at": AT,
    }
    return Manifest(**{**example, **changes})


def predictor_of(manifest: Manifest, graph: bytes | None = None) -> Predictor:
    """Return what answers by a manifest and a graph, by default the linear one, once both were registered."""
    content = manifest.model_dump_json().encode()
    registered = hashlib.sha256(content).hexdigest()
    return load_predictor(content, registered, lambda _: linear_graph() if graph is None else graph, Engine())


PLAN_SQL = "SELECT upper(plan) AS plan, calls FROM customers"
PLANS = ("BASIC", "PLUS")
REASONS = ("moved", "price", "service")
PRICE_GRAPH = softmax_graph([[0.0, math.log(4), 0.0], [0.0, 0.0, 0.0]], [math.log(2), math.log(1), math.log(1)])
"""Odds of the three reasons 2:1:1 on the plan BASIC, a missing one counting as such, and 2:4:1 on the plan PLUS."""


def a_classifier(task: str, graph: bytes, **changes: Any) -> Manifest:
    """Return the manifest of a model of classes over a text and a number: version 1, with a request view alone."""
    multiclass = task == "multiclass"
    places = Histogram(edges=(0.0, 1.0, 2.0), counts=(0, 500, 500, 0, 0))
    example = {
        "task": task,
        "classes": REASONS if multiclass else ("false", "true"),
        "metric": "accuracy" if multiclass else "log_loss",
        "metrics": {"accuracy": 0.9} if multiclass else {"log_loss": math.log(2)},
        "features": ("customer__plan", "customer__calls"),
        "categories": {"customer__plan": PLANS},
        "request": RequestView(name="customer", table="customers", sql=PLAN_SQL, columns=("plan", "calls")),
        "stored": (),
        "inputs": {"plan": Column(type="string", nullable=True), "calls": Column(type="integer")},
        "ignored": (),
        "event_time": None,
        "baseline": {"customer__plan": places, "customer__calls": places},
        "prediction_baseline": places,
    }
    return a_manifest(graph, **{**example, **changes})


def register(
    ports: Ports, manifest: Manifest | None = None, graph: bytes | None = None, *, champion: bool = True, **changes: Any
) -> Manifest:
    """Write a version's files, publish it and, unless told otherwise, let it serve; return its manifest."""
    graph = linear_graph() if graph is None else graph
    manifest = manifest or a_manifest(graph)
    content = manifest.model_dump_json().encode()
    manifest_key = keys.artifact(manifest.model, manifest.version, "manifest.json")
    ports.artifacts.put(keys.artifact(manifest.model, manifest.version, "model.onnx"), graph)
    ports.artifacts.put(manifest_key, content)
    learnt_from = a_training_set(classes=manifest.classes, categories=manifest.categories)
    version = a_version(
        manifest.version,
        manifest.model,
        manifest_key=manifest_key,
        manifest_sha256=hashlib.sha256(content).hexdigest(),
        **{"training_set": learnt_from, **changes},
    )
    ports.catalog.publish_version(version)
    if champion:
        serving = ports.catalog.champion(manifest.model)
        expected = serving.version if serving else None
        ports.catalog.promote(manifest.model, manifest.version, expected, AT, "test", "for a test")
    return manifest


def a_trip(**changes: Any) -> dict[str, Any]:
    """Return one instance: 10 miles at 8 in the morning with one passenger."""
    example = {
        "pickup_datetime": "2019-03-01 08:30:00",
        "passenger_count": 1,
        "trip_distance": 10.0,
        "pickup_location_id": 42,
    }
    return {**example, **changes}


def by_hand(features: Mapping[str, float]) -> float:
    """Return what the linear graph must predict for features by name, those that are missing left out."""
    weights = dict(zip(FEATURES, WEIGHTS, strict=True))
    return BIAS + float(np.sum([weights[name] * value for name, value in features.items()]))
