"""What API Gateway itself answers when it does not let a call through: problems (RFC 9457), like the functions' own."""

from __future__ import annotations

import json
from http import HTTPStatus

from aws_cdk import aws_apigateway as apigateway
from constructs import Construct

from perennial.serving.problems import CONTENT_TYPE

Body = dict[str, str | int]
_FORBIDDEN = "The caller may not do this, or the path is not there."
_KEY = "The call needs the API key of a client, in the header x-api-key."
_OURS = "Nothing is wrong with the request; send it again in a moment."

PROBLEMS: dict[str, tuple[int, str]] = {
    "ACCESS_DENIED": (403, _FORBIDDEN),
    "API_CONFIGURATION_ERROR": (500, _OURS),
    "AUTHORIZER_CONFIGURATION_ERROR": (500, _OURS),
    "AUTHORIZER_FAILURE": (500, _OURS),
    "BAD_REQUEST_BODY": (400, "The body is not what this path takes; see GET /openapi.json."),
    "BAD_REQUEST_PARAMETERS": (400, "The parameters are not what this path takes; see GET /openapi.json."),
    "EXPIRED_TOKEN": (403, "The credentials have expired; sign in again."),
    "INTEGRATION_FAILURE": (504, _OURS),
    "INTEGRATION_TIMEOUT": (504, "The answer took too long; send fewer rows."),
    "INVALID_API_KEY": (403, _KEY),
    "INVALID_SIGNATURE": (403, "The signature does not fit the call; sign it for the service execute-api."),
    "MISSING_AUTHENTICATION_TOKEN": (403, "The call bears no credentials, or the path is not there."),
    "QUOTA_EXCEEDED": (429, "The client has used up its calls for today."),
    "REQUEST_TOO_LARGE": (413, "The body is too large; send it in several calls."),
    "RESOURCE_NOT_FOUND": (404, "The API has no such path; GET /openapi.json lists what it has."),
    "THROTTLED": (429, "Too many calls at once; send them again more slowly."),
    "UNAUTHORIZED": (401, "The call needs a token that is valid now, in the header Authorization: Bearer …."),
    "UNSUPPORTED_MEDIA_TYPE": (415, "The body must be application/json."),
    "WAF_FILTERED": (403, _FORBIDDEN),
}
"""Why API Gateway turns a call down to the status and the sentence of its answer."""

_WAIT = {"Retry-After": "'1'"}
_HEADERS: dict[str, dict[str, str]] = {
    "THROTTLED": _WAIT,
    "QUOTA_EXCEEDED": {"Retry-After": "'3600'"},
    "UNAUTHORIZED": {"WWW-Authenticate": "'Bearer'"},
}


def answer_with_problems(scope: Construct, api: apigateway.RestApi) -> None:
    """Make every answer of API Gateway's own a problem; one that AWS may add to its list has no status in its body."""
    for name, (status, sentence) in PROBLEMS.items():
        body: Body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": sentence}
        _answer(scope, api, name, body, status)
    _answer(scope, api, "DEFAULT_4XX", {"type": "about:blank", "title": "Refused", "detail": _FORBIDDEN})
    _answer(scope, api, "DEFAULT_5XX", {"type": "about:blank", "title": "Not answered", "detail": _OURS})


def _answer(scope: Construct, api: apigateway.RestApi, name: str, body: Body, status: int | None = None) -> None:
    headers = {"Content-Type": f"'{CONTENT_TYPE}'", **_HEADERS.get(name, {})}
    apigateway.GatewayResponse(
        scope,
        f"Problem{name}",
        rest_api=api,
        type=apigateway.ResponseType.of(name),
        status_code=None if status is None else str(status),
        response_headers=headers,
        templates={"application/json": json.dumps(body)},
    )
