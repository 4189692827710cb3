"""What the API's Lambda handlers share: API Gateway's proxy event in, its proxy answer out, errors as problems.

``predict`` stands on this, so it imports nothing but the standard library.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from perennial.errors import NotFoundError, PerennialError, RequestError
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
            return _response(code, CONTENT_TYPE, json.dumps(body))
        return _response(status, "application/json", result)

    return handler


def _call(event: Mapping[str, Any]) -> Call:
    body = event.get("body")
    if body is not None and event.get("isBase64Encoded"):
        try:
            body = base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            raise RequestError("the body is not base64, as its envelope says", "body") from None
    return Call(
        path=event.get("pathParameters") or {},
        body=body,
        resource=event.get("resource") or "",
        headers=event.get("headers"),
    )


def _response(status: int, content_type: str, body: str) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"Content-Type": content_type}, "body": body, "isBase64Encoded": False}
