"""Notifications about the prediction log and the labels, as a queue delivers them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from perennial.errors import DefinitionError

_LOG_KEY = re.compile(r"(?:predictions|labels)/model=([a-z][a-z0-9_]*)/")


def messages_by_model(event: Mapping[str, Any]) -> dict[str | None, list[str]]:
    """Return the models that an event is about, each with the ids of the messages that say so.

    Parameters
    ----------
    event : mapping
        An SQS event whose bodies are EventBridge's ``Object Created`` events of S3; or the schedule's
        ``{"model": name or null}``, where null stands for all models and there are no messages.

    Raises
    ------
    DefinitionError
        A message is about something else: the rule that fills the queue does not fit.
    """
    if "Records" not in event:
        return {event.get("model"): []}
    messages: dict[str | None, list[str]] = {}
    for record in event["Records"]:
        messages.setdefault(_model_of(record["body"]), []).append(record["messageId"])
    return messages


def _model_of(body: str) -> str:
    try:
        key = str(json.loads(body)["detail"]["object"]["key"])
    except (ValueError, KeyError, TypeError):
        raise DefinitionError(
            "a message holds no Object Created event of S3; mend the rule that fills the queue"
        ) from None
    match = _LOG_KEY.match(key)
    if match is None:
        raise DefinitionError(f"{key}: is neither of the prediction log nor of the labels; mend the queue's rule")
    return match[1]
