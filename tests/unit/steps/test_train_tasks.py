"""The step ``train`` with classes, categories, custom estimators and backtests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perennial import keys
from perennial.definitions.files import Estimators
from perennial.fakes import fake_ports
from perennial.ports import Ports
from perennial.steps import admit, train
from perennial.steps.recording import recorded
from perennial.training.report import CandidateReport
from perennial.training.scoring import score
from tests.support.training_runs import PERSON, SPLIT_AT, put_snapshots, put_training_set, trips, world

ZONES = ("east", "north", "west")
CLASSES = ("cheap", "dear", "fair")
ALGORITHMS = ("logistic_regression", "hist_gradient_boosting", "random_forest")


def text_columns(hours: int = 400) -> dict[str, np.ndarray[Any, Any]]:
    """Return the trips with zones that are texts and the class of their price; the holdout has a class of its own."""
    columns = trips(hours)
    zone = columns["trip__zone"].astype(int) % 4
    columns["trip__zone"] = np.array([*ZONES, "unheard of"], dtype=object)[zone]
    price = columns["target"]
    columns["target"] = np.array(["cheap", "fair", "dear"], dtype=object)[np.digitize(price, [15, 30])]
    columns["target"][-3:] = "absurd"
    return columns


def run(
    model: dict[str, Any],
    columns: dict[str, np.ndarray[Any, Any]],
    found: dict[str, Any] | None = None,
    **training_set: Any,
) -> Ports:
    """Take a run to its trained candidates; ``found`` are the parameters that a search chose for each."""
    candidates = model.pop("candidates", [{"name": name, "algorithm": name} for name in ALGORITHMS])
    ports = fake_ports(world(candidates=candidates, **model))
    if "estimators" in training_set:
        ports = replace(ports, definitions=replace(ports.definitions, estimators=training_set.pop("estimators")))
    put_snapshots(ports, "s1")
    admit.run(admit.Request(run_id="run-1", model="fare", trigger=PERSON), ports)
    put_training_set(ports, "run-1", columns, **training_set)
    if found:
        with recorded(ports, "run-1", "search") as output:
            output |= {"done": True, "candidates": {each["name"]: {"parameters": found} for each in candidates}}
    for candidate in candidates:
        train.run(train.Request(run_id="run-1", model="fare", candidate=candidate["name"]), ports)
    return ports


def report_of(ports: Ports, candidate: str) -> tuple[CandidateReport, bytes]:
    report, artifact = (
        ports.artifacts.get(keys.candidate("fare", "run-1", candidate, file))
        for file in ("candidate.json", "model.onnx")
    )
    return CandidateReport.model_validate_json(report), artifact


def test_classes_and_categories_are_learnt_and_reported() -> None:
    ports = run({"task": "multiclass"}, text_columns(), categories={"trip__zone": ZONES}, classes=CLASSES)
    for name in ALGORITHMS:
        report, artifact = report_of(ports, name)
        assert report.categories == {"trip__zone": ZONES}
        assert report.classes == CLASSES
        assert report.metrics["n"] == 97  # of 100, three are of a class that nobody knew
        assert report.metrics["accuracy"] > 0.8
        assert report.parity_error < 1e-12
        assert report.prediction_baseline.edges[:3] == (0, 1, 2)
        assert score(artifact, np.array([[5.0, 0, 20], [np.nan, np.nan, np.nan]])).shape == (2, 3)
        assert report.baseline["trip__zone"].edges[:3] == (0, 1, 2)


def test_a_binary_model_answers_with_the_probability_of_true() -> None:
    columns = trips()
    columns["target"] = (columns["target"] > 25) * 1.0
    ports = run({"task": "binary"}, columns, classes=("false", "true"))
    for name in ALGORITHMS:
        report, artifact = report_of(ports, name)
        assert report.metrics["roc_auc"] > 0.9
        asked = np.array([[1.0, 3, 26], [19.0, 3, 26]])
        unlikely, likely = score(artifact, asked)
        assert unlikely < 0.1
        assert likely > 0.9


def test_what_preprocessing_calls_boolean_is_not_scaled() -> None:
    columns = trips()
    columns["trip__zone"] = (columns["trip__zone"] > 2) * 1.0
    line = {"name": "line", "algorithm": "ridge", "parameters": {"alpha": 1000.0}}
    files = []
    for kind in ("number", "boolean"):
        ports = run({"candidates": [line], "preprocessing": {"trip.zone": kind}}, columns)
        files.append(report_of(ports, "line")[0].onnx_sha256)
    assert files[0] != files[1]


@pytest.mark.parametrize("history", [None, "100 hours"])
def test_backtests_go_back_from_the_split_and_know_nothing_of_what_came_after(history: str | None) -> None:
    model = {"candidates": [{"name": "line", "algorithm": "ridge", **({"history": history} if history else {})}]}
    split = {"holdout": "4 days", "backtests": 2}
    plain = report_of(run({**model, "split": split}, trips()), "line")[0]
    assert [(test.start, test.end) for test in plain.backtests] == [
        (SPLIT_AT.replace(tzinfo=UTC) - timedelta(days=days), SPLIT_AT.replace(tzinfo=UTC) - timedelta(days=days - 4))
        for days in (8, 4)
    ]
    assert [test.rows_train for test in plain.backtests] == ([108, 204] if history is None else [100, 100])
    assert [test.metrics["n"] for test in plain.backtests] == [96, 96]

    columns = trips()
    future = columns["event_time"] >= np.datetime64(SPLIT_AT - timedelta(days=4))
    columns["target"] = np.where(future, columns["target"] * -50, columns["target"])
    spoilt = report_of(run({**model, "split": split}, columns), "line")[0]
    assert spoilt.backtests[0] == plain.backtests[0]
    assert spoilt.backtests[1].rows_train == plain.backtests[1].rows_train
    assert spoilt.backtests[1].metrics["mae"] > 100 * plain.backtests[1].metrics["mae"]


def test_no_backtests_are_made_where_none_are_asked_for() -> None:
    model = {"candidates": [{"name": "line", "algorithm": "ridge"}], "split": {"holdout": "4 days", "backtests": 0}}
    assert report_of(run(model, trips()), "line")[0].backtests == ()


MEAN = """
import numpy as np
from sklearn.linear_model import Ridge

