"""Errors as HTTP answers: one table, and bodies after RFC 9457 that leak nothing of the inside."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from perennial.errors import (
    ConflictError,
    IncompleteError,
    MethodError,
    NotFoundError,
    PerennialError,
    RequestError,
    TooLargeError,
    TransientError,
)

CONTENT_TYPE = "application/problem+json"

STATUS: dict[type[PerennialError], HTTPStatus] = {
    TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    MethodError: HTTPStatus.METHOD_NOT_ALLOWED,
    IncompleteError: HTTPStatus.UNPROCESSABLE_ENTITY,
    RequestError: HTTPStatus.BAD_REQUEST,
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    TransientError: HTTPStatus.SERVICE_UNAVAILABLE,
    PerennialError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""Error to status. An error that is not listed counts as its nearest listed ancestor; a plain DataError or
DefinitionError is therefore the service's own fault."""

_OUR_FAULT: dict[int, str] = {
    500: "The fault is not in the request; look for its id in the function's log.",
    503: "Nothing is wrong with the request; send it again in a moment.",
}


def problem(error: PerennialError) -> tuple[int, dict[str, Any]]:
    """Return the status and the problem body of an error.

    The body holds ``type``, ``title``, ``status``, ``detail`` and, if the error knows the place, ``field``. For
    status 500 and above, ``detail`` is a fixed sentence.
    """
    kind = next(ancestor for ancestor in type(error).__mro__ if ancestor in STATUS)
    status = STATUS[kind]
    body: dict[str, Any] = {"type": "about:blank", "title": status.phrase, "status": status.value}
    body["detail"] = _OUR_FAULT[status] if status >= 500 else str(error)
    if error.field is not None and status < 500:
        body["field"] = error.field
    return status.value, body
