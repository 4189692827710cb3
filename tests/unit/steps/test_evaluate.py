"""The step ``evaluate``."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error

from perennial import keys
from perennial.errors import ConflictError, DataError, NotFoundError
from perennial.fakes import fake_ports
from perennial.ports import Ports
from perennial.records import Verdict
from perennial.steps import admit, evaluate, register, train
from perennial.training.evaluation_report import EvaluationReport
from tests.support.records import a_snapshot
from tests.support.training_runs import (
    FEATURES,
    PERSON,
    SPLIT_AT,
    judge_all,
    put_snapshots,
    put_training_set,
    train_all,
    trips,
    world,
)


def a_ports(**model: Any) -> Ports:
    ports = fake_ports(world(**model))
    put_snapshots(ports, "s1")
    return ports


def ask(ports: Ports, run_id: str) -> Verdict:
    return evaluate.run(evaluate.Request(run_id=run_id, model="fare"), ports)


def crown(ports: Ports, run_id: str = "run-0", price: float = 2.0) -> None:
    """Train version 1 on trips of that price and make it champion."""
    judge_all(ports, run_id, price=price)
    version = register.run(register.Request(run_id=run_id, model="fare"), ports).version
    ports.catalog.promote("fare", version, None, ports.clock.now(), "test", "first")


def redeployed(ports: Ports, **changes: Any) -> Ports:
    return fake_ports(world(**changes), catalog=ports.catalog, artifacts=ports.artifacts)


def rating(verdict: Verdict, rule: str) -> Any:
    return next(rating for rating in verdict.ratings if rating.rule == rule)


def test_the_straight_line_wins_on_straight_data_and_passes() -> None:
    ports = a_ports(gate={"max_error": 3.0})
    verdict = judge_all(ports, "run-1")
    assert verdict.candidate == "line"
    assert verdict.passed
    assert verdict.metrics == verdict.candidates["line"]
    assert set(verdict.candidates) == {"line", "trees"}
    assert verdict.candidates["line"]["mae"] < verdict.candidates["trees"]["mae"]
    assert verdict.champion_version is None
    step = ports.catalog.step("run-1", "evaluate")
    assert step.status == "succeeded"
    assert Verdict.model_validate(step.output) == verdict


def test_what_scikit_learn_found_in_training_is_found_again() -> None:
    ports = a_ports()
    verdict = judge_all(ports, "run-1")
    for name, figures in verdict.candidates.items():
        assert figures == pytest.approx(ports.catalog.step("run-1", f"train#{name}").output["metrics"], rel=1e-9)


def test_the_champion_is_judged_on_the_same_rows() -> None:
    """The champion learnt $2 a mile; by now it is $3, and what it says of the new rows is worked out from its file."""
    ports = a_ports(gate={"min_improvement": 0.5})
    crown(ports, price=2.0)
    verdict = judge_all(ports, "run-1", price=3.0)
    then, now = trips(price=2.0), trips(price=3.0)
    late = now["event_time"] >= np.datetime64(SPLIT_AT)
    old = ports.catalog.version("fare", 1).metrics["mae"]
    assert verdict.champion_version == 1
    assert verdict.champion_metrics is not None
    about = mean_absolute_error(now["target"][late], then["target"][late])  # what a perfect $2 model misses
    assert verdict.champion_metrics["mae"] == pytest.approx(about, abs=2 * old)
    assert verdict.passed
    gain = 1 - verdict.metrics["mae"] / verdict.champion_metrics["mae"]
    assert rating(verdict, "min_improvement").value == pytest.approx(gain)


def test_a_candidate_that_is_no_better_is_refused() -> None:
    ports = a_ports(gate={"min_improvement": 0.02})
    crown(ports)
    verdict = judge_all(ports, "run-1")
    assert not verdict.passed
    assert [rating.rule for rating in verdict.ratings if not rating.passed] == ["min_improvement"]


def test_a_champions_file_that_was_changed_is_an_error_and_not_an_absence() -> None:
    ports = a_ports()
    crown(ports)
    train_all(ports, "run-1")
    key = keys.artifact("fare", 1, "model.onnx")
    ports.artifacts.put(key, ports.artifacts.get(key) + b" ")
    with pytest.raises(DataError, match=r"model.onnx: has SHA-256 .* was registered"):
        ask(ports, "run-1")
    assert ports.catalog.step("run-1", "evaluate").status == "failed"


def test_a_champions_manifest_that_was_changed_is_an_error() -> None:
    ports = a_ports()
    crown(ports)
    train_all(ports, "run-1")
    key = keys.artifact("fare", 1, "manifest.json")
    ports.artifacts.put(key, ports.artifacts.get(key).replace(b"price", b"prize"))
    with pytest.raises(DataError, match=r"manifest.json: has SHA-256"):
        ask(ports, "run-1")


@pytest.mark.parametrize("file", ["model.onnx", "model.flat", "candidate.json"])
def test_a_candidates_file_that_was_changed_is_an_error(file: str) -> None:
    ports = a_ports()
    train_all(ports, "run-1")
    key = keys.candidate("fare", "run-1", "line", file)
    ports.artifacts.put(key, ports.artifacts.get(key) + b" ")
    with pytest.raises(DataError, match="was changed after it was made"):
        ask(ports, "run-1")


def test_a_candidate_that_was_not_trained_is_an_error() -> None:
    ports = a_ports()
    admission = admit.run(admit.Request(run_id="run-1", model="fare", trigger=PERSON), ports)
    put_training_set(ports, "run-1", trips())
    train.run(train.Request(run_id="run-1", model="fare", candidate=admission.candidates[0]), ports)
    with pytest.raises(NotFoundError, match="train#trees"):
        ask(ports, "run-1")


def test_a_champion_with_fewer_features_is_compared_by_its_own() -> None:
    ports = a_ports(features={"trip": ["distance"]})
    admit.run(admit.Request(run_id="run-0", model="fare", trigger=PERSON), ports)
    put_training_set(ports, "run-0", {key: trips()[key] for key in ("event_time", "trip__distance", "target")})
    for name in ("line", "trees"):
        train.run(train.Request(run_id="run-0", model="fare", candidate=name), ports)
    ask(ports, "run-0")
    register.run(register.Request(run_id="run-0", model="fare"), ports)
    ports.catalog.promote("fare", 1, None, ports.clock.now(), "test", "first")
    champion = ports.catalog.version("fare", 1)
    verdict = judge_all(redeployed(ports), "run-1")
    assert verdict.champion_metrics == pytest.approx(champion.metrics, rel=1e-12)
    assert verdict.metrics["mae"] < champion.metrics["mae"]


def test_a_champion_with_a_feature_that_is_gone_cannot_be_compared() -> None:
    ports = a_ports(gate={"max_error": 50.0})
    crown(ports)
    later = redeployed(ports, features={"trip": ["distance"]}, gate={"max_error": 50.0})
    admit.run(admit.Request(run_id="run-1", model="fare", trigger=PERSON), later)
    put_training_set(later, "run-1", {key: trips()[key] for key in ("event_time", "trip__distance", "target")})
    for name in ("line", "trees"):
        train.run(train.Request(run_id="run-1", model="fare", candidate=name), later)
    verdict = ask(later, "run-1")
    improvement = rating(verdict, "min_improvement")
    assert verdict.champion_version == 1
    assert verdict.champion_metrics is None
    assert improvement.passed
    assert "it reads trip__zone, zones__mean_price, which the model has no longer" in improvement.sentence


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": "price / 2"}, "it predicts 'price', but the target is 'price / 2' by now"),
        ({"request_sql": "SELECT distance * 1.6 AS distance, zone AS zone FROM trips"}, "the SQL of trip was changed"),
    ],
)
def test_a_champion_that_learnt_another_meaning_cannot_be_compared(changes: dict[str, Any], words: str) -> None:
    ports = a_ports()
    crown(ports)
    improvement = rating(judge_all(redeployed(ports, **changes), "run-1"), "min_improvement")
    assert not improvement.passed  # and there is no max_error that could judge instead
    assert words in improvement.sentence


def test_the_report_tells_all_that_was_weighed() -> None:
    ports = a_ports()
    verdict = judge_all(ports, "run-1")
    report = json.loads(ports.artifacts.get(verdict.report_key))
    assert verdict.report_key == keys.evaluation_report("fare", "run-1")
    assert Verdict.model_validate(report["verdict"]) == verdict
    assert report["rows_holdout"] == 100
    assert set(report["parity_errors"]) == {"line", "trees"}


def test_it_gives_the_same_verdict_when_asked_again() -> None:
    ports = a_ports()
    assert judge_all(ports, "run-1") == ask(ports, "run-1")


def test_a_definition_deployed_under_way_stops_the_run() -> None:
    ports = a_ports()
    train_all(ports, "run-1")
    with pytest.raises(ConflictError, match="was changed while it was under way"):
        ask(redeployed(ports, metric="rmse"), "run-1")


@pytest.mark.parametrize("features", [FEATURES, FEATURES[::-1]])
def test_candidates_are_judged_on_the_training_set_that_they_learnt_from(features: tuple[str, ...]) -> None:
    """A second try of the step may have recorded another one meanwhile, with a file that came in between."""
    ports = a_ports()
    train_all(ports, "run-1")
    columns = trips(hours=401)
    put_training_set(ports, "run-1", {name: columns[name] for name in ("event_time", *features, "target")})
    with pytest.raises(DataError, match="candidate 'line' was trained on another training set"):
        ask(ports, "run-1")


def test_a_training_set_that_is_being_made_again_is_not_there_yet() -> None:
    ports = a_ports()
    train_all(ports, "run-1")
    ports.catalog.record_step(
        ports.catalog.step("run-1", "training_set").model_copy(update={"status": "running", "output": {}})
    )
    with pytest.raises(NotFoundError, match="its step 'training_set' has not succeeded"):
        ask(ports, "run-1")


def parts(ports: Ports, run_id: str, **columns: Any) -> Verdict:
    """Judge candidates that learnt from trips, the held-out ones with more columns."""
    admission = admit.run(admit.Request(run_id=run_id, model="fare", trigger=PERSON), ports)
    put_training_set(ports, run_id, {**trips(), **columns})
    for name in admission.candidates:
        train.run(train.Request(run_id=run_id, model="fare", candidate=name), ports)
    return ask(ports, run_id)


def test_slices_of_the_held_out_rows_are_judged_beside_the_champion() -> None:
    ports = a_ports(gate={"max_slice_worsening": 0.1, "slice_rows": 10})
    crown(ports)
    near = np.where(np.nan_to_num(trips()["trip__distance"]) < 10, "near", "far").astype(object)
    verdict = parts(ports, "run-1", **{"slice:reach": near})
    report = EvaluationReport.model_validate_json(ports.artifacts.get(verdict.report_key))
    late = trips()["event_time"] >= np.datetime64(SPLIT_AT)
    assert {each.value: each.rows for each in report.slices} == {
        value: int(np.count_nonzero(near[late] == value)) for value in ("near", "far")
    }
    # The champion learnt the same trips, so that it is as good on each part.
    assert {each.improvement for each in report.slices} == {0.0}
    assert rating(verdict, "max_slice_worsening").value == 0.0


def test_the_median_of_the_training_rows_is_the_bar() -> None:
    verdict = judge_all(a_ports(), "run-1")
    columns = trips()
    late = columns["event_time"] >= np.datetime64(SPLIT_AT)
    guess = np.full(int(late.sum()), np.median(columns["target"][~late]))
    assert verdict.baseline == "constant"
    assert verdict.baseline_metrics["mae"] == pytest.approx(mean_absolute_error(columns["target"][late], guess))
    assert rating(verdict, "beat_baseline").passed


def test_metrics_have_intervals_and_a_twin_of_the_champion_no_improvement() -> None:
    ports = a_ports(gate={"confidence": 0.9})
    crown(ports)
    verdict = judge_all(ports, "run-1")
    assert set(verdict.intervals) == {"mae", "rmse", "bias", "r2"}
    low, high = verdict.intervals["mae"]
    assert low < verdict.metrics["mae"] < high
    assert (verdict.improvement, verdict.improvement_interval) == (0.0, (0.0, 0.0))
    assert [each.rule for each in verdict.ratings if not each.passed] == ["confidence"]


def test_rejected_rows_of_the_uploads_that_were_learnt_from_count() -> None:
    ports = fake_ports(world(gate={"max_rejected": 0.01}))
    for snapshot_id, rejected in (("s1", 20), ("unused", 900)):
        ports.catalog.publish_snapshot(a_snapshot(snapshot_id, rows=1980, rejected=rejected))
    assert rating(judge_all(ports, "run-1"), "max_rejected").value == 0.01  # 20 of 2,000, which is allowed
    gone = fake_ports(world(gate={"max_rejected": 0.01}))
    put_snapshots(gone, "s2")  # the run has learnt from s1, which is no longer live
    assert not rating(judge_all(gone, "run-1"), "max_rejected").passed


def test_the_page_stands_beside_the_report() -> None:
    ports = a_ports()
    mae = judge_all(ports, "run-1").metrics["mae"]
    page = ports.artifacts.get(keys.evaluation_report("fare", "run-1", "html")).decode()
    assert f"Candidate line of fare has a mean absolute error of {mae:.3g} (" in page
    assert "no version serves yet" in page
