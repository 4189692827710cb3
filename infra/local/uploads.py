"""The version of an uploaded object, which the emulator leaves out of the events that it sends to EventBridge."""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import Any

_VERSION: ContextVar[str | None] = ContextVar("version of the object that an event is about", default=None)


def patch() -> None:
    """Add ``detail.object.version-id`` to the events of versioned objects, as S3 does."""
    from ministack.services import eventbridge, s3

    fire, dispatch = s3._fire_s3_event, eventbridge._dispatch_event

    def fire_versioned(*arguments: Any, version_id: str | None = None, **options: Any) -> None:
        token = _VERSION.set(version_id)
        try:
            fire(*arguments, version_id=version_id, **options)
        finally:
            _VERSION.reset(token)

    def dispatch_versioned(event: dict[str, Any], *arguments: Any, **options: Any) -> Any:
        version = _VERSION.get()
        if version and event["Source"] == "aws.s3":
            detail = json.loads(event["Detail"])
            detail["object"].setdefault("version-id", version)
            event = {**event, "Detail": json.dumps(detail)}
        return dispatch(event, *arguments, **options)

    s3._fire_s3_event = fire_versioned
    eventbridge._dispatch_event = dispatch_versioned
