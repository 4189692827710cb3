"""Experiments side by side, and what one of them logged."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from perennial import keys
from perennial.errors import NotFoundError
from perennial.ports import Ports
from perennial.records import ExperimentLog, Run

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ("run_id", "name", "status", "person", "started_at", "seconds", "commit", "dirty", "version")
"""What a comparison tells of any experiment."""
MANY = 10_000
"""Experiments of a model that are looked at, the newest."""


def experiments(ports: Ports, model: str) -> list[tuple[Run, ExperimentLog]]:
    """Return a model's experiments with what they logged, the newest first."""
    logs = {log.run_id: log for log in ports.catalog.experiments(model)}
    runs = ports.catalog.runs(MANY, kind="experiment", subject=model)
    return [(run, logs[run.run_id]) for run in runs if run.run_id in logs]


def row(run: Run, log: ExperimentLog) -> dict[str, Any]:
    """Return one line of a comparison: who, when and how, then ``params.…`` and ``metrics.…``."""
    code = run.inputs.get("code", {})
    versions = [entry.version for entry in log.submitted if entry.version is not None]
    told = (
        run.run_id,
        run.inputs.get("name", ""),
        run.status,
        run.trigger.source,
        run.started_at,
        (run.ended_at - run.started_at).total_seconds() if run.ended_at else None,
        code.get("commit"),
        code.get("dirty"),
        versions[-1] if versions else None,
    )
    return {
        **dict(zip(COLUMNS, told, strict=True)),
        **{f"params.{name}": value for name, value in log.parameters.items()},
        **{f"metrics.{name}": value for name, value in log.metrics.items()},
    }


def outputs(log: ExperimentLog) -> dict[str, Any]:
    """Return what the run of an experiment came to: the latest metrics, but those that are no finite numbers."""
    return {"metrics": {name: value for name, value in log.metrics.items() if math.isfinite(value)}}


def points(ports: Ports, log: ExperimentLog) -> list[dict[str, Any]]:
    """Return all values of an experiment's metrics in the order in which they were logged."""
    found: list[dict[str, Any]] = []
    for chunk in range(log.chunks):
        content = ports.artifacts.get(keys.experiment_points(log.model, log.run_id, chunk))
        found += [json.loads(line) for line in content.splitlines()]
    return found


def fetch(ports: Ports, log: ExperimentLog, name: str, path: Path) -> Path:
    """Copy a file that an experiment logged to a path, having made sure that it is that file."""
    from perennial.steps.verified import download_verified

    for file in log.artifacts:
        if file.name == name:
            return download_verified(ports.artifacts, file.key, file.sha256, path)
    known = ", ".join(file.name for file in log.artifacts) or "none"
    raise NotFoundError(f"experiment {log.run_id} has no file {name!r}; it has {known}")
