"""Whatever bytes come: no fault of the service, and nothing is accepted that an independent reading of the OpenAPI
document would not accept.
"""

from __future__ import annotations

import json
import re
import time
from datetime import datetime
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import functions.feedback
import functions.predict
from perennial.manifest import Manifest
from perennial.openapi import model_document
from perennial.ports import Ports
from perennial.serving.routes import OPERATIONS
from tests.functions.conftest import event
from tests.support.json_fuzz import NonsenseError, bodies, strictly
from tests.support.prediction_logs import deliver
from tests.support.whole_runs import small_world

ROW = {"began": "2019-01-03T00:00:00", "zone": 1, "miles": 4.5}
INSTANCES = {"instances": [ROW, {**ROW, "miles": 0}]}
RECORDS = {"dataframe_records": [ROW], "explain": False}
SPLIT = {"dataframe_split": {"columns": list(ROW), "data": [list(ROW.values())], "index": [0]}}
TENSORS = {
    "id": "a",
    "inputs": [
        {"name": "began", "shape": [1], "datatype": "BYTES", "data": ["2019-01-03T00:00:00"]},
        {"name": "zone", "shape": [1, 1], "datatype": "INT64", "data": [1]},
        {"name": "miles", "shape": [1], "datatype": "FP64", "data": [4.5]},
    ],
    "outputs": [{"name": "value"}],
}
RANGES = {f"{sign}INT{bits}": bits for sign in ("", "U") for bits in (8, 16, 32, 64)}
FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def world() -> Ports:
    """A model that serves."""
    ports = small_world()
    ports.catalog.promote("fare", 1, None, ports.clock.now(), "ada", "good")
    return ports


@pytest.fixture(scope="module")
def schemas(world: Ports) -> dict[str, Any]:
    """The schemas of the document of that model."""
    version = world.catalog.version("fare", 1)
    manifest = Manifest.model_validate_json(world.artifacts.get(version.manifest_key))
    found: dict[str, Any] = model_document(manifest)["components"]["schemas"]
    return found


@pytest.fixture(scope="module")
def prediction_id(world: Ports) -> str:
    """A prediction that is in the log."""
    status, told = send(world, "/models/{model}/predict", json.dumps(INSTANCES).encode())
    assert status == 200
    deliver(world)
    return str(told["predictions"][0]["prediction_id"])


def send(ports: Ports, resource: str, raw: bytes) -> tuple[int, Any]:
    """Call the handler of a path as API Gateway does, which makes text of the bytes."""
    verb = "feedback" if resource.endswith("feedback") else "predict"
    handler = {"feedback": functions.feedback.handler, "predict": functions.predict.handler}[verb]
    text = raw.decode("utf-8", "surrogatepass") if _is_text(raw) else raw.decode("utf-8", "replace")
    asked = event(verb, resource=resource, pathParameters={"model": "fare"}, body=text)
    response = handler(asked, None, ports)
    told = json.loads(response["body"], parse_constant=pytest.fail)
    if response["statusCode"] >= 300:
        assert response["headers"]["Content-Type"] == "application/problem+json"
        assert told["status"] == response["statusCode"]
        assert set(told) <= {"type", "title", "status", "detail", "field"}
        assert isinstance(told["field"], str), "a fault of the request has its place"
    return response["statusCode"], told


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def valid(schemas: dict[str, Any], schema: str, value: Any) -> bool:
    checked = {"$ref": f"#/components/schemas/{schema}", "components": {"schemas": schemas}}
    return bool(jsonschema.Draft202012Validator(checked).is_valid(value))


