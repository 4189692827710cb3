"""State machines as in AWS: a nested execution fails the task, and what a task waits for ends with it.

The emulator gives a failed child's own error name to the parent, where AWS gives ``States.TaskFailed`` and
the child's description as the cause; an aborted or timed out task leaves its child running; and so does a
stopped execution with the items of its Distributed Map.
"""

from __future__ import annotations

import contextvars
import json
import time
from collections.abc import Mapping
from typing import Any

_POLL_SECONDS = 0.05
_task: contextvars.ContextVar[tuple[Mapping[str, Any], float] | None] = contextvars.ContextVar("task", default=None)


def task_is_over() -> bool:
    """Return whether the task this code works for was aborted or has timed out, so its work should end."""
    current = _task.get()
    if current is None:
        return False
    execution, deadline = current
    return _is_over(execution) or time.monotonic() > deadline


def _is_over(execution: Mapping[str, Any]) -> bool:
    """Return whether an execution has ended, or, of an item of a Distributed Map, that whose map it is."""
    from ministack.services import stepfunctions

    map_run = stepfunctions._map_runs.get(execution.get("mapRunArn"))
    whole = stepfunctions._executions.get(map_run["executionArn"]) if map_run else None
    return execution["status"] != "RUNNING" or (whole is not None and whole["status"] != "RUNNING")


def pascal(value: Any) -> Any:
    """Return a JSON value with the key style of Step Functions: ``jobId`` becomes ``JobId``."""
    if isinstance(value, dict):
        return {
            key[:1].upper() + key[1:]: inner if key in ("parameters", "tags", "options") else pascal(inner)
            for key, inner in value.items()
        }
    return [pascal(inner) for inner in value] if isinstance(value, list) else value


def _run_nested(resource: str, request: Mapping[str, Any]) -> dict[str, Any]:
    from ministack.services import stepfunctions

    status, _, body = stepfunctions._start_execution(stepfunctions._nested_start_execution_request(request))
    started = json.loads(body)
    if status >= 400:
        name = started.get("__type", "SfnException")
        raise stepfunctions._ExecutionError(f"StepFunctions.{name}", started.get("message", ""))
    arn = started["executionArn"]
    execution = stepfunctions._executions[arn]
    while execution["status"] == "RUNNING":
        if task_is_over():
            stepfunctions._stop_execution({"executionArn": arn, "cause": "the parent execution has ended"})
        time.sleep(_POLL_SECONDS)
    names = ("executionArn", "input", "inputDetails", "name", "startDate", "stateMachineArn", "status", "stopDate")
    described = {key: execution.get(key) for key in names}
    if execution["status"] != "SUCCEEDED":
        described |= {"error": execution.get("error"), "cause": execution.get("cause")}
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(pascal(described)))
    output = execution.get("output") or "{}"
    result: dict[str, Any] = pascal(described | {"outputDetails": {"included": True}})
    return result | {"Output": json.loads(output) if resource.endswith(".sync:2") else output}


def patch() -> None:
    """Install nested executions, and tell a task's work when the task is over."""
    from ministack.services import stepfunctions

    execute = stepfunctions._execute_task
    limited = stepfunctions._invoke_resource_with_timeout

    def execute_task(state: Any, raw_input: Any, execution: Any, context: Any) -> Any:
        if execution.get("mapRunArn") and _is_over(execution):
            raise stepfunctions._ExecutionError("States.Aborted", "the execution was stopped")
        token = _task.set((execution, float("inf")))
        try:
            return execute(state, raw_input, execution, context)
        finally:
            _task.reset(token)

    def invoke_with_timeout(resource: str, request: Any, timeout: float) -> Any:
        current = _task.get()
        token = _task.set((current[0], time.monotonic() + float(timeout))) if current else None
        try:
            return limited(resource, request, timeout)
        finally:
            if token:
                _task.reset(token)

    stepfunctions._execute_task = execute_task
    stepfunctions._invoke_resource_with_timeout = invoke_with_timeout
    stepfunctions._invoke_nested_start_execution_sync = _run_nested
