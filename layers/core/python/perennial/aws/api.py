"""What the API's Lambda handlers share: API Gateway's proxy event in, its proxy answer out, errors as problems.

``predict`` stands on this, so it imports nothing but the standard library.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from perennial.errors import MethodError, NotFoundError, PerennialError, RequestError
from perennial.names import NAME
from perennial.serving.lines import say
from perennial.serving.problems import CONTENT_TYPE, problem

PortsT = TypeVar("PortsT")
ApiHandler = Callable[..., dict[str, Any]]
"""``handler(event, context, ports=None)``: AWS Lambda passes two arguments, a test passes its fakes as the third."""


@dataclass(frozen=True)
class Call:
    """One call of the API."""

    path: Mapping[str, str]
    """The path's parameters, such as ``model``."""
    body: str | bytes | None
    resource: str = ""
    """The path's template, such as ``/models/{model}/predict``."""
    headers: Mapping[str, str] | None = None
    """As the caller wrote their names."""
    method: str = ""
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

    def header(self, name: str) -> str | None:
        """Return a header by its name, whose letters' case does not count."""
        for each, value in (self.headers or {}).items():
            if each.lower() == name.lower():
                return value
        return None


def api_handler(status: int, answer: Callable[[Call, PortsT], str], ports_of: Callable[[], PortsT]) -> ApiHandler:
    """Make the Lambda handler of a route.

    Parameters
    ----------
    status : int
        Status of a call that went well.
    answer : callable
        Parses the call's body, runs the step and returns its result as JSON.
    ports_of : callable
        Returns the ports of the deployed code.
    """

    def handler(event: dict[str, Any], context: object, ports: PortsT | None = None) -> dict[str, Any]:
        try:
            result = answer(_call(event), ports or ports_of())
        except PerennialError as error:
            code, body = problem(error)
            say(
                "ERROR" if code >= 500 else "WARNING",
                "refused",
                api_request_id=(event.get("requestContext") or {}).get("requestId"),
                function_request_id=getattr(context, "aws_request_id", None),
                **(event.get("pathParameters") or {}),
                status=code,
                error=type(error).__name__,
                sentence=str(error) if code >= 500 else body.get("field"),  # what a caller sent is not told
            )
            allowed = {"Allow": ", ".join(error.allowed)} if isinstance(error, MethodError) else {}
            return _response(code, CONTENT_TYPE, json.dumps(body), allowed)
        return _response(status, "application/json", result)

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
        path={name: _decoded(value) for name, value in (event.get("pathParameters") or {}).items()},
        body=body,
        resource=event.get("resource") or "",
        headers=event.get("headers"),
        method=event.get("httpMethod") or "",
        address=event.get("path") or "",
        query=_query(event),
        stage_url=f"https://{context.get('domainName', '')}/{context.get('stage', '')}",
    )


def _decoded(value: str) -> str:
    """Return a part of a path as it is meant; API Gateway hands it on as it is written."""
    if "%" not in value:
        return value
    from urllib.parse import unquote  # names have no such signs: predict need not know of them

    return unquote(value)


def _query(event: Mapping[str, Any]) -> dict[str, str]:
    """Return what stands behind the question mark; what stands there twice is refused."""
    for name, values in (event.get("multiValueQueryStringParameters") or {}).items():
        if len(values) > 1:
            raise RequestError(f"{name} stands twice behind the question mark; send it once", name)
    return dict(event.get("queryStringParameters") or {})


def _response(status: int, content_type: str, body: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    headers = {"Content-Type": content_type, **(headers or {})}
    return {"statusCode": status, "headers": headers, "body": body, "isBase64Encoded": False}
