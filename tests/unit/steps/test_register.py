"""The step ``register``."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from perennial import keys
from perennial.errors import ConflictError, DataError
from perennial.fakes import FixedClock, fake_ports
from perennial.manifest import Manifest
from perennial.monitoring.baseline import Baseline
from perennial.ports import Ports
from perennial.records import CompiledView
from perennial.serving.artifact import load_artifact
from perennial.steps import register
from perennial.steps.recording import recorded
from perennial.training.model_card import ModelCard
from tests.support.interruptions import Fuse, Killed, each_death, mortal
from tests.support.training_runs import FEATURES, PERSON, judge_all, put_snapshots, world


@pytest.fixture
def clock() -> FixedClock:
    """Return a clock that the test may move."""
    return FixedClock()


@pytest.fixture
def ports(clock: FixedClock) -> Ports:
    """Return fakes with a run whose candidates are judged."""
    return judged(clock)


def judged(clock: FixedClock, **model: Any) -> Ports:
    ports = fake_ports(world(**model), clock=clock)
    put_snapshots(ports, "s1")
    judge_all(ports, "run-1")
    return ports


def ask(ports: Ports, run_id: str = "run-1") -> register.Registered:
    return register.run(register.Request(run_id=run_id, model="fare"), ports)


def left_behind(ports: Ports) -> dict[str, Any]:
    """Return everything that a registration leaves and that a second try must not change."""
    versions = ports.catalog.versions("fare")
    run = ports.catalog.run("run-1")
    return {
        "versions": [version.model_dump(exclude={"created_at"}) for version in versions],
        "files": {key: ports.artifacts.get(key) for key in ports.artifacts.keys("models/")},
        "status": run.status,
        "outputs": run.outputs,
        "next holder": ports.catalog.claim("train#fare", "another", run.started_at + timedelta(1), run.started_at),
    }


def test_a_version_can_be_loaded_as_serving_loads_it(ports: Ports) -> None:
    assert ask(ports).model_dump() == {
        "run_id": "run-1",
        "model": "fare",
        "version": 1,
        "passed": True,
        "approval_seconds": 0,
    }
    version = ports.catalog.version("fare", 1)
    content = ports.artifacts.get(version.manifest_key)
    artifact = load_artifact(
        content, version.manifest_sha256, lambda file: ports.artifacts.get(keys.artifact("fare", 1, file))
    )
    assert artifact.manifest.features == FEATURES
    assert artifact.manifest.files["model.onnx"] == ports.catalog.step("run-1", "train#line").output["onnx_sha256"]


def test_the_manifest_says_what_a_request_must_bring(ports: Ports) -> None:
    ask(ports)
    manifest = Manifest.model_validate_json(ports.artifacts.get(keys.artifact("fare", 1, "manifest.json")))
    assert set(manifest.inputs) == {"began", "distance", "zone"}
    assert manifest.ignored == ("price",)
    # A request may say when it happens, as the stored view is looked up as of then.
    assert manifest.event_time == "began"
    assert manifest.inputs["began"].nullable
    assert manifest.request is not None
    assert (manifest.request.table, manifest.request.columns) == ("trips", ("distance", "zone"))
    assert [(stored.version, stored.entity, stored.columns, stored.ttl_seconds) for stored in manifest.stored] == [
        (ports.definitions.view_version("zones"), ("zone",), ("mean_price",), 30 * 86400)
    ]


def test_the_manifest_traces_the_version_to_its_origin(ports: Ports) -> None:
    ask(ports)
    manifest = Manifest.model_validate_json(ports.artifacts.get(keys.artifact("fare", 1, "manifest.json")))
    verdict = ports.catalog.step("run-1", "evaluate").output
    training_set_id = ports.catalog.step("run-1", "training_set").output["training_set_id"]
    assert (manifest.run_id, manifest.training_set_id, manifest.snapshots) == ("run-1", training_set_id, ("s1",))
    assert (manifest.candidate, manifest.algorithm, manifest.seed) == ("line", "ridge", 7)
    assert manifest.metrics == verdict["metrics"]
    assert manifest.definition_hash == ports.definitions.fingerprint("fare")
    assert manifest.code_version == "test"
    assert set(manifest.baseline) == set(FEATURES)


def test_the_baseline_that_monitoring_reads_stands_beside_the_model_under_its_hash(ports: Ports) -> None:
    ask(ports)
    manifest = Manifest.model_validate_json(ports.artifacts.get(keys.artifact("fare", 1, "manifest.json")))
    content = ports.artifacts.get(keys.artifact("fare", 1, "baseline.json"))
    assert manifest.baseline_sha256 == hashlib.sha256(content).hexdigest()
    assert Baseline.model_validate_json(content).features == FEATURES
    assert "baseline.json" not in manifest.files  # serving reads what stands there


def test_it_closes_the_run_and_lets_the_next_one_in(ports: Ports) -> None:
    ask(ports)
    run = ports.catalog.run("run-1")
    assert run.status == "succeeded"
    assert run.outputs["version"] == 1
    assert run.outputs["passed"] is True
    now = ports.clock.now()
    assert ports.catalog.claim("train#fare", "another", now + timedelta(hours=1), now) == "another"


def test_what_the_gate_refused_is_registered_with_the_reason_and_the_champion_stays(clock: FixedClock) -> None:
    ports = judged(clock, gate={"min_improvement": 0.02})
    ask(ports)
    ports.catalog.promote("fare", 1, None, clock.now(), "test", "first")
    champion = ports.catalog.champion("fare")
    judge_all(ports, "run-2")
    registered = ask(ports, "run-2")
    version = ports.catalog.version("fare", 2)
    assert (registered.version, registered.passed) == (2, False)
    assert version.stage == "refused"
    assert "0.0% below champion version 1's" in version.reason
    assert "2.0% below is asked." in version.reason
    assert version.reason == " ".join(r.sentence for r in version.verdict.ratings if not r.passed)
    assert ports.catalog.champion("fare") == champion
    run = ports.catalog.run("run-2")
    assert (run.status, run.outputs["passed"]) == ("succeeded", False)


def test_called_twice_it_leaves_one_version(ports: Ports, clock: FixedClock) -> None:
    first = ask(ports)
    before = left_behind(ports)
    clock.advance(minutes=5)
    assert ask(ports) == first
    assert left_behind(ports) == before


def test_killed_at_any_call_and_run_again_it_leaves_what_one_clean_run_leaves(clock: FixedClock) -> None:
    alone = [{"name": "line", "algorithm": "ridge"}]
    clean = judged(clock, candidates=alone)
    ask(clean)
    expected = left_behind(clean)
    deaths = list(each_death(ask, lambda: judged(FixedClock(), candidates=alone)))
    assert len(deaths) >= 8
    for ports, where in deaths:
        ask(ports)
        assert left_behind(ports) == expected, where


def test_a_later_try_after_a_kill_publishes_the_files_that_lie_there(ports: Ports, clock: FixedClock) -> None:
    """The manifest holds no moment of the try: what an earlier, slower try still writes is the same."""
    files = []
    for calls in range(8, 15):
        with pytest.raises(Killed):
            ask(mortal(ports, Fuse(calls)))
        clock.advance(minutes=5)
        files.append({key: ports.artifacts.get(key) for key in ports.artifacts.keys("models/")})
    ask(ports)
    version = ports.catalog.version("fare", 1)
    assert version.manifest_sha256 == hashlib.sha256(ports.artifacts.get(version.manifest_key)).hexdigest()
    written = [state for state in files if state]
    assert written
    final = {key: ports.artifacts.get(key) for key in ports.artifacts.keys("models/")}
    assert all(content == final[key] for state in written for key, content in state.items())


def test_two_runs_that_register_at_once_get_two_versions(ports: Ports) -> None:
    now = ports.clock.now()
    ports.catalog.release("train#fare", "run-1")  # as when its six hours are over
    judge_all(ports, "run-2")
    assert ports.catalog.claim("train#fare", "run-2", now + timedelta(hours=6), now) == "run-2"
    with ThreadPoolExecutor(2) as pool:
        registered = list(pool.map(lambda run_id: ask(ports, run_id), ("run-1", "run-2")))
    assert {result.version for result in registered} == {1, 2}
    assert {version.version: version.run_id for version in ports.catalog.versions("fare")} == {
        result.version: result.run_id for result in registered
    }


def test_one_run_that_registers_itself_twice_at_once_gets_one_version(ports: Ports) -> None:
    with ThreadPoolExecutor(4) as pool:
        registered = list(pool.map(lambda _: ask(ports), range(8)))
    assert {result.version for result in registered} == {1}
    assert [version.version for version in ports.catalog.versions("fare")] == [1]


def test_a_candidate_that_was_changed_since_it_was_judged_is_not_registered(ports: Ports) -> None:
    key = keys.candidate("fare", "run-1", "line", "model.onnx")
    ports.artifacts.put(key, ports.artifacts.get(key) + b" ")
    with pytest.raises(DataError, match="was changed after it was made"):
        ask(ports)
    assert ports.catalog.versions("fare") == []


@pytest.mark.parametrize("file", ["manifest.json", "model.onnx", "model.flat"])
def test_a_file_of_others_in_the_versions_place_is_not_overwritten(ports: Ports, file: str) -> None:
    ports.artifacts.put(keys.artifact("fare", 1, file), b"something else")
    with pytest.raises(DataError, match=f"models/fare/1/{file}: there is another content already"):
        ask(ports)
    assert ports.artifacts.get(keys.artifact("fare", 1, file)) == b"something else"
    assert ports.catalog.versions("fare") == []


def test_a_model_that_people_approve_says_how_long_its_versions_wait(clock: FixedClock) -> None:
    ports = judged(clock, approval="manual", approval_timeout="3 hours")
    assert ask(ports).approval_seconds == 3 * 3600


def test_a_definition_deployed_under_way_stops_the_run(ports: Ports) -> None:
    other = fake_ports(world(target="price * 2"), catalog=ports.catalog, artifacts=ports.artifacts)
    with pytest.raises(ConflictError, match="was changed while it was under way"):
        ask(other)


def test_the_runs_trigger_is_the_versions(ports: Ports) -> None:
    ask(ports)
    assert ports.catalog.version("fare", 1).trigger == PERSON


def test_the_manifest_has_the_categories_and_classes_of_the_training_set(ports: Ports) -> None:
    output = ports.catalog.step("run-1", "training_set").output
    learnt = {"categories": {"trip__zone": ["a", "b"]}, "classes": ["x", "y"]}
    with recorded(ports, "run-1", "training_set") as again:
        again.update({**output, **learnt})
    ask(ports)
    manifest = Manifest.model_validate_json(ports.artifacts.get(keys.artifact("fare", 1, "manifest.json")))
    assert manifest.categories == {"trip__zone": ("a", "b")}
    assert manifest.classes == ("x", "y")


def a_card(ports: Ports) -> ModelCard:
    return ModelCard.model_validate_json(ports.artifacts.get(keys.artifact("fare", 1, "card.json")))


def test_the_card_says_what_a_version_is_for_and_where_it_comes_from(clock: FixedClock) -> None:
    ports = judged(clock, intended_use="To tell riders the price.", limitations="Not beyond the city.")
    ask(ports)
    card, version = a_card(ports), ports.catalog.version("fare", 1)
    assert (card.intended_use, card.limitations) == ("To tell riders the price.", "Not beyond the city.")
    assert (card.algorithm, card.features, card.data.snapshots) == ("ridge", FEATURES, 1)
    assert (card.data.rows_train, card.data.rows_holdout, card.data.rejected) == (300, 100, (0, 2000))
    assert card.data.earliest is not None
    assert card.data.latest is not None
    assert card.data.latest - card.data.earliest == timedelta(hours=399)
    assert card.lineage.onnx_sha256 == ports.catalog.step("run-1", "train#line").output["onnx_sha256"]
    assert card.lineage.run_id == "run-1"
    assert card.verdict == version.verdict
    assert [each.kind for each in card.judged] == ["candidate", "baseline"]
    assert version.card_key == keys.artifact("fare", 1, "card.json")
    page = ports.artifacts.get(keys.artifact("fare", 1, "card.html")).decode()
    assert "To tell riders the price." in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_card_whose_use_nobody_wrote_down_asks_for_it(ports: Ports) -> None:
    ask(ports)
    page = ports.artifacts.get(keys.artifact("fare", 1, "card.html")).decode()
    assert "Nobody has said so far: write intended_use in" in page


def test_the_card_of_the_same_run_is_the_same_whenever_it_is_made() -> None:
    cards = []
    for minutes in (0, 90):
        clock = FixedClock()
        ports = judged(clock)
        clock.advance(minutes=minutes)
        ask(ports)
        cards.append([ports.artifacts.get(keys.artifact("fare", 1, f"card.{end}")) for end in ("json", "html")])
    assert cards[0] == cards[1]


def test_a_report_that_is_not_the_verdicts_makes_no_card(ports: Ports) -> None:
    key = keys.evaluation_report("fare", "run-1")
    ports.artifacts.put(key, ports.artifacts.get(key).replace(b'"passed": true', b'"passed": false', 1))
    with pytest.raises(DataError, match="it is not the report of what was recorded; start the run again"):
        ask(ports)
    ports.artifacts.put(key, b"{}")
    with pytest.raises(DataError, match="it is not the report of what was recorded; start the run again"):
        ask(ports)


def test_the_manifest_holds_the_program_that_was_tried_on_the_held_out_rows(ports: Ports) -> None:
    step = ports.catalog.step("run-1", "training_set")
    program = {"format": 1, "view": "trip", "columns": []}
    tried = CompiledView(program=program, rows=9).model_dump(mode="json")
    ports.catalog.record_step(step.model_copy(update={"output": {**step.output, "request": tried}}))
    ask(ports)
    manifest = Manifest.model_validate_json(ports.artifacts.get(keys.artifact("fare", 1, "manifest.json")))
    assert manifest.request is not None
    assert manifest.request.program == program
