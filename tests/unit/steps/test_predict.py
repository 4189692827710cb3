"""The step ``predict``: the champion answers, and the log is told."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from perennial import keys
from perennial.errors import DataError, NotFoundError, RequestError
from perennial.fakes import FakeCatalog, FakeObjectStore, FakePredictionLog, FixedClock
from perennial.ports import OnlineRow, Ports
from perennial.records import Champion
from perennial.serving.ids import PredictionId, make_request_id
from perennial.serving.predictors import Predictors
from perennial.steps import predict
from perennial.steps.prediction_log import find_prediction
from tests.support.artifacts import MODEL, VIEW_VERSION, a_manifest, a_trip, linear_graph, register
from tests.support.prediction_logs import deliver
from tests.support.records import AT


def a_request(
    at: datetime = AT, model: str = MODEL, version: int | str | None = None, *rows: dict[str, Any]
) -> predict.Request:
    instances = list(rows) or [a_trip()]
    return predict.Request(
        model=model, version=version, instances=instances, request_id=make_request_id(at, bytes(10)), at=at
    )


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the lines that were written since, as what they say."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def register_second(ports: Ports, *, champion: bool) -> None:
    graph = linear_graph(bias=1003.0)
    register(ports, a_manifest(graph, version=2), graph, champion=champion)


class CountingCatalog(FakeCatalog):
    """A catalog that counts how often the pointer is read."""

    reads = 0

    def champion(self, model: str) -> Champion | None:
        self.reads += 1
        return super().champion(model)


class CountingStore(FakeObjectStore):
    """A bucket that remembers which keys were read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def get(self, key: str) -> bytes:
        self.read.append(key)
        return super().get(key)


def test_the_champion_answers_each_row_under_an_id(ports: Ports) -> None:
    register(ports)
    ports.online.write("zone_stats", VIEW_VERSION, [OnlineRow((42,), AT, {"mean_speed": 20.0})], 1)
    answer = predict.run(a_request(AT, MODEL, None, a_trip(), a_trip(trip_distance=1.5)), ports)
    assert asdict(answer) == {
        "model": MODEL,
        "version": 1,
        "route": "champion",
        "predictions": [
            {"prediction_id": "1-01D4V8SW000000000000000000-0", "value": 30.0},
            {"prediction_id": "1-01D4V8SW000000000000000000-1", "value": 13.0},
        ],
    }


def test_the_log_is_told_each_rows_inputs_features_and_prediction(ports: Ports) -> None:
    register(ports)
    predict.run(a_request(AT, MODEL, None, a_trip(), a_trip(passenger_count=None)), ports)
    deliver(ports)
    assert len(ports.artifacts.keys(keys.predictions(MODEL, 1))) == 1
    line = find_prediction(ports.artifacts, MODEL, PredictionId(1, "01D4V8SW000000000000000000", 1))
    assert line is not None
    assert (line.prediction_id, line.at, line.route) == ("1-01D4V8SW000000000000000000-1", AT, "champion")
    assert line.inputs == {
        "pickup_datetime": "2019-03-01T08:30:00",
        "passenger_count": None,
        "trip_distance": 10.0,
        "pickup_location_id": 42,
    }
    assert line.features == {
        "trip_context__distance": 10.0,
        "trip_context__hour": 8.0,
        "trip_context__passengers": 1.0,
        "zone_stats__mean_speed": None,
    }
    assert (line.value, line.probabilities, line.error) == (28.0, None, "")


def test_a_request_that_is_refused_leaves_no_log(ports: Ports) -> None:
    register(ports)
    with pytest.raises(RequestError):
        predict.run(a_request(AT, MODEL, None, a_trip(), a_trip(trip_distance=-1)), ports)
    assert isinstance(ports.log, FakePredictionLog)
    assert ports.log.requests == []


def test_a_version_that_is_named_answers_although_another_serves(ports: Ports) -> None:
    register(ports)
    register_second(ports, champion=False)
    assert predict.run(a_request(version=2), ports).predictions[0]["value"] == 1028.0
    assert predict.run(a_request(version=2), ports).predictions[0]["prediction_id"].startswith("2-")
    assert predict.run(a_request(), ports).version == 1


def test_without_a_champion_there_is_no_answer(ports: Ports) -> None:
    register(ports, champion=False)
    with pytest.raises(NotFoundError, match="has no champion"):
        predict.run(a_request(), ports)
    with pytest.raises(NotFoundError):
        predict.run(a_request(version=9), ports)
    with pytest.raises(NotFoundError):
        predict.run(a_request(model="nobody"), ports)


def test_an_artifact_that_was_changed_does_not_serve(ports: Ports) -> None:
    register(ports)
    ports.artifacts.put(keys.artifact(MODEL, 1, "model.onnx"), linear_graph(bias=4.0))
    with pytest.raises(DataError, match="was changed after it was registered"):
        predict.run(a_request(), ports)


def flip(ports: Ports, version: int, file: str = "model.onnx", model: str = MODEL) -> bytes:
    """Flip one bit in the middle of a version's file; return what it was."""
    key = keys.artifact(model, version, file)
    before = ports.artifacts.get(key)
    at = len(before) // 2
    ports.artifacts.put(key, before[:at] + bytes([before[at] ^ 1]) + before[at + 1 :])
    return before