def rows_of(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows that a body means, in whichever format, or raise NonsenseError."""
    if "dataframe_split" in value:
        split = value["dataframe_split"]
        if len(set(split["columns"])) < len(split["columns"]):
            raise NonsenseError("a column stands twice")
        if any(len(values) != len(split["columns"]) for values in split["data"]):
            raise NonsenseError("a row of another length")
        return [dict(zip(split["columns"], values, strict=True)) for values in split["data"]]
    if "inputs" in value:
        return _rows_of_tensors(value["inputs"])
    return list(value.get("instances") or value["dataframe_records"])


def _rows_of_tensors(tensors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    columns: dict[str, list[Any]] = {}
    for tensor in tensors:
        data = [one[0] if isinstance(one, list) and len(tensor["shape"]) == 2 else one for one in tensor["data"]]
        if tensor["name"] in columns or tensor["shape"] not in ([len(data)], [len(data), 1]):
            raise NonsenseError("a name that stands twice, or data of another shape")
        if not all(one is None or _fits(one, tensor["datatype"]) for one in data):
            raise NonsenseError("data of another type")
        columns[tensor["name"]] = data
    if len({len(data) for data in columns.values()}) != 1:
        raise NonsenseError("columns of different lengths")
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _fits(value: Any, datatype: str) -> bool:
    if datatype == "BOOL":
        return isinstance(value, bool)
    if datatype == "BYTES":
        return isinstance(value, str)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if datatype not in RANGES:
        return True
    low, high = (0, 2 ** RANGES[datatype]) if datatype[0] == "U" else (-(2 ** (RANGES[datatype] - 1)),) * 2
    return isinstance(value, int) and low <= value < (high if datatype[0] == "U" else -low)


def acceptable(schemas: dict[str, Any], schema: str, raw: bytes) -> bool:
    """Tell whether a body may be accepted: by the document, and by what it cannot say of moments and shapes."""
    try:
        value = strictly(raw)
        if not valid(schemas, schema, value):
            return False
        rows = rows_of(value)
        for row in rows:
            datetime.fromisoformat(row.get("began") or "2019-01-01")
    except (NonsenseError, ValueError):
        return False
    return all(valid(schemas, "Row", row) and _in_range(row) for row in rows)


def _in_range(row: dict[str, Any]) -> bool:
    """A whole number has 64 bits at most, a number fits a double."""
    zone, miles = row["zone"], row["miles"]
    return -(2**63) <= zone < 2**63 and abs(miles) <= 1.7976931348623157e308


@pytest.mark.parametrize("good", [INSTANCES, RECORDS, SPLIT], ids=["instances", "records", "split"])
def test_the_good_bodies_are_accepted_by_both(good: Any, world: Ports, schemas: dict[str, Any]) -> None:
    raw = json.dumps(good).encode()
    assert acceptable(schemas, "PredictRequest", raw)
    assert send(world, "/models/{model}/predict", raw)[0] == 200


def test_good_tensors_are_accepted_by_both(world: Ports, schemas: dict[str, Any]) -> None:
    raw = json.dumps(TENSORS).encode()
    assert acceptable(schemas, "InferRequest", raw)
    assert send(world, "/v2/models/{model}/infer", raw)[0] == 200


@FUZZ
@given(raw=bodies(INSTANCES, RECORDS, SPLIT))
@example(raw=b'{"instances": [{"began": "2019-01-03", "zone": 1, "miles": 1, "miles": 2}]}')
@example(raw=b'{"instances": [{"began": "2019-01-03", "zone": 1, "miles": NaN}]}')
@example(raw=b'{"instances": [{"began": "2019-01-03", "zone": 1, "miles": 1e999}]}')
@example(raw=b'{"instances": [{"began": "2019-01-03", "zone": 1, "miles": ' + b"9" * 5000 + b"}]}")
@example(raw=b'{"instances": [], "instances": [{}]}')
@example(raw=b'\xef\xbb\xbf{"instances": [{}]}')
def test_predict_answers_what_is_good_and_names_the_fault_of_all_else(
    raw: bytes, world: Ports, schemas: dict[str, Any]
) -> None:
    status, told = send(world, "/models/{model}/predict", raw)
    assert status in (200, 400, 413, 422), told
    if status == 200:
        assert acceptable(schemas, "PredictRequest", raw)
        assert valid(schemas, "PredictAnswer", told)


@FUZZ
@given(raw=bodies(TENSORS))
@example(raw=json.dumps({**TENSORS, "inputs": TENSORS["inputs"][:2] * 2}).encode())
@example(raw=json.dumps(TENSORS).replace("[1, 1]", "[1, 2]").encode())
@example(raw=json.dumps(TENSORS).replace("INT64", "UINT8").replace('"data": [1]', '"data": [-1]').encode())
def test_infer_answers_tensors_that_fit_and_names_the_fault_of_all_else(
    raw: bytes, world: Ports, schemas: dict[str, Any]
) -> None:
    status, told = send(world, "/v2/models/{model}/infer", raw)
    assert status in (200, 400, 413, 422), told
    if status == 200:
        assert acceptable(schemas, "InferRequest", raw)
        assert valid(schemas, "InferAnswer", told)


@FUZZ
@given(data=st.data())
def test_feedback_takes_labels_of_predictions_that_were_made_and_names_the_fault_of_all_else(
    data: st.DataObject, world: Ports, schemas: dict[str, Any], prediction_id: str
) -> None:
    good = {"labels": [{"prediction_id": prediction_id, "label": 5.5}]}
    raw = data.draw(bodies(good))
    status, told = send(world, "/models/{model}/feedback", raw)
    assert status in (202, 400, 404, 413), told
    if status == 202:
        value = strictly(raw)
        assert valid(schemas, "FeedbackRequest", value)
        assert valid(schemas, "Receipt", told)
        made = {prediction_id, prediction_id.removesuffix("-0") + "-1"}
        assert {label["prediction_id"] for label in value["labels"]} <= made
        assert all(isinstance(one["label"], float | int) and one["label"] is not True for one in value["labels"])


MANY = [str(number) for number in range(200_000)]
TENSOR = {"shape": [1], "datatype": "FP64", "data": [1]}
LARGE = {
    "keys": ('{"instances": [{' + ", ".join(f'"{name}": 1' for name in [*MANY, MANY[-1]]) + "}]}").encode(),
    "columns": json.dumps({"dataframe_split": {"columns": [*MANY, MANY[-1]], "data": [[1]]}}).encode(),
    "digits": b'{"instances": [{"miles": ' + b"1" * 1_000_000 + b"}]}",
    "brackets": b'{"instances": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}",
    "unclosed": b'{"instances": ' + b"[" * 2_000_000,
    "pairs": b'{"instances": [' + b"{}," * 1_000_000 + b"{}]}",
    "tensors": json.dumps({"inputs": [{"name": name, **TENSOR} for name in MANY[:50_000]]}).encode(),
}


@pytest.mark.parametrize("kind", sorted(LARGE))
def test_a_large_body_of_nonsense_is_refused_in_a_time_that_grows_with_its_size_alone(kind: str, world: Ports) -> None:
    resource = "/v2/models/{model}/infer" if kind == "tensors" else "/models/{model}/predict"
    start = time.perf_counter()
    status, _ = send(world, resource, LARGE[kind])
    assert status in (400, 413)
    # Some MB are read in well under a second; what grows with the square of it would take minutes.
    assert time.perf_counter() - start < 10


def test_every_operation_with_a_body_is_fuzzed() -> None:
    fuzzed = {"predict", "feedback", "infer"}
    bare = {re.sub("_with_version$", "", one.name) for one in OPERATIONS if one.request}
    assert bare == fuzzed
