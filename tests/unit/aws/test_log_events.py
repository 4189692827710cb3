"""Deliveries of CloudWatch Logs."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from perennial.aws.log_events import messages_of
from perennial.errors import DefinitionError


def an_event(**content: Any) -> dict[str, Any]:
    return {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(content).encode())).decode()}}


def test_the_messages_of_a_delivery_come_in_their_order() -> None:
    events = [{"id": str(number), "timestamp": 0, "message": text} for number, text in enumerate(["b", "a", "ü"])]
    assert messages_of(an_event(messageType="DATA_MESSAGE", logEvents=events)) == ["b", "a", "ü"]


def test_a_control_message_brings_nothing() -> None:
    events = [{"id": "", "timestamp": 0, "message": "CWL CONTROL MESSAGE: Checking health of destination"}]
    assert messages_of(an_event(messageType="CONTROL_MESSAGE", logEvents=events)) == []


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"awslogs": {"data": "*"}},
        {"awslogs": {"data": base64.b64encode(b"plain").decode()}},
        {"awslogs": {"data": base64.b64encode(gzip.compress(b"{}")[:-9]).decode()}},
        an_event(),
        an_event(messageType="DATA_MESSAGE", logEvents=None),
    ],
    ids=["nothing", "no base64", "no gzip", "cut", "no type", "no events"],
)
def test_what_is_no_delivery_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="holds no log events"):
        messages_of(event)
