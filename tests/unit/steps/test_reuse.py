"""Steps that take over what an earlier run made, and say why they do or do not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from perennial import keys
from perennial.definitions.files import Definitions, read_estimators
from perennial.fakes import fake_ports
from perennial.ports import Ports
from perennial.records import Made, Run, StepRecord, Trigger
from perennial.steps import admit, evaluate, ingest, register, train, training_set
from perennial.steps.reuse import Work
from tests.support.interruptions import each_death
from tests.support.training_runs import PERSON, put_snapshots, put_training_set, trips, world
from tests.support.world import DEFINITIONS, FARE, new_ports, survives_kills, upload


def trained(ports: Ports, run_id: str, trigger: Trigger = PERSON, **rows: float) -> dict[str, StepRecord]:
    """Train all candidates in a run of its own; return the steps by candidate."""
    admission = admit.run(admit.Request(run_id=run_id, model="fare", trigger=trigger), ports)
    assert admission.admitted, admission.reason
    put_training_set(ports, run_id, trips(**rows))  # type: ignore[arg-type]
    for name in admission.candidates:
        train.run(train.Request(run_id=run_id, model="fare", candidate=name), ports)
    ports.catalog.release(admit.claim_name("fare"), run_id)
    return {name: ports.catalog.step(run_id, f"train#{name}") for name in admission.candidates}


@pytest.fixture
def ports() -> Ports:
    """Return fakes in which a first run has trained both candidates."""
    ports = fake_ports(world())
    put_snapshots(ports, "s1")
    trained(ports, "run-1")
    return ports


def reasons(steps: dict[str, StepRecord]) -> dict[str, str]:
    return {name: step.why for name, step in steps.items()}


def changed(ports: Ports, **model: Any) -> Ports:
    return replace(ports, definitions=world(**model))


def test_a_first_run_says_that_there_was_none_before(ports: Ports) -> None:
    step = ports.catalog.step("run-1", "train#line")
    assert (step.why, step.reused_from) == ("ran: no earlier run had these inputs", None)


def test_the_same_again_is_reused_and_its_files_are_where_the_run_s_own_would_be(ports: Ports) -> None:
    steps = trained(ports, "run-2")
    assert {step.reused_from for step in steps.values()} == {"run-1"}
    assert reasons(steps)["line"] == "reused from run run-1: same inputs, definition and code"
    for file in ("model.onnx", "model.flat", "candidate.json"):
        places = [keys.candidate("fare", run_id, "trees", file) for run_id in ("run-1", "run-2")]
        assert ports.artifacts.get(places[0]) == ports.artifacts.get(places[1])
    evaluate.run(evaluate.Request(run_id="run-2", model="fare"), ports)
    assert register.run(register.Request(run_id="run-2", model="fare"), ports).version == 1


def test_only_the_candidate_whose_parameters_changed_runs_again(ports: Ports) -> None:
    lines = [
        {"name": "line", "algorithm": "ridge", "parameters": {"alpha": 3.0}},
        {"name": "trees", "algorithm": "hist_gradient_boosting", "parameters": {"max_iter": 20}},
    ]
    steps = trained(changed(ports, candidates=lines), "run-2")
    assert reasons(steps) == {
        "line": "ran: the candidate's parameters changed since run run-1",
        "trees": "reused from run run-1: same inputs, definition and code",
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"definitions": world(seed=8)}, "ran: the model's seed changed since run run-1"),
        ({"code_version": "newer"}, "ran: the code was deployed anew since run run-1"),
        (
            {"definitions": world(seed=8, target="price + 1"), "code_version": "newer"},
            "ran: the code was deployed anew, the model's seed changed, the model's target changed since run run-1",
        ),
    ],
)
def test_what_changed_is_named(ports: Ports, change: dict[str, Any], reason: str) -> None:
    assert reasons(trained(replace(ports, **change), "run-2"))["line"] == reason


def test_the_order_of_features_counts_for_it_is_that_of_the_columns(ports: Ports) -> None:
    features = world().model("fare").features
    turned = changed(ports, features=dict(reversed(features.items())))
    assert turned.definitions.fingerprint("fare") == ports.definitions.fingerprint("fare")
    assert reasons(trained(turned, "run-2"))["line"] == "ran: the model's features changed since run run-1"


def test_other_rows_are_another_training_set(ports: Ports) -> None:
    assert reasons(trained(ports, "run-2", price=3.0))["line"] == "ran: the training set changed since run run-1"


@pytest.mark.parametrize(
    "change",
    [
        {"gate": {"max_error": 5}},
        {"monitor": {"window_rows": 9000}},
        {"description": "for people"},
        {"retrain": {"min_rows": 5}},
    ],
)
def test_what_training_does_not_depend_on_does_not_count(ports: Ports, change: dict[str, Any]) -> None:
    steps = trained(changed(ports, **change), "run-2")
    assert {step.reused_from for step in steps.values()} == {"run-1"}


def test_a_person_may_ask_for_all_work_to_be_done_anew(ports: Ports) -> None:
    steps = trained(ports, "run-2", PERSON.model_copy(update={"no_cache": True}))
    assert reasons(steps)["line"] == "ran: it was asked to do all work anew"
    assert steps["line"].reused_from is None
    assert trained(ports, "run-3")["line"].reused_from == "run-2", "what was done last is what is reused"


def test_a_file_that_is_gone_or_altered_is_made_again_and_said(ports: Ports) -> None:
    ports.artifacts.delete(keys.candidate("fare", "run-1", "line", "model.onnx"))
    ports.artifacts.put(keys.candidate("fare", "run-1", "trees", "candidate.json"), b"{}")
    steps = trained(ports, "run-2")
    assert reasons(steps)["line"] == "ran: run run-1 did the same, but a file of it is gone"
    assert reasons(steps)["trees"].startswith("ran: run run-1 did the same, but s3://artifacts/candidates/fare/run-1/")
    assert "it was changed after it was made" in reasons(steps)["trees"]
    assert {step.reused_from for step in steps.values()} == {None}


ESTIMATOR = """
from sklearn.ensemble import ExtraTreesRegressor as FareModel  # {}
"""


def test_a_custom_estimator_is_reused_until_its_code_changes(tmp_path: Path) -> None:
    own = {"name": "own", "algorithm": "custom", "estimator": "estimators.fares:FareModel"}
    (tmp_path / "estimators").mkdir()

    def deployed(text: str) -> Definitions:
        (tmp_path / "estimators" / "fares.py").write_text(ESTIMATOR.format(text))
        return replace(world(candidates=[own]), estimators=read_estimators(tmp_path))

    ports = fake_ports(deployed("as it was"))
    put_snapshots(ports, "s1")
    whys = []
    for run_id, text in (("run-1", "as it was"), ("run-2", "as it was"), ("run-3", "as it is")):
        ports = replace(ports, definitions=deployed(text))
        admit.run(admit.Request(run_id=run_id, model="fare", trigger=PERSON), ports)
        put_training_set(ports, run_id, trips())
        train.run(train.Request(run_id=run_id, model="fare", candidate="own"), ports)
        whys.append(ports.catalog.step(run_id, "train#own").why)
        ports.catalog.finish_run(run_id, "succeeded", ports.clock.now())
        ports.catalog.release(admit.claim_name("fare"), run_id)
    assert whys[0] == "ran: no earlier run had these inputs"
    assert whys[1].startswith("reused from run run-1")
    assert whys[2] == "ran: the code of custom estimators changed since run run-1"


@pytest.mark.parametrize("earlier", [False, True])
def test_a_training_that_is_killed_anywhere_and_repeated_says_and_leaves_the_same(earlier: bool) -> None:
    def prepare() -> Ports:
        ports = fake_ports(world())
        put_snapshots(ports, "s1")
        if earlier:
            trained(ports, "run-1")
            ports.clock.advance(timedelta(hours=1))  # type: ignore[attr-defined]
        admit.run(admit.Request(run_id="run-2", model="fare", trigger=PERSON), ports)
        put_training_set(ports, "run-2", trips())
        return ports

    step = train.Request(run_id="run-2", model="fare", candidate="line")
    clean = prepare()
    train.run(step, clean)
    deaths = 0
    for left, where in each_death(lambda ports: train.run(step, ports), prepare):
        train.run(step, left)
        assert vars(left.catalog)["_made"] == vars(clean.catalog)["_made"], where
        assert left.catalog.step("run-2", "train#line") == clean.catalog.step("run-2", "train#line"), where
        deaths += 1
    assert deaths >= 4


def rows_made(ports: Ports, run_id: str, definitions: Definitions = DEFINITIONS) -> StepRecord:
    ports = replace(ports, definitions=definitions)
    ports.catalog.start_run(
        Run(
            run_id=run_id,
            kind="train",
            subject="fare",
            status="running",
            trigger=PERSON,
            started_at=ports.clock.now(),
            definition_hash=definitions.fingerprint("fare"),
        )
    )
    training_set.run(training_set.Request(run_id=run_id, model="fare"), ports)
    return ports.catalog.step(run_id, "training_set")


def ingested(ports: Ports, name: str = "a.csv", day: int = 1) -> Ports:
    key = upload(ports, name, day)
    ingest.run(ingest.Request(run_id=f"ingest-{name}", bucket="raw", key=key), ports)
    return ports


def test_a_training_set_of_the_same_rows_is_reused_whatever_is_tried_on_it() -> None:
    ports = ingested(new_ports())
    first = rows_made(ports, "run-1")
    other = FARE.model_copy(update={"seed": 5, "metric": "rmse"})
    second = rows_made(ports, "run-2", Definitions(DEFINITIONS.datasets, DEFINITIONS.views, {"fare": other}))
    assert second.output == first.output
    assert (second.reused_from, first.reused_from) == ("run-1", None)


def test_a_training_set_says_which_of_its_inputs_changed() -> None:
    ports = ingested(new_ports())
    rows_made(ports, "run-1")
    assert rows_made(ingested(ports, "b.csv", 10), "run-2").why == (
        "ran: the snapshots changed, the tables of stored views changed since run run-1"
    )
    other = Definitions(DEFINITIONS.datasets, DEFINITIONS.views, {"fare": FARE.model_copy(update={"target": "miles"})})
    assert rows_made(ports, "run-3", other).why == "ran: the model's target changed since run run-2"


def test_a_training_set_whose_file_was_altered_is_made_again_and_whole() -> None:
    ports = ingested(new_ports())
    key = rows_made(ports, "run-1").output["train_key"]
    whole = ports.artifacts.get(key)
    ports.artifacts.put(key, b"something else")
    again = rows_made(ports, "run-2")
    assert again.why.startswith("ran: run run-1 did the same, but s3://artifacts/training-sets/fare/")
    assert ports.artifacts.get(key) == whole


def test_a_reused_training_set_is_safe_to_kill() -> None:
    def prepare() -> Ports:
        ports = ingested(new_ports())
        rows_made(ports, "run-1")
        return ports

    def step(ports: Ports) -> Any:
        return rows_made(ports, "run-2").output

    assert survives_kills(prepare, step) >= 3


def test_the_key_covers_the_step_and_every_input() -> None:
    run = Run(
        run_id="r", kind="train", subject="fare", status="running", trigger=PERSON, started_at="2019-03-01T00:00:00Z"
    )
    keys_of = {
        Work(run, step, inputs).key
        for step in ("train#a", "train#b")
        for inputs in ({"x": 1, "y": 2}, {"x": 2, "y": 1}, {"x": 1})
    }
    assert len(keys_of) == 6
    assert Work(run, "s", {"x": 1, "y": 2}).key == Work(run, "s", {"y": 2, "x": 1}).key
    assert Made.model_fields.keys() >= {"key", "inputs", "run_id"}
