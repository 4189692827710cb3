"""Making a version again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from perennial import keys
from perennial.definitions.files import Definitions
from perennial.errors import DataError, NotFoundError
from perennial.flat_file import pack, unpack
from perennial.ports import Ports
from perennial.records import Trigger
from perennial.steps import forget, ingest, rebuild, train
from perennial.steps.kept_definitions import differences
from perennial.steps.recording import recorded
from perennial.training.candidates import Fitted, Matrix
from tests.support.interruptions import copied, held
from tests.support.whole_runs import ADA, SMALL, ingested, small_world, trained
from tests.support.world import DEFINITIONS, survives_kills


@pytest.fixture(scope="module")
def _world() -> Ports:
    return small_world()


@pytest.fixture
def ports(_world: Ports) -> Ports:
    """Return fakes in which version 1 was trained; each test has its own."""
    return copied(_world)


def again(ports: Ports, run_id: str = "rebuild-1", version: int = 1) -> rebuild.Rebuilt:
    return rebuild.run(rebuild.Request(run_id=run_id, model="fare", version=version, trigger=ADA), ports)


def found(rebuilt: rebuild.Rebuilt) -> dict[str, str]:
    return {finding.what: finding.sentence for finding in rebuilt.findings}


def test_a_version_that_nothing_happened_to_is_made_again_to_the_byte(ports: Ports) -> None:
    rebuilt = again(ports)
    assert (rebuilt.identical, rebuilt.findings, rebuilt.max_difference) == (True, (), None)
    assert all(before == after for before, after in rebuilt.files.values())
    assert (
        rebuilt.files["model.onnx"][0]
        == json.loads(ports.artifacts.get("models/fare/1/manifest.json"))["files"]["model.onnx"]
    )
    run = ports.catalog.run("rebuild-1")
    assert (run.kind, run.subject, run.status, run.outputs["identical"]) == ("rebuild", "fare", "succeeded", True)
    assert json.loads(ports.artifacts.get(rebuilt.report_key))["identical"] is True


def test_it_reads_what_was_read_then_and_not_what_is_live(ports: Ports) -> None:
    ingested(ports, "b.csv", 10)
    ports.raw.put("rides/a.csv", b"began,zone,miles\n2019-01-01,1,5\n")
    ingest.run(ingest.Request(run_id="later", bucket="raw", key="rides/a.csv"), ports)
    other = SMALL.model_copy(update={"target": "miles * 2", "seed": 9})
    ports = replace(ports, definitions=Definitions(DEFINITIONS.datasets, DEFINITIONS.views, {"fare": other}))
    rebuilt = again(ports)
    assert rebuilt.identical
    assert found(rebuilt) == {
        "definition": "the definitions changed since, and it is made by those of then: models.fare.seed, "
        "models.fare.target"
    }


def test_it_leaves_nothing_but_its_report_and_its_record(ports: Ports) -> None:
    before = held(ports)
    again(ports)
    after = held(ports)
    assert set(after["artifacts"]["_versions"]) - set(before["artifacts"]["_versions"]) == {
        keys.rebuild_report("fare", "rebuild-1")
    }
    changed = {name for name in after["catalog"] if after["catalog"][name] != before["catalog"][name]}
    assert changed == {"_runs", "_steps"}
    assert after["online"] == before["online"]


def test_other_code_and_other_libraries_are_told_of_though_the_bytes_are_the_same(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = {**train.libraries(SMALL.candidates[0]), "onnx": "9.9"}
    monkeypatch.setattr(train, "libraries", lambda candidate: now)
    rebuilt = again(replace(ports, code_version="newer"))
    assert rebuilt.identical
    assert found(rebuilt)["code"] == "the code was of version test, and newer is deployed"
    assert found(rebuilt)["libraries"].endswith("→ 9.9")


def test_another_result_is_told_with_how_far_predictions_differ(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a library computes otherwise."""
    from perennial.training import candidates

    rounded = candidates._rounded
    monkeypatch.setattr(candidates, "_rounded", lambda values: rounded(values) + 0.25)
    rebuilt = again(ports)
    assert not rebuilt.identical
    assert rebuilt.files["train"][0] == rebuilt.files["train"][1]
    # Each weight and the intercept are larger by a quarter, so predictions differ by at least the intercept's quarter.
    assert rebuilt.max_difference is not None
    assert rebuilt.max_difference >= 0.25
    assert set(found(rebuilt)) == {"onnx"}
    assert ports.catalog.run("rebuild-1").outputs["identical"] is False