@pytest.mark.parametrize("file", ["model.onnx", "manifest.json"])
def test_while_the_champion_has_a_flipped_bit_what_served_before_answers(
    ports: Ports, clock: FixedClock, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    catalog, store = CountingCatalog(), CountingStore()
    ports = replace(ports, catalog=catalog, artifacts=store)
    register(ports)
    register_second(ports, champion=True)
    intact = flip(ports, 2, file)
    predictors, store.read, catalog.reads = Predictors(timedelta(seconds=5)), [], 0
    answer = predict.run(a_request(), ports, predictors)
    assert (answer.version, answer.predictions[0]["value"]) == (1, 28.0)
    assert answer.predictions[0]["prediction_id"].startswith("1-")
    (error,) = said(capsys)
    assert error.pop("sentence").startswith(f"{file}: has SHA-256")
    assert error == {"level": "ERROR", "message": "stand_in", "model": MODEL, "version": 2, "previous": 1, "serves": 1}

    # Nothing is read, tried or logged again while the pointer is trusted.
    read, reads = list(store.read), catalog.reads
    assert predict.run(a_request(clock.advance(seconds=4.9)), ports, predictors).version == 1
    assert (store.read, catalog.reads, said(capsys)) == (read, reads, [])
    assert predict.run(a_request(clock.advance(seconds=0.1)), ports, predictors).version == 1
    assert [line["message"] for line in said(capsys)] == ["stand_in"]

    store.put(keys.artifact(MODEL, 2, file), intact)
    assert predict.run(a_request(clock.advance(seconds=5)), ports, predictors).version == 2


def test_a_version_that_is_asked_for_has_no_stand_in(ports: Ports, capsys: pytest.CaptureFixture[str]) -> None:
    register(ports)
    register_second(ports, champion=True)
    ports.catalog.set_alias(MODEL, "shadow", 2, AT, "ada")
    flip(ports, 2)
    for version in (2, "shadow"):
        with pytest.raises(DataError, match=r"model\.onnx: .* was changed after it was registered"):
            predict.run(a_request(version=version), ports)
    assert said(capsys) == []


def test_nothing_answers_when_neither_champion_nor_what_served_before_is_intact(
    ports: Ports, capsys: pytest.CaptureFixture[str]
) -> None:
    register(ports)
    register_second(ports, champion=True)
    sha256 = hashlib.sha256(ports.artifacts.get(keys.artifact(MODEL, 2, "model.onnx"))).hexdigest()
    flip(ports, 1)
    flip(ports, 2)
    with pytest.raises(DataError, match=f"but {sha256[:12]}"):  # the champion's own error
        predict.run(a_request(), ports)
    (line,) = said(capsys)
    assert (line["message"], line["serves"]) == ("stand_in", None)
    assert line["previous_sentence"].startswith("model.onnx: has SHA-256")


def test_a_champion_that_was_loaded_goes_on_serving_whatever_becomes_of_its_file(ports: Ports) -> None:
    register(ports)
    register_second(ports, champion=True)
    predictors = Predictors(timedelta(0))
    assert predict.run(a_request(), ports, predictors).version == 2
    flip(ports, 2)
    assert predict.run(a_request(), ports, predictors).version == 2


def test_the_pointer_is_trusted_for_its_time_and_no_longer(ports: Ports, clock: FixedClock) -> None:
    catalog = CountingCatalog()
    ports = replace(ports, catalog=catalog)
    register(ports)
    predictors, catalog.reads = Predictors(timedelta(seconds=5)), 0
    assert predict.run(a_request(), ports, predictors).version == 1
    register_second(ports, champion=True)
    reads = catalog.reads
    assert predict.run(a_request(clock.advance(seconds=4.999)), ports, predictors).version == 1
    assert catalog.reads == reads
    assert predict.run(a_request(clock.advance(seconds=0.001)), ports, predictors).version == 2
    assert catalog.reads == reads + 1


def test_an_alias_answers_for_its_version_and_a_moved_one_is_heard_of_in_time(ports: Ports, clock: FixedClock) -> None:
    register(ports)
    register_second(ports, champion=False)
    ports.catalog.set_alias(MODEL, "shadow", 2, clock.now(), "ada")
    predictors = Predictors(timedelta(seconds=5))
    assert predict.run(a_request(version="shadow"), ports, predictors).version == 2
    ports.catalog.set_alias(MODEL, "shadow", 1, clock.now(), "ada")
    assert predict.run(a_request(clock.advance(seconds=4), version="shadow"), ports, predictors).version == 2
    assert predict.run(a_request(clock.advance(seconds=1), version="shadow"), ports, predictors).version == 1
    with pytest.raises(NotFoundError, match="no alias 'light'"):
        predict.run(a_request(version="light"), ports, predictors)


def test_a_version_is_loaded_once(ports: Ports) -> None:
    store = CountingStore()
    ports = replace(ports, artifacts=store)
    register(ports)
    predictors = Predictors(timedelta(0))
    for version in (None, 1, None):
        predict.run(a_request(version=version), ports, predictors)
    assert store.read == [keys.artifact(MODEL, 1, "manifest.json"), keys.artifact(MODEL, 1, "model.onnx")]


def test_the_version_used_longest_ago_is_dropped_when_too_many_are_loaded(ports: Ports) -> None:
    store = CountingStore()
    ports = replace(ports, artifacts=store)
    register(ports)
    register_second(ports, champion=False)
    predictors = Predictors(keep=1)
    for version in (1, 2, 2, 1):
        assert predict.run(a_request(version=version), ports, predictors).version == version
    loads = [key for key in store.read if key.endswith("model.onnx")]
    assert loads == [keys.artifact(MODEL, version, "model.onnx") for version in (1, 2, 1)]
