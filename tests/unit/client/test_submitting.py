"""A model of a notebook before the gate; the state machine is this process."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
import pytest
from onnx import TensorProto
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from perennial import keys
from perennial.client import Client, submitting
from perennial.errors import DataError, TransientError
from perennial.manifest import Manifest
from perennial.ports import Ports
from perennial.serving.artifact import load_artifact
from tests.support.artifacts import linear_graph
from tests.support.notebook import ADA, Ada, a_lab
from tests.support.training_runs import FEATURES, trips

# The price is 3 + 2 a mile + the zone, and the tenth of the distances that is missing counts as 0 here.
RIGHT = linear_graph((2.0, 1.0, 0.0), 3.0)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submitting, "POLL_SECONDS", 0.001)


def frame(price: float = 2.0) -> pd.DataFrame:
    """Return what the model ``fare`` is trained on, as `Client.training_frame` gives it."""
    made = pd.DataFrame(trips(price=price))
    return made.assign(part=np.where(np.arange(len(made)) < 300, "train", "holdout"))


def fitted(price: float = 2.0) -> Pipeline:
    """Return a line through the rows that are learnt from."""
    line = Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler()), ("estimate", Ridge())])
    rows = frame(price).query("part == 'train'")
    return line.fit(rows[list(FEATURES)], rows["target"])


def manifest(ports: Ports, version: int) -> Manifest:
    return Manifest.model_validate_json(ports.artifacts.get(keys.artifact("fare", version, "manifest.json")))


def test_a_better_model_becomes_champion_and_says_where_it_comes_from() -> None:
    ports = a_lab(max_error=50.0)
    # Since the champion was trained the price rose to $3, and the person has heard of it.
    operator = Ada(ports, price=3.0)
    with Client(ports, operator).experiment("fare", name="the new price") as run:
        run.log_params({"price": 3})
        outcome = run.register(fitted(3.0), frame=frame(3.0), reason="prices rose", quiet=True)
    assert (outcome.version, outcome.passed, outcome.reason) == (2, True, "")
    champion = ports.catalog.champion("fare")
    assert champion is not None
    assert champion.version == 2
    version = ports.catalog.version("fare", 2)
    assert (version.trigger.kind, version.trigger.source, version.trigger.reason) == ("person", ADA, "prices rose")
    found = manifest(ports, 2)
    assert (found.algorithm, found.candidate, found.experiment) == ("submitted", "submitted", run.run_id)
    assert found.parameters == {"price": 3}
    assert 0 <= found.parity_error < 1e-9
    assert {name: sum(each.counts) for name, each in found.baseline.items()} == dict.fromkeys(FEATURES, 300)
    log = ports.catalog.experiment("fare", run.run_id)
    assert [(entry.run_id, entry.version, entry.passed) for entry in log.submitted] == [(outcome.run_id, 2, True)]
    assert Client(ports, operator).experiments("fare")["version"].tolist() == [2]


def test_what_serves_is_what_the_estimator_said() -> None:
    ports = a_lab(max_error=50.0)
    estimator = fitted(3.0)
    with Client(ports, Ada(ports, price=3.0)).experiment("fare") as run:
        run.register(estimator, frame=frame(3.0), quiet=True)
    version = ports.catalog.version("fare", 2)
    served = load_artifact(
        ports.artifacts.get(version.manifest_key),
        version.manifest_sha256,
        lambda file: ports.artifacts.get(keys.artifact("fare", 2, file)),
    )
    rows = frame(3.0)[list(FEATURES)]
    assert served.predict(rows.to_numpy(np.float64)) == pytest.approx(estimator.predict(rows), rel=1e-9)


def test_a_useless_model_is_refused_with_the_sentences_of_the_gate() -> None:
    ports = a_lab()
    with Client(ports, Ada(ports)).experiment("fare") as run:
        outcome = run.register(onnx=linear_graph((0.0, 0.0, 0.0), 1.0), quiet=True)
    assert (outcome.version, outcome.passed) == (2, False)
    assert "is above 3." in outcome.reason
    assert "above champion version 1's" in outcome.reason
    assert outcome.verdict is not None
    assert list(outcome.verdict.candidates) == ["submitted"]
    champion = ports.catalog.champion("fare")
    assert champion is not None
    assert champion.version == 1
    assert ports.catalog.version("fare", 2).stage == "refused"


def test_a_file_is_judged_as_it_is_without_an_estimator() -> None:
    ports = a_lab(crowned=False, max_error=50.0)
    with Client(ports, Ada(ports)).experiment("fare") as run:
        outcome = run.register(onnx=RIGHT, quiet=True)
    assert outcome.passed
    found = manifest(ports, 1)
    assert found.files["model.onnx"] == hashlib.sha256(RIGHT).hexdigest(), "what conforms already is kept as it is"
    assert found.parity_error == 0
    # Its maker did not say what it learnt from, so the rows of the run's training set are counted.
    assert {sum(each.counts) for each in found.baseline.values()} == {300}


def test_a_file_in_single_precision_that_reads_some_features_in_its_own_order_is_adapted() -> None:
    ports = a_lab(crowned=False, max_error=50.0)
    columns = trips()
    single = linear_graph((1.0, 2.0), 3.0, TensorProto.FLOAT)
    with Client(ports, Ada(ports)).experiment("fare") as run:
        outcome = run.register(onnx=single, features=["trip__zone", "trip__distance"], quiet=True)
    assert outcome.verdict is not None
    late = slice(300, None)
    said = 3 + columns["trip__zone"] + 2 * np.nan_to_num(columns["trip__distance"])
    expected = np.mean(np.abs(said[late] - columns["target"][late]))
    assert outcome.verdict.metrics["mae"] == pytest.approx(expected, rel=1e-5)
    assert manifest(ports, 1).features == FEATURES


def test_an_estimator_that_converts_itself_is_asked_to() -> None:
    class Converts:
        def predict(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            return 3 + np.nan_to_num(rows) @ [2.0, 1.0, 0.0]

        def to_onnx(self) -> bytes:
            return RIGHT

    ports = a_lab(crowned=False, max_error=50.0)
    with Client(ports, Ada(ports)).experiment("fare") as run:
        assert run.register(Converts(), frame=frame(), quiet=True).passed
    assert manifest(ports, 1).parity_error < 1e-12


def test_an_estimator_that_differs_from_its_file_is_refused_for_it() -> None:
    class Lies:
        def predict(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            return 4 + np.nan_to_num(rows) @ [2.0, 1.0, 0.0]

        def to_onnx(self) -> bytes:
            return RIGHT

    ports = a_lab(crowned=False, max_error=50.0)
    with Client(ports, Ada(ports)).experiment("fare") as run:
        outcome = run.register(Lies(), frame=frame(), quiet=True)
    assert "The ONNX model differs from its estimator by" in outcome.reason


def test_a_model_that_learnt_from_what_judges_it_is_not_judged() -> None:
    ports = a_lab()
    with Client(ports, Ada(ports)).experiment("fare") as run:
        outcome = run.register(onnx=RIGHT, frame=frame().drop(columns="part"), quiet=True)
    assert (outcome.version, outcome.passed) == (None, False)
    assert "it has learnt from rows until 2019-01-17 15:00:00, and those from 2019-01-13 12:00:00 on judge it" in (
        outcome.reason
    )
    assert ports.catalog.run(outcome.run_id).status == "failed"
    assert len(ports.catalog.versions("fare")) == 1


def test_while_another_run_trains_a_submission_is_refused_and_may_come_again() -> None:
    ports = a_lab(crowned=False, max_error=50.0)
    until = ports.clock.now().replace(year=2030)
    ports.catalog.claim("train#fare", "another", until, ports.clock.now())
    with Client(ports, Ada(ports)).experiment("fare") as run:
        assert "run another is training model fare" in run.register(onnx=RIGHT, quiet=True).reason
        ports.catalog.release("train#fare", "another")
        assert run.register(onnx=RIGHT, quiet=True).passed
    log = ports.catalog.experiment("fare", run.run_id)
    assert [entry.passed for entry in log.submitted] == [False, True]
    assert len({entry.submission for entry in log.submitted}) == 1


def test_steps_are_told_as_they_end(capsys: pytest.CaptureFixture[str]) -> None:
    ports = a_lab(crowned=False, max_error=50.0)
    with Client(ports, Ada(ports)).experiment("fare") as run:
        run.register(onnx=RIGHT)
    steps = ("admit", "evaluate", "register", "take_submission", "training_set")
    assert sorted(capsys.readouterr().err.splitlines()) == [f"{step}: succeeded" for step in steps]


def test_a_gate_that_is_silent_is_not_awaited_for_ever() -> None:
    ports = a_lab(crowned=False)

    class Slow(Ada):
        def start(self, verb: str, about: Any, reason: str) -> str:
            return "never"

    run = Client(ports, Slow(ports)).experiment("fare")
    with pytest.raises(TransientError, match="run never was not over within 0 s"):
        run.register(onnx=RIGHT, seconds=0.01)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "give an estimator or onnx=, one of them"),
        ({"onnx": RIGHT, "estimator": fitted()}, "give an estimator or onnx=, one of them"),
        ({"estimator": fitted()}, "give frame=, the rows that the estimator learnt from"),
        ({"estimator": object(), "frame": frame()}, "there is no ONNX export of this object"),
        ({"onnx": b"pickle"}, "it is no ONNX file"),
        ({"onnx": RIGHT, "features": ["trip__zone"]}, "its input has 3 columns, but 1 features are named"),
        ({"onnx": RIGHT, "features": ["trip__speed"]}, "'trip__speed' is none of the features of fare"),
        ({"onnx": RIGHT, "features": ["trip__zone"] * 3}, "name each once of the features of fare"),
        ({"onnx": RIGHT, "output": "other"}, r"name one of its outputs with output=: prediction \(double\)"),
        ({"onnx": RIGHT, "frame": frame().drop(columns="trip__zone")}, "frame has no column 'trip__zone'"),
        ({"onnx": RIGHT, "frame": frame().assign(trip__zone="north")}, "column 'trip__zone' of frame holds no numbers"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_told_before_anything_is_uploaded(given: dict[str, Any], sentence: str) -> None:
    ports = a_lab(crowned=False)
    with Client(ports, Ada(ports)).experiment("fare") as run, pytest.raises(DataError, match=sentence):
        run.register(given.pop("estimator", None), **given)
    assert ports.artifacts.keys("submissions/") == []


def test_an_estimator_on_other_columns_than_it_names_is_told() -> None:
    rows = frame()
    trees = HistGradientBoostingRegressor(max_iter=2).fit(rows[["trip__zone"]].to_numpy(), rows["target"])
    ports = a_lab(crowned=False)
    run = Client(ports, Ada(ports)).experiment("fare")
    with pytest.raises(DataError, match="fitted on 1 columns, but 3 features are named; give features="):
        run.register(trees, frame=rows)


def test_categories_are_counted_by_their_places() -> None:
    from perennial.training.submission import Submission

    ports = a_lab(crowned=False, max_error=50.0)
    rows = frame().assign(trip__zone=lambda made: made["trip__zone"].astype(int).astype(str))
    zones = ("1", "2", "3", "4", "5")
    with Client(ports, Ada(ports)).experiment("fare") as run:
        run.register(onnx=RIGHT, frame=rows, categories={"trip__zone": zones}, quiet=True)
    (entry,) = ports.catalog.experiment("fare", run.run_id).submitted
    content = ports.artifacts.get(keys.submission("fare", entry.submission, "candidate.json"))
    made = Submission.model_validate_json(content)
    assert made.categories == {"trip__zone": zones}
    counts = rows.query("part == 'train'")["trip__zone"].value_counts()
    assert made.baseline["trip__zone"].counts[1:6] == tuple(counts[zone] for zone in zones)
