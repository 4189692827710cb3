"""What the API's Lambda handlers share: API Gateway's proxy event in, its proxy answer out, errors as problems."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from perennial.aws import runtime
from perennial.aws.handler import Handler, logger
from perennial.definitions import NAME
from perennial.errors import NotFoundError, PerennialError, RequestError
from perennial.ports import Ports
from perennial.serving.problems import CONTENT_TYPE, problem


@dataclass(frozen=True)
class Call:
    """One call of the API."""

    path: Mapping[str, str]
    """The path's parameters, such as ``model``."""
    body: str | bytes | None

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
            return _response(code, CONTENT_TYPE, json.dumps(body))
        return _response(status, "application/json", result.model_dump_json())

    return handler


def _call(event: Mapping[str, Any]) -> Call:
    body = event.get("body")
    if body is not None and event.get("isBase64Encoded"):
        try:
            body = base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            raise RequestError("the body is not base64, as its envelope says", "body") from None
    return Call(path=event.get("pathParameters") or {}, body=body)


def _response(status: int, content_type: str, body: str) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"Content-Type": content_type}, "body": body, "isBase64Encoded": False}
