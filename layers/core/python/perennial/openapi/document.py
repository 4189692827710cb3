"""The OpenAPI 3.1 document: of the API as it is deployed, and of one model with what its version reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, RootModel
from pydantic.json_schema import models_json_schema

from perennial.manifest import Manifest
from perennial.openapi import bodies
from perennial.openapi.rows import row_schema
from perennial.ports import Ports
from perennial.serving.problems import CONTENT_TYPE
from perennial.serving.routes import EVERYWHERE, OPERATIONS, PARAMETERS, PERMISSIONS, QUERY, Operation
from perennial.steps import describe, describe_prediction, describe_tensors, feedback
from perennial.steps.lineage import LineageDetail

Json = dict[str, Any]
JSON = "application/json"
VERSION = "1.0.0"
"""Of the API: its major number changes with what a caller would notice."""

AUTH: dict[str, Json] = {
    "iam": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "AWS Signature Version 4 of the service execute-api.",
        "x-amazon-apigateway-authtype": "awsSigv4",
    },
    "jwt": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": f"A token whose scopes name what it allows: {', '.join(PERMISSIONS)}.",
    },
    "api_key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The key of a named client."},
}
"""The stage setting ``auth`` to its security scheme."""


class Document(RootModel[Json]):
    """An OpenAPI 3.1 document."""


_BODIES: tuple[type[BaseModel], ...] = (bodies.PredictRequest, bodies.FeedbackRequest, bodies.InferRequest)
_ANSWERS: tuple[type[BaseModel], ...] = (
    bodies.PredictAnswer,
    bodies.InferAnswer,
    bodies.Problem,
    describe.ModelDetail,
    describe.ModelPage,
    describe.RunDetail,
    describe.VersionDetail,
    describe_prediction.PredictionDetail,
    describe_tensors.InferModel,
    describe_tensors.Live,
    describe_tensors.ModelReady,
    describe_tensors.Ready,
    describe_tensors.Server,
    feedback.Receipt,
    Document,
    LineageDetail,
)


def document(auth: str = "iam", server: str | None = None) -> Json:
    """Return the document of the API.

    Parameters
    ----------
    auth : str
        How callers prove who they are: a name in `AUTH`.
    server : str or None
        The address of a deployment's API; None makes a document that holds for every deployment.
    """
    return _document("perennial", OPERATIONS, auth, server)


def model_document(manifest: Manifest, auth: str = "iam", server: str | None = None) -> Json:
    """Return the document of one model: its own paths, with the columns that a version of it reads."""
    name = manifest.model
    found = _document(f"perennial: {name}", (one for one in OPERATIONS if "model" in one.parameters), auth, server)
    found["info"]["description"] += f" The inputs are those of version {manifest.version} of {name}."
    found["components"]["schemas"]["Row"] = row_schema(manifest)
    for place in ("Instances", "Records"):
        (key,) = found["components"]["schemas"][place]["properties"].keys() & {"instances", "dataframe_records"}
        found["components"]["schemas"][place]["properties"][key]["items"] = {"$ref": "#/components/schemas/Row"}
    found["paths"] = {path.replace("{model}", name): _of_model(item) for path, item in found["paths"].items()}
    return found


def served(ports: Ports, auth: str, server: str, model: str | None) -> Document:
    """Return the document of a deployment's API, or of one of its models; NotFoundError if that has no champion."""
    if model is None:
        return Document(document(auth, server))
    version = describe.find_version(ports, model, None)
    return Document(model_document(describe.read_manifest(ports, version), auth, server))


def _document(title: str, operations: Iterable[Operation], auth: str, server: str | None) -> Json:
    paths: Json = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, auth)
    modes = [(model, "validation") for model in _BODIES] + [(model, "serialization") for model in _ANSWERS]
    _, schemas = models_json_schema(modes, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    found = {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": VERSION,
            "description": "Predictions, feedback, and what is registered and logged. Errors are problems (RFC 9457).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": _untitled(schemas["$defs"]),
            "responses": {str(status): _problem(status) for status in _statuses()},
            "securitySchemes": {auth: AUTH[auth]},
        },
    }
    return found | ({"servers": [{"url": server}]} if server else {})


def _operation(operation: Operation, auth: str) -> Json:
    parameters = [_parameter(name, "path", PARAMETERS, required=True) for name in operation.parameters]
    parameters += [_parameter(name, "query", QUERY, required=False) for name in operation.query]
    content = {JSON: {"schema": {"$ref": f"#/components/schemas/{operation.answer}"}}}
    problems = sorted({*operation.errors, *EVERYWHERE})
    found: Json = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.permission],
        # OpenAPI 3.1 lets a requirement name roles of any scheme, not of OAuth alone.
        "security": [{auth: [operation.permission] if auth == "jwt" else []}],
        "responses": {
            str(operation.status): {"description": HTTPStatus(operation.status).phrase, "content": content},
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in problems},
        },
    }
    if parameters:
        found["parameters"] = parameters
    if operation.request:
        schema = {"$ref": f"#/components/schemas/{operation.request}"}
        found["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    return found


def _parameter(name: str, place: str, described: Mapping[str, str], *, required: bool) -> Json:
    schema: Json = {"type": "string", "minLength": 1}
    if name in ("limit", "most"):
        schema = {"type": "integer", "minimum": 1, "maximum": 100 if name == "limit" else 1000}
    return {"name": name, "in": place, "required": required, "description": described[name], "schema": schema}


def _problem(status: int) -> Json:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": HTTPStatus(status).phrase, "content": {CONTENT_TYPE: {"schema": schema}}}


def _untitled(schema: Any) -> Any:
    """Return a schema without the titles that pydantic makes of names."""
    if isinstance(schema, list):
        return [_untitled(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _untitled(one) for key, one in schema.items() if not (key == "title" and isinstance(one, str))}


def _statuses() -> list[int]:
    return sorted({*EVERYWHERE, *(status for operation in OPERATIONS for status in operation.errors)})


def _of_model(item: Json) -> Json:
    """Return a path's operations without the model among their parameters."""
    found = {}
    for method, operation in item.items():
        left = [one for one in operation.get("parameters", ()) if (one["in"], one["name"]) != ("path", "model")]
        found[method] = {key: value for key, value in operation.items() if key != "parameters"}
        if left:
            found[method]["parameters"] = left
    return found
