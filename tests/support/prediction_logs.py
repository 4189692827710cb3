"""The way of a prediction to its log, without AWS: what was written is delivered at once."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable
from datetime import date
from typing import Any

from perennial.data.prediction_columns import LoggedRows, stack
from perennial.fakes import FakePredictionLog
from perennial.ports import Ports
from perennial.serving.ids import make_request_id
from perennial.serving.log_lines import StdoutPredictionLog
from perennial.serving.logged import LoggedRequest, LogPolicy
from perennial.steps import log_predictions
from perennial.steps.log_window import ANSWERED, LogReader, answered, groups_newest_first
from tests.support.artifacts import MODEL
from tests.support.records import AT

PROCESS = make_request_id(AT, bytes([255] * 10))


def a_request(**changes: Any) -> LoggedRequest:
    """Return a request of one row that version 1 of the example answered."""
    example: dict[str, Any] = {
        "model": MODEL,
        "version": 1,
        "request_id": make_request_id(AT, bytes(10)),
        "at": AT,
        "route": "champion",
        "milliseconds": 1.5,
        "inputs": {"trip_distance": [10.0]},
        "features": [[10.0, 8.0, 1.0, float("nan")]],
        "values": [28.0],
        "policy": LogPolicy(),
    }
    return LoggedRequest(**{**example, **changes})


def lines_of(requests: Iterable[LoggedRequest], process: str = PROCESS) -> list[str]:
    """Return what a process prints of requests."""
    stream = io.StringIO()
    log = StdoutPredictionLog(lambda: stream, lambda: process)
    for request in requests:
        log.write(request)
    return stream.getvalue().splitlines()


def deliver(ports: Ports) -> log_predictions.Logged:
    """Put what was written since the last call into the log."""
    assert isinstance(ports.log, FakePredictionLog)
    written, ports.log.requests = ports.log.requests, []
    return log_predictions.run(log_predictions.Request(lines=lines_of(written)), ports)


def logged(ports: Ports, until: date, version: int = 1, routes: Collection[str] = ANSWERED) -> LoggedRows:
    """Return what a version answered by these routes, the latest first."""
    reader = LogReader(ports.artifacts)
    groups = list(groups_newest_first(reader, MODEL, version, AT.date(), until))
    return stack([answered(table, routes) for table in reader.tables(groups)])
