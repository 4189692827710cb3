"""Tasks that wait for a token, as in AWS: a function that fails fails its task, and the time to wait may be a path.

The emulator goes on waiting when the function failed that was to pass the token on, knows no ``TimeoutSecondsPath``,
and leaves the task waiting when its execution was stopped.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from infra.local.machines import task_is_over

_POLL_SECONDS = 0.1
_FOREVER = 99_999_999


def timed(state: dict[str, Any], given: Any, context: Any) -> dict[str, Any]:
    """Return a task with its ``TimeoutSeconds``, where it names a path of them."""
    from ministack.services import stepfunctions

    if "TimeoutSecondsPath" not in state:
        return state
    found = stepfunctions._resolve_path_or_ctx(state["TimeoutSecondsPath"], given, context)
    if not isinstance(found, int) or found <= 0:
        raise stepfunctions._ExecutionError("States.Runtime", f"TimeoutSecondsPath gives {found!r}, no whole number")
    return {**state, "TimeoutSeconds": found}


def _wait(resource: str, request: dict[str, Any], token: str, state: dict[str, Any]) -> Any:
    """Call the function, then wait until somebody sends what became of the task."""
    from ministack.services import stepfunctions

    told = threading.Event()
    task: dict[str, Any] = {"event": told, "result": None, "error": None, "heartbeat": None}
    stepfunctions._task_tokens[token] = task
    deadline = time.monotonic() + state.get("TimeoutSeconds", _FOREVER)
    try:
        name = stepfunctions._resolve_lambda_function_ref(request["FunctionName"], optimized=True)
        stepfunctions._call_lambda(name, request.get("Payload", {}))
        while not told.wait(_POLL_SECONDS):
            if task_is_over():
                raise stepfunctions._ExecutionError("States.Aborted", "the execution was stopped")
            if time.monotonic() > deadline:
                raise stepfunctions._ExecutionError("States.Timeout", "nobody answered in time")
    finally:
        stepfunctions._task_tokens.pop(token, None)
    if task["error"]:
        raise stepfunctions._ExecutionError(task["error"]["Error"], task["error"]["Cause"])
    return json.loads(task["result"])


def patch() -> None:
    """Install both."""
    from ministack.services import stepfunctions

    execute, wait = stepfunctions._execute_task, stepfunctions._invoke_with_callback

    def execute_timed(state: Any, given: Any, execution: Any, context: Any) -> Any:
        return execute(timed(state, given, context), given, execution, context)

    def invoke(resource: str, request: Any, token: str, state: Any) -> Any:
        through = _wait if "states:::lambda:invoke" in resource else wait
        return through(resource, request, token, state)

    stepfunctions._execute_task = execute_timed
    stepfunctions._invoke_with_callback = invoke
