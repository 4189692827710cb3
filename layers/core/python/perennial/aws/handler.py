"""What all Lambda handlers of the state machines share: parse, log, run the step, return plain JSON."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from aws_lambda_powertools import Logger
from pydantic import BaseModel, ValidationError

from perennial.aws import runtime
from perennial.errors import DefinitionError, PerennialError
from perennial.ports import Ports
from perennial.settings import ARRAY_INDEX

Request = TypeVar("Request", bound=BaseModel)
Handler = Callable[..., dict[str, Any]]
"""``handler(event, context, ports=None)``: AWS Lambda passes two arguments, a test passes its fakes as the third."""


@cache
def logger() -> Logger:
    """Return the functions' logger: one JSON object a line."""
    return Logger()  # its service name is in POWERTOOLS_SERVICE_NAME


def step_handler(request_type: type[Request], run: Callable[[Request, Ports], BaseModel]) -> Handler:
    """Make the Lambda handler of a step.

    An error goes on to the state machine, which matches on the name of its class.

    Parameters
    ----------
    request_type : type
        The step's ``Request``.
    run : callable
        The step's ``run``.
    """
    verb = run.__module__.rpartition(".")[2]

    def handler(event: dict[str, Any], context: object, ports: Ports | None = None) -> dict[str, Any]:
        request = parse_event(request_type, event, verb)
        facts = {"step": verb, **{name: event[name] for name in ("run_id", "dataset", "model") if event.get(name)}}
        facts["function_request_id"] = getattr(context, "aws_request_id", None)
        try:
            result = run(request, ports or runtime.ports()).model_dump(mode="json")
        except PerennialError as error:
            logger().error("failed", extra={**facts, "error": type(error).__name__, "sentence": str(error)})
            raise
        logger().info("done", extra={**facts, "result": result})
        return result

    return handler


def with_array_index(event: object, environ: Mapping[str, str] = os.environ) -> object:
    """Return a job's request with its place in an array job, whose children all have one request; else as it is."""
    if ARRAY_INDEX in environ and isinstance(event, dict):
        return {**event, "index": int(environ[ARRAY_INDEX])}
    return event


def parse_event(request_type: type[Request], event: object, verb: str) -> Request:
    """Turn an event into a step's request.

    Raises
    ------
    DefinitionError
        The event has another shape: the state machine's definition does not fit the step.
    """
    try:
        return request_type.model_validate(event)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "event"
        message = first["msg"][0].lower() + first["msg"][1:]
        raise DefinitionError(
            f"{verb}: {place}: {message}; the state machine must pass what the step's Request asks for"
        ) from None
