"""A small world for each algorithm and task, with a text among the features, from the upload to version 1."""

from __future__ import annotations

import json
import random
import sys
import tempfile
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from perennial.definitions import Dataset, FeatureView, Model
from perennial.definitions.files import Definitions, Estimators, read_estimators
from perennial.fakes import fake_ports
from perennial.ports import Ports
from perennial.steps import features, ingest
from perennial.training import candidates
from tests.support.interruptions import copied
from tests.support.whole_runs import trained

TARGETS = {
    "regression": "fare",
    "binary": "fare > 16",
    "multiclass": "CASE WHEN fare < 12 THEN 'cheap' WHEN fare < 20 THEN 'fair' ELSE 'dear' END",
}
OWN = """
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from sklearn.base import BaseEstimator


class Nearest(BaseEstimator):
    '''A straight line through a random half of the rows; of classes, the softmax of one line for each.'''

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y):
        half = np.random.default_rng(self.random_state).permutation(len(X))[: len(X) // 2 + 5]
        X, y = np.column_stack([X, np.ones(len(X))])[half], np.asarray(y)
        wanted = y[half].reshape(-1, 1)
        if y.dtype.kind == "i":
            self.classes_ = np.unique(y)
            wanted = (wanted == self.classes_) * 1.0
        self.weights_ = np.round(np.linalg.lstsq(X, wanted, rcond=None)[0], 8)
        return self

    def _lines(self, X):
        return X @ self.weights_[:-1] + self.weights_[-1]

    def predict(self, X):
        return self._lines(X)[:, 0]

    def predict_proba(self, X):
        odds = np.exp(self._lines(X))
        return odds / odds.sum(axis=1, keepdims=True)

    def to_onnx(self):
        ends = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n", None]) for name in ("x", "y")]
        constants = [numpy_helper.from_array(self.weights_[:-1], "w"), numpy_helper.from_array(self.weights_[-1:], "b")]
        last = "Softmax" if hasattr(self, "classes_") else "Identity"
        nodes = [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Add", ["p", "b"], ["s"]),
                 helper.make_node(last, ["s"], ["y"])]
        graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
        return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
"""


@dataclass(frozen=True)
class Case:
    """A model with one candidate."""

    task: str
    algorithm: str
    parameters: dict[str, Any] = field(default_factory=dict)
    estimator: str | None = None

    def __str__(self) -> str:
        """Return the name of the test."""
        return f"{self.algorithm}-{(self.estimator or '').rpartition(':')[2] or 'offered'}-{self.task}"

    def model(self) -> Model:
        """Return the definition."""
        candidate = {"name": "one", "algorithm": self.algorithm, "parameters": self.parameters}
        return Model.model_validate(
            {
                "name": "fare",
                "task": self.task,
                "dataset": "rides",
                "target": TARGETS[self.task],
                "filter": "began >= TIMESTAMP '2019-01-02'",
                "features": {"now": ("zone", "miles"), "past": ("mean",)},
                "split": {"holdout": "3 days", "backtests": 0},
                "candidates": [candidate | ({"estimator": self.estimator} if self.estimator else {})],
                "retrain": {"min_rows": 1},
                "seed": 5,
            }
        )


_BOOSTED = {"max_iter": 8, "min_samples_leaf": 3, "max_features": 0.7}
_FOREST = {"n_estimators": 5, "min_samples_leaf": 2, "max_features": 0.7}
_CONVERTED = {"n_estimators": 4, "subsample": 0.7}
CASES = (
    Case("regression", "ridge"),
    *(Case(task, "logistic_regression") for task in ("binary", "multiclass")),
    *(Case(task, "hist_gradient_boosting", _BOOSTED) for task in TARGETS),
    *(Case(task, "random_forest", _FOREST) for task in TARGETS),
    *(Case(task, "custom", estimator="estimators.own:Nearest") for task in TARGETS),
    Case("regression", "custom", _CONVERTED, "sklearn.ensemble:GradientBoostingRegressor"),
    *(Case(task, "custom", _CONVERTED, "sklearn.ensemble:GradientBoostingClassifier") for task in list(TARGETS)[1:]),
)
"""Every algorithm for every task that it has; custom both of the definitions and of an installed package."""


def small_run(case: Case, folder: Path) -> Ports:
    """Return fakes in which version 1 of a case was made from one upload; its own modules stand in the folder."""
    (folder / "estimators").mkdir(exist_ok=True)
    (folder / "estimators" / "own.py").write_text(OWN)
    own = (case.estimator or "").startswith("estimators.")
    modules = read_estimators(folder) if own else Estimators()
    definitions = replace(_uploaded().definitions, models={"fare": case.model()}, estimators=modules)
    ports = replace(copied(_uploaded()), definitions=definitions)
    assert trained(ports) == 1
    return ports


@cache
def _uploaded() -> Ports:
    """Return fakes with the rides and the table of their view, which are the same in each case."""
    ports = fake_ports(ride_definitions())
    ports.raw.put("rides/a.csv", _rides().encode())
    ingest.run(ingest.Request(run_id="ingest-1", bucket="raw", key="rides/a.csv"), ports)
    features.run(features.Request(run_id="ingest-1", dataset="rides"), ports)
    return ports


def digests(ports: Ports) -> list[str]:
    """Return the SHA-256 of version 1's files: training rows, held-out rows, ONNX."""
    version = ports.catalog.version("fare", 1)
    manifest = json.loads(ports.artifacts.get(version.manifest_key))
    made = version.training_set
    return [made.sha256[made.train_key], made.sha256[made.holdout_key], manifest["files"]["model.onnx"]]


def ride_definitions(**models: Model) -> Definitions:
    """Return rides with a fare, a request view and a stored one."""
    dataset = Dataset.model_validate(
        {
            "name": "rides",
            "event_time": "began",
            "columns": {
                "began": {"type": "timestamp"},
                "zone": {"type": "string"},
                "miles": {"type": "double"},
                "fare": {"type": "double"},
            },
        }
    )
    past = (
        "SELECT zone, date_trunc('day', began) + INTERVAL 1 DAY AS known_at, avg(fare) AS mean FROM rides GROUP BY ALL"
    )
    stored = {"name": "past", "kind": "stored", "entity": ["zone"], "feature_time": "known_at", "sql": past}
    request = {"name": "now", "kind": "request", "sql": "SELECT zone, miles FROM rides"}
    views = [FeatureView.model_validate({"dataset": "rides", **view}) for view in (stored, request)]
    return Definitions({"rides": dataset}, {view.name: view for view in views}, models)


def _rides(rows: int = 150) -> str:
    """Return rides of ten days whose fare hangs on miles and zone."""
    draw, lines = random.Random(3), ["began,zone,miles,fare"]
    zones = {"north": 2.0, "south": 9.0, "elsewhere": 4.0}
    for number in range(rows):
        began, zone = datetime(2019, 1, 1) + timedelta(hours=1.6 * number), list(zones)[number % 3]
        miles = round(draw.uniform(1, 9), 2)
        lines.append(f"{began},{zone},{miles},{round(2 * miles + zones[zone] + draw.gauss(0, 1), 2)}")
    return "\n".join(lines)


def main() -> None:
    """Print the digests of every case, each trained on all processors as if it had many rows."""
    candidates._MANY_ROWS = 1
    found = {}
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            found[str(case)] = digests(small_run(case, Path(folder)))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
