"""Waiting for what the local cloud does by itself, such as the execution of a state machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

from infra.local.cloud import Endpoint

Value = TypeVar("Value")


def wait_for(read: Callable[[], Value | None], seconds: float = 15) -> Value:
    """Return the first answer that is not None."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = read()
        if value is not None:
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def execute(
    cloud: Endpoint, name: str, states: dict[str, Any], stop_when: Callable[[], object] | None = None
) -> dict[str, Any]:
    """Run a state machine, its first state first, and return the execution's description.

    With ``stop_when`` it is stopped once that is true.
    """
    client = cloud.client("stepfunctions")
    machine = client.create_state_machine(
        name=name,
        definition=json.dumps({"StartAt": next(iter(states)), "States": states}),
        roleArn="arn:aws:iam::000000000000:role/nothing",
    )["stateMachineArn"]
    execution = client.start_execution(stateMachineArn=machine)["executionArn"]
    if stop_when is not None:
        wait_for(lambda: True if stop_when() else None)
        client.stop_execution(executionArn=execution)

    def read() -> dict[str, Any] | None:
        described: dict[str, Any] = client.describe_execution(executionArn=execution)
        return described if described["status"] != "RUNNING" else None

    return wait_for(read)
