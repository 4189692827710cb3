"""Assess champions: the Lambda handler of the log's queue (SQS) and of the schedule."""

from functools import cache
from typing import Any

from perennial.aws.handler import step_handler
from perennial.aws.queue import models_of
from perennial.ports import ObjectStore, Ports
from perennial.steps import monitor
from perennial.steps.log_window import LogReader


@cache
def reader(artifacts: ObjectStore) -> LogReader:
    """Return what is kept between invocations: the log objects of the latest window."""
    return LogReader(artifacts)


def run(request: monitor.Request, ports: Ports) -> monitor.Findings:
    """Run the step with what is kept."""
    return monitor.run(request, ports, reader(ports.artifacts))


assess = step_handler(monitor.Request, run)


def handler(event: dict[str, Any], context: object, ports: Ports | None = None) -> dict[str, Any]:
    """Assess the models that the event is about; each once, however many notifications it holds."""
    findings = [assess({"model": model}, context, ports) for model in models_of(event)]
    return {"assessed": {model: found for finding in findings for model, found in finding["assessed"].items()}}
