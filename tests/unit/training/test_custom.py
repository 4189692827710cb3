"""Estimators that a definition brings itself."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perennial.definitions import Candidate, Model
from perennial.definitions.files import Definitions, Estimators, load_definitions
from perennial.errors import DefinitionError
from perennial.training.candidates import Fitted, fit, predict, resolved_parameters
from perennial.training.check import check_candidates
from perennial.training.evaluation import parity_error
from perennial.training.export import export
from perennial.training.problem import Problem
from perennial.training.rows import Rows
from perennial.training.scoring import score

SLOPE = """
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from sklearn.base import BaseEstimator


class Slope(BaseEstimator):
    '''Weights of a least squares fit, times ``factor``.'''

    def __init__(self, factor=1.0, random_state=None, categorical_features=None):
        self.factor = factor
        self.random_state = random_state
        self.categorical_features = categorical_features

    def fit(self, X, y):
        if self.factor < 0:
            raise KeyError("factor must not be negative")
        self.weights_ = np.linalg.lstsq(X, y, rcond=None)[0].reshape(-1, 1) * self.factor
        return self

    def predict(self, X):
        return (X @ self.weights_)[:, 0]

    def to_onnx(self):
        ends = [helper.make_tensor_value_info(name, TensorProto.{type}, ["n", None]) for name in ("x", "y")]
        weights = numpy_helper.from_array(self.weights_.astype(np.{numpy}), "prediction")
        product = helper.make_node("MatMul", ["x", "prediction"], ["y"])
        graph = helper.make_graph([product], "g", [ends[0]], [ends[1]], [weights])
        return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
"""


def folder(tmp_path: Path, **modules: str) -> Path:
    home = tmp_path / "estimators"
    home.mkdir(parents=True, exist_ok=True)
    for name, code in modules.items():
        (home / f"{name}.py").write_text(textwrap.dedent(code))
    return tmp_path


def slope(type: str = "DOUBLE", numpy: str = "float64") -> str:
    return SLOPE.replace("{type}", type).replace("{numpy}", numpy)


def candidate(estimator: str, **parameters: Any) -> Candidate:
    return Candidate.model_validate(
        {"name": "mine", "algorithm": "custom", "estimator": estimator, "parameters": parameters}
    )


def rows(task: str = "regression", count: int = 200) -> Rows:
    features = np.random.default_rng(0).normal(size=(count, 3))
    number = features @ [1.0, 2.0, 3.0]
    target = {"regression": number, "binary": (number > 0) * 1.0, "multiclass": np.digitize(number, [-2, 2]) * 1.0}
    return Rows(np.zeros(count, dtype="datetime64[us]"), features, target[task])


def learn(estimator: str, task: Any = "regression", home: Path | None = None, **parameters: Any) -> Fitted:
    problem = Problem(task=task, classes=3 if task == "multiclass" else 0, estimators=home, categorical={2: 5})
    return fit(candidate(estimator, **parameters), rows(task), 11, problem)


@pytest.mark.parametrize(("type", "numpy", "tolerance"), [("DOUBLE", "float64", 1e-12), ("FLOAT", "float32", 1e-5)])
def test_its_own_to_onnx_is_what_is_served(tmp_path: Path, type: str, numpy: str, tolerance: float) -> None:
    fitted = learn("estimators.mine:Slope", home=folder(tmp_path, mine=slope(type, numpy)), factor=2.0)
    found = score(export(fitted), rows().features)
    assert parity_error(predict(fitted, rows().features), found) < tolerance
    np.testing.assert_allclose(found, 2 * rows().target, rtol=1e-3, atol=1e-5)


def test_the_seed_and_the_categorical_places_are_given_to_one_that_takes_them(tmp_path: Path) -> None:
    estimator = learn("estimators.mine:Slope", home=folder(tmp_path, mine=slope())).estimator
    assert (estimator.random_state, estimator.categorical_features) == (11, [2])


@pytest.mark.parametrize(
    ("estimator", "task", "parameters", "tolerance"),
    [
        ("sklearn.linear_model:Lasso", "regression", {"alpha": 0.1}, 1e-12),
        ("sklearn.neighbors:KNeighborsRegressor", "regression", {}, 1e-9),
        ("sklearn.ensemble:GradientBoostingRegressor", "regression", {"n_estimators": 5}, 1e-5),  # single precision
        ("sklearn.naive_bayes:GaussianNB", "binary", {}, 1e-9),
        ("sklearn.linear_model:LogisticRegression", "multiclass", {}, 1e-9),
        ("sklearn.ensemble:ExtraTreesRegressor", "regression", {"n_estimators": 5}, 1e-12),
        ("sklearn.ensemble:ExtraTreesClassifier", "multiclass", {"n_estimators": 5}, 1e-12),
    ],
)
def test_an_installed_estimator_is_converted(
    estimator: str, task: Any, parameters: dict[str, Any], tolerance: float
) -> None:
    fitted = learn(estimator, task, **parameters)
    artifact = export(fitted)
    assert parity_error(predict(fitted, rows().features), score(artifact, rows().features)) < tolerance
    assert export(learn(estimator, task, **parameters)) == artifact


def test_one_that_takes_any_argument_is_given_what_the_definition_says(tmp_path: Path) -> None:
    text = (
        slope()
        + """