def test_a_flat_file_that_alone_is_another_is_told(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    flat = train.flat

    def noted(fitted: Fitted, rows: Matrix) -> bytes | None:
        content = flat(fitted, rows)
        assert content is not None
        header, arrays = unpack(content)
        return pack({**header, "note": "as of a later format"}, arrays)

    assert set(again(ports).files) == {"train", "holdout", "model.onnx", "model.flat"}
    monkeypatch.setattr(train, "flat", noted)
    rebuilt = again(ports, "rebuild-2")
    assert (rebuilt.identical, rebuilt.max_difference) == (False, None)
    assert found(rebuilt) == {"flat": "the flat file is another one, although the ONNX file is the same"}


def test_an_input_that_was_tampered_with_is_told(ports: Ports) -> None:
    (part,) = (key for key in ports.artifacts.keys("snapshots/") if key.endswith(".parquet"))
    ports.artifacts.put(part, ports.artifacts.get(part) + b" ")
    rebuilt = again(ports)
    assert not rebuilt.identical
    assert rebuilt.files["model.onnx"][1] is None
    assert part in found(rebuilt)["input"]
    assert "its SHA-256 is" in found(rebuilt)["input"]


def test_rows_that_were_forgotten_are_told_with_the_erasure(ports: Ports) -> None:
    ports.clock.advance(timedelta(days=1))  # type: ignore[attr-defined]
    key = keys.forget_request("forget-1")
    ports.artifacts.put(key, b'{"values": {"miles": "1.5"}}')
    by = Trigger(kind="person", source="eve", reason="a rider asked")
    forget.run(forget.Request(run_id="forget-1", dataset="rides", request_key=key, trigger=by), ports)
    rebuilt = again(ports)
    assert not rebuilt.identical
    assert found(rebuilt)["input"] == (
        "rows that it was made from were forgotten: erasure forget-1 of rides on 2019-03-02 by eve (a rider asked)"
    )


def test_what_a_search_chose_is_what_is_trained(ports: Ports) -> None:
    searched = SMALL.model_dump(mode="json")
    searched["candidates"][0]["space"] = {"alpha": {"low": 0.1, "high": 10}}
    model = type(SMALL).model_validate(searched)
    definitions = Definitions(DEFINITIONS.datasets, DEFINITIONS.views, {"fare": model})
    ports = replace(ports, definitions=definitions)
    with recorded(ports, "train-2", "search") as output:
        output.update({"done": True, "candidates": {SMALL.candidates[0].name: {"parameters": {"alpha": 3.0}}}})
    assert trained(ports, "train-2") == 2
    assert ports.catalog.step("train-2", f"train#{SMALL.candidates[0].name}").output["parameters"] == {"alpha": 3.0}
    rebuilt = again(ports, version=2)
    assert rebuilt.identical, rebuilt.findings


def test_a_version_of_before_all_this_was_kept_says_so(ports: Ports) -> None:
    version = ports.catalog.version("fare", 1)
    old = version.training_set.model_copy(update={"inputs_key": ""})
    ports.catalog.publish_version(version.model_copy(update={"version": 7, "training_set": old}))
    with pytest.raises(DataError, match="version 7 of fare was trained before it was kept"):
        again(ports, version=7)
    with pytest.raises(NotFoundError, match="no version 9"):
        again(ports, version=9)


def test_a_rebuild_that_is_killed_anywhere_and_repeated_ends_as_if_it_had_not_been(ports: Ports) -> None:
    assert survives_kills(lambda: copied(ports), again, before=False) >= 3


def test_differences_are_named_by_their_place() -> None:
    before: dict[str, Any] = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert differences(before, {"a": {"b": 2, "c": [1, 2]}, "e": 1}) == ["a.b", "d", "e"]
    assert differences(before, before) == []
    views = {"models": {"fare": {"features": {"now": ["a"], "past": ["b"]}}}}
    turned = {"models": {"fare": {"features": {"past": ["b"], "now": ["a"]}}}}
    assert differences(views, turned) == ["models.fare.features"]
