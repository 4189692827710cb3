"""What the API tells: models, versions, predictions, runs, lineage, itself; and what it says of what is not there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest

import functions.describe
import functions.feedback
import functions.predict
from perennial.openapi import document
from perennial.ports import Ports
from perennial.serving.routes import OPERATIONS
from tests.functions.conftest import event
from tests.support.interruptions import copied
from tests.support.prediction_logs import deliver
from tests.support.records import AT
from tests.support.whole_runs import ingested, small_world, trained

ROWS = [
    {"began": "2019-01-03T00:00:00", "zone": 1, "miles": 4.5},
    {"began": "2019-01-03T00:00:00", "zone": 2, "miles": 1},
]
SCHEMAS = document()["components"]["schemas"]


@pytest.fixture(scope="module")
def _world() -> Ports:
    """Two versions of a model, of which the first serves; neither has answered anything."""
    ports = small_world()
    ingested(ports, "b.csv", 10)
    assert trained(ports, "train-2") == 2
    ports.catalog.promote("fare", 1, None, ports.clock.now(), "ada", "good")
    ports.catalog.set_alias("fare", "try", 2, ports.clock.now(), "ada")
    return ports


@pytest.fixture
def ports(_world: Ports) -> Ports:
    """Return fakes that no other test sees."""
    return copied(_world)


def get(
    ports: Ports, resource: str, path: Mapping[str, str] | None = None, query: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    """Call the handler as API Gateway does; a good answer must be what the document says."""
    path = path or {}
    address = resource.replace("{proxy+}", "{proxy}")
    for name, value in path.items():
        address = address.replace(f"{{{name}}}", quote(value, safe=""))
    changes = {"resource": resource, "path": address, "pathParameters": dict(path) or None, "body": None}
    asked = event("describe", **changes, queryStringParameters=dict(query or {}) or None)
    response = functions.describe.handler(asked, None, ports)
    content = json.loads(response["body"], parse_constant=pytest.fail)
    schema = "Problem"
    if response["statusCode"] < 300:
        (schema,) = [one.answer for one in OPERATIONS if (one.method, one.path) == ("GET", resource)]
    kind = "application/json" if response["statusCode"] < 300 else "application/problem+json"
    assert response["headers"]["Content-Type"] == kind
    checked = {"$ref": f"#/components/schemas/{schema}", "components": {"schemas": SCHEMAS}}
    jsonschema.Draft202012Validator(checked).validate(content)
    return response["statusCode"], content


def predicted(ports: Ports, model: str = "fare") -> list[dict[str, Any]]:
    path = {"model": model}
    asked = event("predict", pathParameters=path, body=json.dumps({"instances": ROWS}))
    response = functions.predict.handler(asked, None, ports)
    assert response["statusCode"] == 200, response["body"]
    deliver(ports)
    return list(json.loads(response["body"])["predictions"])


def test_models_are_listed_by_name_with_their_champions(ports: Ports) -> None:
    assert get(ports, "/models") == (200, {"models": [{"model": "fare", "champion": 1}], "next": None})
    assert get(ports, "/models", query={"next": "fare"})[1] == {"models": [], "next": None}


def test_a_model_shows_who_serves_and_its_versions_in_pages_newest_first(ports: Ports) -> None:
    status, told = get(ports, "/models/{model}", {"model": "fare"}, {"limit": "1"})
    assert (status, told["champion"]["version"], told["champion"]["by"]) == (200, 1, "ada")
    assert told["aliases"] == {"try": 2}
    assert ([one["version"] for one in told["versions"]], told["next"]) == ([2], "2")
    _, rest = get(ports, "/models/{model}", {"model": "fare"}, {"limit": "1", "next": told["next"]})
    assert ([one["version"] for one in rest["versions"]], rest["next"]) == ([1], None)


@pytest.mark.parametrize("which", ["2", "try"])
def test_a_version_is_found_by_its_number_and_by_an_alias(which: str, ports: Ports) -> None:
    status, told = get(ports, "/models/{model}/versions/{version}", {"model": "fare", "version": which})
    assert (status, told["version"], told["run_id"]) == (200, 2, "train-2")
    assert told["metrics"] == ports.catalog.version("fare", 2).metrics
    assert {"zone", "miles"} <= set(told["inputs"])
    assert set(told["files"]) >= {"model.onnx"}


def test_a_prediction_shows_what_was_seen_what_was_said_and_what_came_true(ports: Ports) -> None:
    made = predicted(ports)
    path = {"prediction_id": made[0]["prediction_id"]}
    status, told = get(ports, "/predictions/{prediction_id}", path)
    assert (status, told["model"], told["version"]) == (200, "fare", 1)
    assert told["value"] == made[0]["value"]
    assert told["inputs"]["miles"] == 4.5
    assert told["features"]["now__double_miles"] == 9.0
    assert (told["told"], told["route"], told["error"]) == (None, "champion", "")

    labels = [{"prediction_id": made[0]["prediction_id"], "label": 5.5}]
    asked = event("feedback", pathParameters={"model": "fare"}, body=json.dumps({"labels": labels}))
    assert functions.feedback.handler(asked, None, ports)["statusCode"] == 202
    _, told = get(ports, "/predictions/{prediction_id}", path, {"model": "fare"})
    assert told["told"] == {"label": 5.5, "at": ports.clock.now().isoformat().replace("+00:00", "Z")}
    assert get(ports, "/predictions/{prediction_id}", path, {"model": "rent"})[0] == 404


def test_a_row_that_was_not_asked_for_is_not_there(ports: Ports) -> None:
    beyond = predicted(ports)[0]["prediction_id"].removesuffix("-0") + "-2"
    status, told = get(ports, "/predictions/{prediction_id}", {"prediction_id": beyond})
    assert (status, told["field"]) == (404, "prediction_id")
    assert get(ports, "/predictions/{prediction_id}", {"prediction_id": "1-x-0"})[0] == 404


def test_a_run_shows_its_steps_and_no_number_that_json_lacks(ports: Ports) -> None:
    ports.catalog.finish_run("ingest-a.csv", "succeeded", AT)
    status, told = get(ports, "/runs/{run_id}", {"run_id": "train-2"})
    assert (status, told["run"]["kind"], told["run"]["trigger"]["source"]) == (200, "train", "ada")
    assert {step["step"] for step in told["steps"]} >= {"admit", "training_set", "evaluate", "register"}
    step = ports.catalog.step("train-2", "admit")
    ports.catalog.record_step(step.model_copy(update={"output": {"psi": float("nan"), "most": [float("inf")]}}))
    _, told = get(ports, "/runs/{run_id}", {"run_id": "train-2"})
    (output,) = [one["output"] for one in told["steps"] if one["step"] == "admit"]
    assert output == {"psi": None, "most": [None]}
    assert get(ports, "/runs/{run_id}", {"run_id": "nowhere"})[0] == 404


def test_no_answer_holds_the_secret_of_an_approval(ports: Ports) -> None:
    told = [get(ports, "/runs/{run_id}", {"run_id": run.run_id})[1] for run in ports.catalog.runs()]
    told.append(get(ports, "/models/{model}/versions/{version}", {"model": "fare", "version": "1"})[1])
    assert "token" not in json.dumps(told).lower()


@pytest.mark.parametrize("thing", ["fare@1", "rides/a.csv", "train-1"])
def test_the_lineage_of_a_thing_leads_from_the_file_to_the_version(thing: str, ports: Ports) -> None:
    status, told = get(ports, "/lineage/{thing}", {"thing": quote(thing, safe="")})
    assert status == 200
    assert {node["kind"] for node in told["nodes"]} >= {"file", "snapshot", "training_set", "version"}
    ids = {node["id"] for node in told["nodes"]}
    assert all(edge["source"] in ids and edge["target"] in ids for edge in told["edges"])


def test_siblings_beyond_the_most_are_told_as_one(ports: Ports) -> None:
    whole = get(ports, "/lineage/{thing}", {"thing": "fare@2"})[1]
    short = get(ports, "/lineage/{thing}", {"thing": "fare@2"}, {"most": "1"})[1]
    assert len(short["nodes"]) < len(whole["nodes"])
    for nowhere in ("nothing", "%09", "%20"):
        assert get(ports, "/lineage/{thing}", {"thing": nowhere})[0] == 404


def test_the_open_inference_protocol_is_told_of_the_tensors(ports: Ports) -> None:
    assert get(ports, "/v2/health/live") == (200, {"live": True})
    assert get(ports, "/v2/health/ready") == (200, {"ready": True})
    assert get(ports, "/v2")[1]["name"] == "perennial"
    assert get(ports, "/v2/models/{model}/ready", {"model": "fare"}) == (200, {"ready": True, "name": "fare"})
    assert get(ports, "/v2/models/{model}/ready", {"model": "rent"})[0] == 404
    _, told = get(ports, "/v2/models/{model}/versions/{version}", {"model": "fare", "version": "2"})
    assert told["versions"] == ["2", "1"]
    assert {"name": "miles", "datatype": "FP64", "shape": [-1]} in told["inputs"]
    assert {"name": "zone", "datatype": "INT64", "shape": [-1]} in told["inputs"]


def test_the_document_of_a_model_knows_its_columns(ports: Ports) -> None:
    assert get(ports, "/openapi.json")[1]["servers"] == [
        {"url": "https://abcdefghij.execute-api.us-east-1.amazonaws.com/dev"}
    ]
    _, told = get(ports, "/models/{model}/openapi.json", {"model": "fare"})
    assert "miles" in told["components"]["schemas"]["Row"]["properties"]


@pytest.mark.parametrize(
    ("method", "address", "status", "allowed"),
    [
        ("GET", "/nowhere", 404, None),
        ("GET", "/", 404, None),
        ("GET", "/models/fare/predict", 405, "POST"),
        ("DELETE", "/models/fare", 405, "GET"),
        ("HEAD", "/models", 405, "GET"),
    ],
)
def test_what_the_api_does_not_have_is_told_apart_from_what_it_does_not_do(
    method: str, address: str, status: int, allowed: str | None, ports: Ports
) -> None:
    asked = event("describe", resource="/{proxy+}", path=address, httpMethod=method, pathParameters={"proxy": "x"})
    response = functions.describe.handler(asked, None, ports)
    assert (response["statusCode"], response["headers"].get("Allow")) == (status, allowed)
    assert json.loads(response["body"])["status"] == status


@pytest.mark.parametrize(
    ("resource", "query", "field"),
    [
        ("/models", {"limit": "0"}, "limit"),
        ("/models", {"limit": "101"}, "limit"),
        ("/models", {"limit": "²"}, "limit"),
        ("/models", {"limmit": "1"}, "limmit"),
        ("/models/{model}", {"next": "one"}, "next"),
        ("/lineage/{thing}", {"most": "-1"}, "most"),
    ],
)
def test_a_parameter_that_is_wrong_is_named(resource: str, query: dict[str, str], field: str, ports: Ports) -> None:
    status, told = get(ports, resource, {"model": "fare", "thing": "fare@1"}, query)
    assert (status, told["field"]) == (400, field)


def test_a_parameter_that_stands_twice_is_refused(ports: Ports) -> None:
    twice = {"multiValueQueryStringParameters": {"limit": ["1", "2"]}, "queryStringParameters": {"limit": "2"}}
    response = functions.describe.handler(event("describe", resource="/models", **twice), None, ports)
    assert response["statusCode"] == 400
