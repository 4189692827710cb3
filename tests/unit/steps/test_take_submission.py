"""The step ``take_submission``."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from perennial import keys
from perennial.errors import ConflictError, DataError
from perennial.fakes import fake_ports
from perennial.ports import Ports
from perennial.records import Trigger
from perennial.steps import admit, evaluate, register
from perennial.steps.admit import candidates_of
from perennial.training.report import CandidateReport
from perennial.training.submission import Submission
from tests.support.artifacts import linear_graph
from tests.support.interruptions import each_death
from tests.support.notebook import ADA, a_lab, admitted, take
from tests.support.training_runs import FEATURES, SPLIT_AT, put_training_set, trips, world
from tests.support.world import survives_kills

RIGHT = linear_graph((2.0, 1.0, 0.0), 3.0)
PERSON = Trigger(kind="person", source=ADA)


def submit(ports: Ports, graph: bytes = RIGHT, **changes: Any) -> str:
    """Upload a submission as the client does; return its id."""
    example: dict[str, Any] = {
        "model": "fare",
        "experiment": "try-1",
        "parameters": {"rate": 0.1},
        "features": FEATURES,
        "onnx_sha256": hashlib.sha256(graph).hexdigest(),
        "libraries": {"numpy": "2"},
    }
    content = Submission(**{**example, **changes}).model_dump_json().encode()
    submission = hashlib.sha256(content).hexdigest()
    ports.artifacts.put(keys.submission("fare", submission, "candidate.json"), content)
    ports.artifacts.put(keys.submission("fare", submission, "model.onnx"), graph)
    return submission


def ready(graph: bytes = RIGHT, *, ports: Ports | None = None, **changes: Any) -> tuple[Ports, str]:
    """Return fakes with a run that has its training set, and the submission that it is about."""
    ports = ports or a_lab(crowned=False, max_error=50.0)
    submission = submit(ports, graph, **changes)
    assert admitted(ports, "run-1", submission, PERSON)
    put_training_set(ports, "run-1", trips())
    return ports, submission


def test_what_it_leaves_is_a_candidate_that_evaluate_and_register_take() -> None:
    ports, submission = ready()
    taken = take(ports, "run-1", submission)
    assert candidates_of(ports, "run-1") == ["submitted"]
    assert ports.catalog.step("run-1", "train#submitted").output == taken.model_dump(mode="json")
    verdict = evaluate.run(evaluate.Request(run_id="run-1", model="fare"), ports)
    assert verdict.candidates == {"submitted": taken.metrics}
    made = register.run(register.Request(run_id="run-1", model="fare"), ports)
    assert (made.version, made.passed) == (1, True)


def test_metrics_are_those_of_the_file_on_the_held_out_rows() -> None:
    ports, submission = ready()
    columns = trips()
    late = columns["event_time"] >= np.datetime64(SPLIT_AT)
    said = 3 + 2 * np.nan_to_num(columns["trip__distance"]) + columns["trip__zone"]
    expected = np.mean(np.abs(said - columns["target"])[late])
    found = take(ports, "run-1", submission)
    assert (found.metrics["n"], found.metrics["mae"]) == (100, pytest.approx(expected, rel=1e-12))


def test_baselines_are_those_of_its_maker_or_else_of_the_training_rows() -> None:
    ports, submission = ready()
    take(ports, "run-1", submission)
    content = ports.artifacts.get(keys.candidate("fare", "run-1", "submitted", "candidate.json"))
    report = CandidateReport.model_validate_json(content)
    assert {sum(each.counts) for each in report.baseline.values()} == {300}
    assert (report.experiment, report.parameters, report.rows) == ("try-1", {"rate": 0.1}, 0)

    ports, submission = ready(baseline=dict.fromkeys(FEATURES, report.prediction_baseline), rows=77)
    take(ports, "run-1", submission)
    content = ports.artifacts.get(keys.candidate("fare", "run-1", "submitted", "candidate.json"))
    theirs = CandidateReport.model_validate_json(content)
    assert (set(theirs.baseline.values()), theirs.rows) == ({report.prediction_baseline}, 77)


def test_killed_anywhere_and_repeated_it_leaves_what_one_clean_run_leaves() -> None:
    _, submission = ready()
    assert survives_kills(lambda: ready()[0], lambda ports: take(ports, "run-1", submission)) >= 4


def test_killed_anywhere_the_whole_way_to_a_version_ends_in_one_version() -> None:
    _, submission = ready()

    def judge(ports: Ports) -> register.Registered:
        request = admit.Request(run_id="run-1", model="fare", trigger=PERSON, submission=submission)
        assert admit.run(request, ports).candidates in (["submitted"], [])
        if ports.catalog.run("run-1").status == "running":
            take(ports, "run-1", submission)
            evaluate.run(evaluate.Request(run_id="run-1", model="fare"), ports)
        return register.run(register.Request(run_id="run-1", model="fare"), ports)

    clean = ready()[0]
    expected = judge(clean)
    manifest = clean.artifacts.get(keys.artifact("fare", 1, "manifest.json"))
    deaths = 0
    for ports, where in each_death(judge, lambda: ready()[0], before=False):
        assert judge(ports) == expected, where
        assert [version.version for version in ports.catalog.versions("fare")] == [1], where
        assert ports.artifacts.get(keys.artifact("fare", 1, "manifest.json")) == manifest, where
        deaths += 1
    assert deaths > 10


@pytest.mark.parametrize("file", ["model.onnx", "candidate.json"])
def test_a_file_that_was_changed_since_it_was_submitted_is_refused(file: str) -> None:
    ports, submission = ready()
    key = keys.submission("fare", submission, file)
    ports.artifacts.put(key, ports.artifacts.get(key) + b" ")
    with pytest.raises(DataError, match=rf"{file}: its SHA-256 is .* was changed after it was made"):
        take(ports, "run-1", submission)
    assert ports.catalog.step("run-1", "train#submitted").status == "failed"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model": "tip"}, "it is for model tip, not for fare"),
        ({"features": FEATURES[:2]}, "it reads trip__distance, trip__zone, but the model has trip__distance, trip__"),
        ({"learnt_until": SPLIT_AT}, "and those from 2019-01-13 12:00:00 on judge it"),
    ],
)
def test_a_submission_that_does_not_fit_the_run_is_told(changes: dict[str, Any], sentence: str) -> None:
    ports, submission = ready(**changes)
    with pytest.raises(DataError, match=sentence):
        take(ports, "run-1", submission)


def test_a_file_that_went_around_the_client_is_looked_at_all_the_same() -> None:
    ports, submission = ready(linear_graph((1.0, 1.0), 0.0))
    with pytest.raises(DataError, match="one input 'features' of 3 columns"):
        take(ports, "run-1", submission)
    ports, submission = ready(b"not a model")
    with pytest.raises(DataError, match="it is no ONNX file"):
        take(ports, "run-1", submission)


def test_a_file_beyond_the_gates_size_is_not_even_fetched() -> None:
    definitions = world(gate={"max_bytes": 100, "max_error": 50})
    ports, submission = ready(ports=a_lab(crowned=False, definitions=definitions))
    with pytest.raises(DataError, match=rf"it has {len(RIGHT)} bytes, and 100 are allowed \(gate.max_bytes\)"):
        take(ports, "run-1", submission)


def test_a_file_that_onnxruntime_cannot_run_is_told() -> None:
    """Its output is said to be a column, and the sum of all is none."""
    columns = helper.make_tensor("columns", TensorProto.DOUBLE, [7, 1], [1.0] * 7)
    broken = helper.make_graph(
        [helper.make_node("MatMul", ["features", "columns"], ["prediction"])],
        "broken",
        [helper.make_tensor_value_info("features", TensorProto.DOUBLE, [None, 3])],
        [helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, [None, 1])],
        [columns],
    )
    model = helper.make_model(broken, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    ports, submission = ready(model.SerializeToString())
    with pytest.raises(DataError, match="onnxruntime cannot run it"):
        take(ports, "run-1", submission)


def test_a_definition_deployed_under_way_stops_the_run() -> None:
    ports, submission = ready()
    later = fake_ports(world(metric="rmse"), catalog=ports.catalog, artifacts=ports.artifacts)
    with pytest.raises(ConflictError, match="was changed while it was under way"):
        take(later, "run-1", submission)


def test_judging_a_submission_teaches_the_system_nothing_so_new_data_still_trains() -> None:
    ports, submission = ready()
    take(ports, "run-1", submission)
    evaluate.run(evaluate.Request(run_id="run-1", model="fare"), ports)
    register.run(register.Request(run_id="run-1", model="fare"), ports)
    data = Trigger(kind="alarm", source="fare-feature-drift", reason="threshold crossed")
    admission = admit.run(admit.Request(run_id="run-2", model="fare", trigger=data), ports)
    assert (admission.admitted, admission.reason) == (True, "")
    assert admission.candidates == ["line", "trees"]
