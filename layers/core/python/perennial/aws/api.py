"""What the API's Lambda handlers share: API Gateway's proxy event in, its proxy answer out, errors as problems."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from pydantic import BaseModel

from perennial.aws import runtime
from perennial.aws.handler import Handler, logger
from perennial.definitions import NAME
from perennial.errors import MethodError, NotFoundError, PerennialError, RequestError
from perennial.ports import Ports
from perennial.serving.problems import CONTENT_TYPE, problem


@dataclass(frozen=True)
class Call:
    """One call of the API."""

    path: Mapping[str, str]
    """The path's parameters, such as ``model``."""
    body: str | bytes | None
    method: str = ""
    resource: str = ""
    """The path as the API declares it, such as ``/models/{model}``."""
    address: str = ""
    """The path of the call itself, below the stage."""
    query: Mapping[str, str] = field(default_factory=dict)
    """What stands behind the question mark."""
    stage_url: str = ""
    """Address of the API's stage, without a slash at its end."""

    @property
    def version(self) -> int | str | None:
        """The version or alias in the path, None if there is none; NotFoundError if it can be neither."""
        text = self.path.get("version")
        if text is None or NAME.fullmatch(text):
            return text
        if not (text.isascii() and text.isdigit() and 0 < int(text[:10]) < 10**9):
            raise NotFoundError(f"there is no version {text[:20]!r}; versions are 1, 2, 3, … or aliases", "version")
        return int(text)


def api_handler(status: int, answer: Callable[[Call, Ports], BaseModel]) -> Handler:
    """Make the Lambda handler of a route.

    Parameters
    ----------
    status : int
        Status of a call that went well.
    answer : callable
        Parses the call's body, runs the step and returns its result.
    """

    def handler(event: dict[str, Any], context: object, ports: Ports | None = None) -> dict[str, Any]:
        facts = {
            "api_request_id": (event.get("requestContext") or {}).get("requestId"),
            "function_request_id": getattr(context, "aws_request_id", None),
            **(event.get("pathParameters") or {}),
        }
        try:
            result = answer(_call(event), ports or runtime.ports())
        except PerennialError as error:
            code, body = problem(error)
            log = logger().error if code >= 500 else logger().warning
            log("refused", extra={**facts, "status": code, "error": type(error).__name__, "sentence": str(error)})
            allowed = {"Allow": ", ".join(error.allowed)} if isinstance(error, MethodError) else {}
            return _response(code, CONTENT_TYPE, json.dumps(body), allowed)
        return _response(status, "application/json", result.model_dump_json())

    return handler


def _call(event: Mapping[str, Any]) -> Call:
    body = event.get("body")
    if body is not None and event.get("isBase64Encoded"):
        try:
            body = base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            raise RequestError("the body is not base64, as its envelope says", "body") from None
    context = event.get("requestContext") or {}
    return Call(
        path={name: unquote(value) for name, value in (event.get("pathParameters") or {}).items()},
        body=body,
        method=event.get("httpMethod") or "",
        resource=event.get("resource") or "",
        address=event.get("path") or "",
        query=_query(event),
        stage_url=f"https://{context.get('domainName', '')}/{context.get('stage', '')}",
    )


def _query(event: Mapping[str, Any]) -> dict[str, str]:
    """Return what stands behind the question mark; what stands there twice is refused."""
    for name, values in (event.get("multiValueQueryStringParameters") or {}).items():
        if len(values) > 1:
            raise RequestError(f"{name} stands twice behind the question mark; send it once", name)
    return dict(event.get("queryStringParameters") or {})


def _response(status: int, content_type: str, body: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    headers = {"Content-Type": content_type, **(headers or {})}
    return {"statusCode": status, "headers": headers, "body": body, "isBase64Encoded": False}
