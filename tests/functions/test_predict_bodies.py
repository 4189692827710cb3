"""The handler of ``predict`` with each shape of body, on a version that is worked out in the head."""

from __future__ import annotations

import json
from typing import Any

import pytest

import functions.predict
from perennial.fakes import FakePredictionLog
from perennial.ports import OnlineRow, Ports
from tests.support.artifacts import MODEL, VIEW_VERSION, a_trip, register
from tests.support.records import AT

V2 = "/v2/models/{model}/infer"
TRIPS = [a_trip(), a_trip(trip_distance=1.5, pickup_location_id=7)]
COLUMNS = list(TRIPS[0])


@pytest.fixture
def world(ports: Ports) -> Ports:
    """Return a world in which version 1 serves; of zone 42 the speed is known, of zone 7 not."""
    register(ports)
    ports.online.write("zone_stats", VIEW_VERSION, [OnlineRow((42,), AT, {"mean_speed": 20.0})], 1)
    return ports


def post(ports: Ports, body: Any, resource: str = "/models/{model}/predict", **path: str) -> tuple[int, Any]:
    event = {"resource": resource, "pathParameters": {"model": MODEL, **path}, "body": json.dumps(body)}
    response = functions.predict.handler(event, None, ports)
    return response["statusCode"], json.loads(response["body"])


def tensors(**changes: Any) -> list[dict[str, Any]]:
    kinds = {"pickup_datetime": "BYTES", "trip_distance": "FP64"}
    return [
        {
            "name": name,
            "shape": [2],
            "datatype": kinds.get(name, "INT64"),
            "data": changes.get(name, [trip[name] for trip in TRIPS]),
        }
        for name in COLUMNS
    ]


def test_every_shape_gives_the_same_numbers_and_says_what_was_missing(world: Ports) -> None:
    missing = ["zone_stats__mean_speed"]
    status, instances = post(world, {"instances": TRIPS})
    assert (status, instances["route"], instances["version"]) == (200, "champion", 1)
    assert [said["value"] for said in instances["predictions"]] == [30.0, 11.0]
    assert [said.get("missing") for said in instances["predictions"]] == [None, missing]
    split = {"columns": COLUMNS, "data": [list(trip.values()) for trip in TRIPS]}
    for body in ({"dataframe_records": TRIPS}, {"dataframe_split": split}):
        status, answer = post(world, body)
        assert (status, answer["predictions"], answer["missing"]) == (200, [30.0, 11.0], [[], missing])
    status, answer = post(world, {"inputs": tensors(), "id": "mine"}, V2)
    assert (status, answer["id"], answer["model_version"]) == (200, "mine", "1")
    found = {output["name"]: output["data"] for output in answer["outputs"]}
    assert (found["value"], found["missing"]) == ([30.0, 11.0], ["", missing[0]])
    log = world.log
    assert isinstance(log, FakePredictionLog)
    assert [request.values for request in log.requests] == [[30.0, 11.0]] * 4


def test_a_fault_is_named_where_it_stands_in_what_was_sent(world: Ports) -> None:
    bad = a_trip(trip_distance=-1)
    split = {"columns": COLUMNS, "data": [list(TRIPS[0].values()), list(bad.values())]}
    distance = COLUMNS.index("trip_distance")
    for body, resource, field in (
        ({"instances": [TRIPS[0], bad]}, "", "instances[1].trip_distance"),
        ({"dataframe_records": [TRIPS[0], bad]}, "", "dataframe_records[1].trip_distance"),
        ({"dataframe_split": split}, "", f"dataframe_split.data[1][{distance}]"),
        ({"inputs": tensors(trip_distance=[1, -1])}, V2, f"inputs[{distance}].data[1]"),
    ):
        status, problem = post(world, body, resource)
        assert (status, problem["field"]) == (400, field)
        assert problem["detail"].startswith(field)


def test_a_model_that_is_an_onnx_file_alone_does_not_explain_and_logs_nothing(world: Ports) -> None:
    status, problem = post(world, {"instances": TRIPS, "explain": True})
    assert (status, problem["field"]) == (400, "explain")
    log = world.log
    assert isinstance(log, FakePredictionLog)
    assert log.requests == []


def test_a_version_may_be_named_in_the_protocols_path(world: Ports) -> None:
    resource = "/v2/models/{model}/versions/{version}/infer"
    status, answer = post(world, {"inputs": tensors()}, resource, version="1")
    assert (status, answer["parameters"]) == (200, {"route": "named"})
    assert post(world, {"inputs": tensors()}, resource, version="2")[0] == 404


@pytest.mark.parametrize("header", ["X-Route-Key", "x-route-key"])
def test_what_a_caller_sent_is_not_said_in_the_functions_log(
    world: Ports, capsys: pytest.CaptureFixture[str], header: str
) -> None:
    secret = "of the caller alone"
    event = {
        "resource": "/models/{model}/predict",
        "pathParameters": {"model": MODEL},
        "headers": {header: secret},
        "body": json.dumps({"instances": [a_trip(pickup_datetime=secret)]}),
    }
    assert functions.predict.handler(event, None, world)["statusCode"] == 400
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["level"], line["message"], line["status"]) == ("WARNING", "refused", 400)
    assert secret not in json.dumps(line)
