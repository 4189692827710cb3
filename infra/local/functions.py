"""Functions as in AWS: an exception keeps its class name, and layers are found under ``/opt``.

The emulator reports every exception as ``Runtime.HandlerError``, so a state machine cannot retry on
``TransientError``, and it ends the worker, so the next call is a cold start; a process that was killed has that name
too. It unpacks layers next to
the code and tells nobody where: an environment variable that points into ``/opt`` points at nothing.
"""

from __future__ import annotations

import threading
from typing import Any

from infra.local.subscriptions import END

# In the worker, once its environment is complete: the last layer wins, as when layers are laid over each other; and the
# emulator's own settings are not the function's (a logger would take LOG_LEVEL for its own).
_LAYERS = """
    def _in_layer(value):
        for _dir in reversed(os.environ.get("_LAMBDA_LAYERS_DIRS", "").split(os.pathsep)):
            _found = os.path.join(_dir, value[len("/opt"):].lstrip("/")) if _dir else ""
            if _found and os.path.exists(_found):
                return _found.rstrip("/")
        return value
    for _name, _value in list(os.environ.items()):
        if any(_part == "/opt" or _part.startswith("/opt/") for _part in _value.split(":")):
            os.environ[_name] = ":".join(_in_layer(_part) if _part == "/opt" or _part.startswith("/opt/") else _part
                                         for _part in _value.split(":"))
    for _name in ("AUTH", "BIND_HOST", "DOCKER_HOST", "GATEWAY_PORT", "IOT_MTLS_ENABLED", "LOG_LEVEL", "S3_DATA_DIR",
                  "SFTP_ENABLED", "STATE_DIR"):
        if _name not in env:
            os.environ.pop(_name, None)
    os.environ.setdefault("AWS_LAMBDA_RUNTIME_API", "127.0.0.1")
"""

_FAILED = 'json.dumps({"status": "error", "error": str(e), "trace": traceback.format_exc()})'
_RAISED = (
    'json.dumps({"status": "ok", "raised": {"errorType": type(e).__name__, "errorMessage": str(e), '
    '"requestId": context.aws_request_id, "stackTrace": traceback.format_tb(e.__traceback__)[1:]}})'
)
_INIT_FAILED = 'json.dumps({"status": "error", "error": str(e)})'
_INIT_RAISED = (
    'json.dumps({"status": "error", "error": type(e).__name__ + ": " + str(e) + "\\n" + traceback.format_exc()})'
)
_ANSWERED = "        _real_stdout.flush()\n\nrun()"
_ENDED = f"        sys.stderr.write({END!r} + '\\n')\n        sys.stderr.flush()\n{_ANSWERED}"
_ENVIRONMENT = "    os.environ.update(env)\n"

_INIT_PREFIX = "Worker init failed: "
_DIED = ("Worker process died", "Worker returned no response")


def worker_script(script: str) -> str:
    """Return the emulator's worker script with layers in ``/opt`` and errors under their own name.

    Raises
    ------
    RuntimeError
        If the emulator's script is no longer the one these changes were written for.
    """
    changes = ((_ENVIRONMENT, _ENVIRONMENT + _LAYERS), (_FAILED, _RAISED), (_INIT_FAILED, _INIT_RAISED))
    for old, new in (*changes, (_ANSWERED, _ENDED)):
        if script.count(old) != 1:
            raise RuntimeError("the emulator's Python worker has changed: revise infra/local/functions.py")
        script = script.replace(old, new)
    return script


def patch() -> None:
    """Install the changed worker and give a failed call the error AWS would give it."""
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    lambda_runtime._PYTHON_WORKER_SCRIPT = worker_script(lambda_runtime._PYTHON_WORKER_SCRIPT)
    last = threading.local()  # a call and its answer stay on one thread
    invoke, execute = lambda_runtime.Worker.invoke, lambda_svc._execute_function_warm

    def remembered(worker: Any, *arguments: Any, **options: Any) -> Any:
        last.response = None
        last.response = invoke(worker, *arguments, **options)
        return last.response

    def executed(func: Any, event: Any, request_id: str) -> dict[str, Any]:
        last.response = None
        answer: dict[str, Any] = execute(func, event, request_id)
        raised = (last.response or {}).get("raised")
        if raised is not None:
            trace = "".join(raised["stackTrace"])
            message = (
                f"[ERROR] {raised['errorType']}: {raised['errorMessage']}\nTraceback (most recent call last):\n{trace}"
            )
            return {"body": raised, "error": True, "log": "\n".join(filter(None, [answer.get("log"), message]))}
        body = answer.get("body")
        if answer.get("error") and isinstance(body, dict) and body.get("errorMessage") in _DIED:
            message = f"RequestId: {request_id} Error: Runtime exited with error: signal: killed"
            return {**answer, "body": {"errorType": "Runtime.ExitError", "errorMessage": message}}
        if (
            answer.get("error")
            and isinstance(body, dict)
            and str(body.get("errorMessage", "")).startswith(_INIT_PREFIX)
        ):
            first, _, trace = body["errorMessage"].removeprefix(_INIT_PREFIX).partition("\n")
            return {
                "body": {"errorType": "Runtime.ImportModuleError", "errorMessage": first, "requestId": request_id},
                "error": True,
                "log": f"[ERROR] Runtime.ImportModuleError: {first}\n{trace}",
            }
        return answer

    lambda_runtime.Worker.invoke = remembered
    lambda_svc._execute_function_warm = executed


def stop() -> None:
    """End every function's process."""
    from ministack.core import lambda_runtime

    lambda_runtime.reset()
