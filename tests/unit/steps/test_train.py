"""The step ``train``."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from perennial import keys
from perennial.errors import ConflictError, DataError, NotFoundError
from perennial.fakes import fake_ports
from perennial.ports import Ports
from perennial.steps import admit, train
from perennial.training.report import CandidateReport
from perennial.training.scoring import score
from tests.support.training_runs import FEATURES, PERSON, SPLIT_AT, put_snapshots, put_training_set, trips, world


@pytest.fixture
def ports() -> Ports:
    """Return fakes with a run that has its training set."""
    ports = fake_ports(world())
    ready(ports)
    return ports


def ready(ports: Ports, run_id: str = "run-1", hours: int = 400) -> None:
    put_snapshots(ports, "s1")
    admit.run(admit.Request(run_id=run_id, model="fare", trigger=PERSON), ports)
    put_training_set(ports, run_id, trips(hours))


def ask(candidate: str = "line") -> train.Request:
    return train.Request(run_id="run-1", model="fare", candidate=candidate)


def stored(ports: Ports, candidate: str, file: str) -> bytes:
    return ports.artifacts.get(keys.candidate("fare", "run-1", candidate, file))


@pytest.mark.parametrize("candidate", ["line", "trees"])
def test_what_it_leaves_is_what_it_recorded(ports: Ports, candidate: str) -> None:
    trained = train.run(ask(candidate), ports)
    artifact, report = stored(ports, candidate, "model.onnx"), stored(ports, candidate, "candidate.json")
    assert trained.onnx_sha256 == hashlib.sha256(artifact).hexdigest()
    assert trained.report_sha256 == hashlib.sha256(report).hexdigest()
    step = ports.catalog.step("run-1", f"train#{candidate}")
    assert step.status == "succeeded"
    assert step.output == trained.model_dump(mode="json")


@pytest.mark.parametrize("candidate", ["line", "trees"])
def test_metrics_are_those_of_the_onnx_file_on_the_held_out_rows(ports: Ports, candidate: str) -> None:
    trained = train.run(ask(candidate), ports)
    columns = trips()
    late = columns["event_time"] >= np.datetime64(SPLIT_AT)
    features = np.column_stack([columns[name][late] for name in FEATURES])
    prediction = score(stored(ports, candidate, "model.onnx"), features)
    assert trained.metrics["n"] == late.sum() == 100
    assert trained.metrics["mae"] == pytest.approx(np.mean(np.abs(prediction - columns["target"][late])), rel=1e-9)
    assert trained.parity_error < 1e-12


def test_baselines_count_every_training_row_and_the_held_out_predictions(ports: Ports) -> None:
    train.run(ask(), ports)
    report = CandidateReport.model_validate_json(stored(ports, "line", "candidate.json"))
    early = trips()["trip__distance"][:300]
    assert set(report.baseline) == set(FEATURES)
    assert {name: sum(histogram.counts) for name, histogram in report.baseline.items()} == dict.fromkeys(FEATURES, 300)
    assert report.baseline["trip__distance"].counts[-1] == np.isnan(early).sum() > 0
    assert report.baseline["trip__zone"].edges[:5] == (1, 2, 3, 4, 5)
    assert sum(report.prediction_baseline.counts) == 100


def test_history_limits_the_rows_that_are_learnt_from() -> None:
    short = {"name": "line", "algorithm": "ridge", "history": "50 hours"}
    ports = fake_ports(world(candidates=[short]))
    ready(ports)
    assert train.run(ask(), ports).rows == 50


def test_a_history_without_rows_says_what_to_change() -> None:
    columns = trips()
    gap = (columns["event_time"] < np.datetime64("2019-01-10")) | (columns["event_time"] >= np.datetime64(SPLIT_AT))
    ports = fake_ports(world(candidates=[{"name": "line", "algorithm": "ridge", "history": "5 hours"}]))
    put_snapshots(ports, "s1")
    admit.run(admit.Request(run_id="run-1", model="fare", trigger=PERSON), ports)
    put_training_set(ports, "run-1", {name: values[gap] for name, values in columns.items()})
    with pytest.raises(DataError, match="candidate 'line': no training rows; lengthen its history"):
        train.run(ask(), ports)


def test_no_held_out_rows_say_what_to_change() -> None:
    ports = fake_ports(world())
    ready(ports, hours=300)
    with pytest.raises(DataError, match="no rows are held out"):
        train.run(ask(), ports)


@pytest.mark.parametrize("candidate", ["line", "trees"])
def test_a_second_try_writes_the_same_bytes(ports: Ports, candidate: str) -> None:
    train.run(ask(candidate), ports)
    first = [stored(ports, candidate, file) for file in ("model.onnx", "model.flat", "candidate.json")]
    train.run(ask(candidate), ports)
    assert [stored(ports, candidate, file) for file in ("model.onnx", "model.flat", "candidate.json")] == first


def test_a_training_set_that_was_tampered_with_is_not_learnt_from(ports: Ports) -> None:
    key = ports.catalog.step("run-1", "training_set").output["train_key"]
    ports.artifacts.put(key, ports.artifacts.get(key) + b" ")
    with pytest.raises(DataError, match="was changed after it was made"):
        train.run(ask(), ports)
    step = ports.catalog.step("run-1", "train#line")
    assert step.status == "failed"
    assert "was changed after it was made" in (step.error or "")


def test_a_definition_deployed_under_way_stops_the_run(ports: Ports) -> None:
    other = fake_ports(world(target="price + 1"), catalog=ports.catalog, artifacts=ports.artifacts)
    with pytest.raises(ConflictError, match="definition of model 'fare' was changed while it was under way"):
        train.run(ask(), other)


def test_an_unknown_candidate_is_not_found(ports: Ports) -> None:
    with pytest.raises(NotFoundError, match="no candidate 'oracle'"):
        train.run(ask("oracle"), ports)


def test_the_report_holds_plain_json_and_no_time(ports: Ports) -> None:
    train.run(ask("trees"), ports)
    report = json.loads(stored(ports, "trees", "candidate.json"))
    assert report["parameters"] == {"early_stopping": False, "max_iter": 20}
    assert report["seed"] == 7
    assert set(report["libraries"]) == {"numpy", "onnx", "onnxruntime", "scikit-learn"}
    assert not [key for key in report if key.endswith(("_at", "seconds"))]
