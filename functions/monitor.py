"""Assess champions: the Lambda handler of the log's queue (SQS) and of the schedule."""

from typing import Any
from weakref import WeakKeyDictionary

from perennial.aws.handler import step_handler
from perennial.aws.queue import messages_by_model
from perennial.errors import PerennialError
from perennial.ports import ObjectStore, Ports
from perennial.steps import monitor
from perennial.steps.log_window import LogReader

# Kept between invocations: the log objects of the latest window, which never change.
_kept: WeakKeyDictionary[ObjectStore, LogReader] = WeakKeyDictionary()


def run(request: monitor.Request, ports: Ports) -> monitor.Findings:
    """Run the step with what is kept."""
    return monitor.run(request, ports, _kept.setdefault(ports.artifacts, LogReader(ports.artifacts)))


assess = step_handler(monitor.Request, run)


def handler(event: dict[str, Any], context: object, ports: Ports | None = None) -> dict[str, Any]:
    """Assess each model of the event once; the messages of one that fails, and no others, stay in the queue."""
    assessed: dict[str, Any] = {}
    failures: list[dict[str, str]] = []
    for model, messages in messages_by_model(event).items():
        try:
            assessed |= assess({"model": model}, context, ports)["assessed"]
        except PerennialError:
            if not messages:
                raise
            failures += [{"itemIdentifier": message} for message in messages]
    return {"assessed": assessed, "batchItemFailures": failures}