class Wide(Slope):
    def __init__(self, **more):
        super().__init__(factor=more["factor"])
"""
    )
    assert learn("estimators.mine:Wide", home=folder(tmp_path, mine=text), factor=3.0).estimator.factor == 3.0


def test_two_folders_with_modules_of_one_name_do_not_mix(tmp_path: Path) -> None:
    first = folder(tmp_path / "a", mine=slope(), shared="SIGN = 1")
    second = folder(tmp_path / "b", mine="from estimators.shared import SIGN\n" + slope(), shared="SIGN = -1")
    one = learn("estimators.mine:Slope", home=first)
    other = learn("estimators.mine:Slope", home=second)
    assert type(one.estimator) is not type(other.estimator)
    assert type(other.estimator).fit.__globals__["SIGN"] == -1


BROKEN = "from sklearn.base import BaseEstimator\nclass Broken(BaseEstimator):\n"


@pytest.mark.parametrize(
    ("code", "name", "sentence"),
    [
        ("class Other: pass", "mine:Mine", "module estimators.mine has no class Mine"),
        ("", "absent:Mine", r"there is no module 'estimators.absent'; put it into .* as estimators/<name>.py"),
        ("import lightgbn", "mine:Mine", "there is no module 'lightgbn'"),
        ("raise SystemExit(3)", "mine:Mine", "importing it raises SystemExit: 3"),
        ("1 / 0", "mine:Mine", "importing it raises ZeroDivisionError: division by zero"),
        ("def broken(:", "mine:Mine", "importing it raises SyntaxError"),
        ("class Mine: pass", "mine:Mine", "has no method fit; derive it from sklearn.base.BaseEstimator"),
        (
            BROKEN + "    def fit(self, X, y): self.n = 1; return self\n    def predict(self, X): return X[:, 0]",
            "mine:Broken",
            r"cannot be exported by skl2onnx \(ValueError: it does not know Broken\); give the class a method to_onnx",
        ),
        (
            BROKEN + "    def fit(self, X, y): return self\n    def predict(self, X): return X[:, 0]\n"
            "    def to_onnx(self): return b'no model'",
            "mine:Broken",
            "what to_onnx returns cannot be served",
        ),
        (
            slope().replace("[ends[0]]", "ends"),
            "mine:Slope",
            "cannot be served: .* has the inputs x, y, but should have",
        ),
        (
            BROKEN + "    def fit(self, X, y): return self\n    def predict(self, X): return {}['x']\n",
            "mine:Broken",
            "raises on predicting: KeyError: 'x'",
        ),
        (
            slope().replace("self.weights_.astype", "(self.weights_ * 1.01).astype"),
            "mine:Slope",
            "its ONNX form differs from it by .* more than gate.max_parity_error 1e-06",
        ),
    ],
)
def test_check_says_what_is_wrong_with_one(tmp_path: Path, code: str, name: str, sentence: str) -> None:
    home = folder(tmp_path, mine=code)
    with pytest.raises(DefinitionError, match=rf"^models/rent\.toml: .*{sentence}"):
        check_candidates(definitions(home, f"estimators.{name}"))


def test_without_any_file_of_estimators_the_one_that_is_asked_for_is_named(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"there is no module 'estimators\.mine'"):
        check_candidates(definitions(tmp_path, "estimators.mine:Mine"))


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_check_accepts_one_that_can_be_served_for_each_task(tmp_path: Path, task: str) -> None:
    name = "sklearn.linear_model:" + ("Lasso" if task == "regression" else "LogisticRegression")
    check_candidates(definitions(tmp_path, name, task=task))


def test_a_classifier_must_give_probabilities(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"has no predict_proba and classes_ after fit, which the task binary"):
        check_candidates(definitions(tmp_path, "sklearn.linear_model:Lasso", task="binary"))


def test_what_it_raises_in_fitting_is_a_fault_of_the_definition(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"estimators.mine:Slope says: KeyError: 'factor must not be negative'"):
        learn("estimators.mine:Slope", home=folder(tmp_path, mine=slope()), factor=-1.0)


def test_its_parameters_are_those_of_its_constructor(tmp_path: Path) -> None:
    problem = Problem(estimators=folder(tmp_path, mine=slope()))
    mine = "estimators.mine:Slope"
    assert resolved_parameters(candidate(mine, factor=2.0), problem) == {"factor": 2.0}
    with pytest.raises(DefinitionError, match=r"parameters.depth: estimators.mine:Slope has no .*; it has factor$"):
        resolved_parameters(candidate(mine, depth=1), problem)
    with pytest.raises(DefinitionError, match=r"parameters.random_state: take it out, the model's seed sets it"):
        resolved_parameters(candidate(mine, random_state=1), problem)


def definitions(home: Path, estimator: str, task: str = "regression") -> Definitions:
    content = {
        "name": "rent",
        "task": task,
        "dataset": "flats",
        "target": "rent",
        "features": {"flat": ["area", "rooms"]},
        "split": {"holdout": "1 day"},
        "candidates": [{"name": "mine", "algorithm": "custom", "estimator": estimator}],
    }
    return Definitions({}, {}, {"rent": Model.model_validate(content)}, Estimators(home))


DATASET = 'event_time = "at"\n[columns]\nat = {type = "timestamp"}\narea = {type = "double"}\n'
MODEL = """
dataset = "flats"
target = "area"
features.flat = ["area"]
split.holdout = "1 day"
[[candidates]]
name = "mine"
algorithm = "custom"
estimator = "%s"
"""


def write_definitions(home: Path) -> Path:
    for name, text in {
        "datasets/flats.toml": DATASET,
        "features/flat.sql": "-- kind: request\n-- dataset: flats\nSELECT area FROM flats",
        "models/mine.toml": MODEL % "estimators.mine:Slope",
        "models/other.toml": MODEL % "sklearn.linear_model:Lasso",
    }.items():
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(text)
    return home


def test_a_changed_estimator_is_another_definition_of_the_models_that_use_it(tmp_path: Path) -> None:
    home = write_definitions(folder(tmp_path, mine="1", _shared="2"))
    before = load_definitions(home)
    assert before.estimators.folder == home
    folder(tmp_path, _shared="3")
    after = load_definitions(home)
    assert after.fingerprint("mine") != before.fingerprint("mine")
    assert after.fingerprint("other") == before.fingerprint("other")
    assert load_definitions(home).fingerprint("mine") == after.fingerprint("mine")


def test_what_is_no_module_is_refused_in_the_folder_of_estimators(tmp_path: Path) -> None:
    home = write_definitions(folder(tmp_path, mine="1"))
    (home / "estimators" / "__pycache__").mkdir()
    (home / "estimators" / "notes.md").write_text("for people")
    load_definitions(home)
    (home / "estimators" / "weights.pkl").write_bytes(b"")
    with pytest.raises(DefinitionError, match=r"^estimators/weights.pkl: is not a Python module"):
        load_definitions(home)
