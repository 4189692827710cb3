"""Notifications about the prediction log and the labels, as a queue delivers them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from perennial.errors import DefinitionError

_LOG_KEY = re.compile(r"(?:predictions|labels)/model=([a-z][a-z0-9_]*)/")


def models_of(event: Mapping[str, Any]) -> list[str | None]:
    """Return the models that an event is about, each once.

    Parameters
    ----------
    event : mapping
        An SQS event whose bodies are EventBridge's ``Object Created`` events of S3, or the schedule's
        ``{"model": name or null}``, where null stands for all models.

    Raises
    ------
    DefinitionError
        A notification is about another key: the rule that fills the queue does not fit.
    """
    if "Records" not in event:
        return [event.get("model")]
    found = (_model_of(json.loads(record["body"])["detail"]["object"]["key"]) for record in event["Records"])
    return list(dict.fromkeys(found))


def _model_of(key: str) -> str:
    match = _LOG_KEY.match(key)
    if match is None:
        raise DefinitionError(f"{key}: is neither of the prediction log nor of the labels; mend the queue's rule")
    return match[1]