class Halved(Ridge):
    def __init__(self, alpha=1.0):
        super().__init__(alpha=alpha)

    def fit(self, X, y):
        return super().fit(np.nan_to_num(X), y)

    def predict(self, X):
        return super().predict(np.nan_to_num(X)) / 2

    def to_onnx(self):
        from onnx import TensorProto, helper, numpy_helper
        ends = [helper.make_tensor_value_info(n, TensorProto.DOUBLE, ["n", None]) for n in ("features", "prediction")]
        constants = [numpy_helper.from_array(a, n) for n, a in (
            ("w", self.coef_.reshape(-1, 1) / 2), ("b", np.array([self.intercept_ / 2])), ("zero", np.zeros(1)))]
        nodes = [helper.make_node("IsNaN", ["features"], ["gaps"]),
                 helper.make_node("Where", ["gaps", "zero", "features"], ["filled"]),
                 helper.make_node("MatMul", ["filled", "w"], ["sum"]),
                 helper.make_node("Add", ["sum", "b"], ["prediction"])]
        graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
        return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)]).SerializeToString()
"""


def test_a_custom_estimator_is_trained_from_the_definitions_folder(tmp_path: Path) -> None:
    (tmp_path / "estimators").mkdir()
    (tmp_path / "estimators" / "halves.py").write_text(MEAN)
    custom = {
        "name": "own",
        "algorithm": "custom",
        "estimator": "estimators.halves:Halved",
        "parameters": {"alpha": 2.0},
    }
    ports = run({"candidates": [custom]}, trips(), estimators=Estimators(tmp_path, {}))
    report, artifact = report_of(ports, "own")
    assert report.estimator == "estimators.halves:Halved"
    assert report.parity_error < 1e-12
    assert "skl2onnx" in report.libraries
    late = trips()["event_time"] >= np.datetime64(SPLIT_AT)
    features = np.column_stack([trips()[name][late] for name in report.features])
    assert np.mean(score(artifact, features)) == pytest.approx(np.mean(trips()["target"][late]) / 2, rel=0.05)


def test_what_a_search_has_chosen_is_what_is_fitted_and_reported() -> None:
    plain, chosen = (
        report_of(run({"candidates": [{"name": "line", "algorithm": "ridge", **more}]}, trips(), found=found), "line")[
            0
        ]
        for more, found in (({}, {}), ({"space": {"alpha": {"low": 1, "high": 1e7}}}, {"alpha": 1e6}))
    )
    assert chosen.parameters == {"alpha": 1e6}
    assert chosen.metrics["mae"] > 2 * plain.metrics["mae"]
    assert chosen.backtests[0].metrics["mae"] > 2 * plain.backtests[0].metrics["mae"]
