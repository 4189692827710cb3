"""What the CLI tells of experiments: a model's side by side, and one with all that it logged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from infra.display import Markup, mark, table
from perennial.client import comparing
from perennial.definitions.learning import METRICS
from perennial.errors import NotFoundError
from perennial.ports import Ports
from perennial.records import ExperimentLog, Run


def list_experiments(
    ports: Ports, model: str, metric: str | None, limit: int
) -> tuple[list[dict[str, Any]], list[Table]]:
    """Return a model's experiments, the best first, as JSON and as a table.

    Parameters
    ----------
    metric : str or None
        By which they are sorted; None is the model's own. Those without it come last, the newest first.

    Raises
    ------
    NotFoundError
        There is no such model, or no experiment has logged the metric that is named.
    """
    definition = ports.definitions.model(model)
    found = comparing.experiments(ports, model)
    by = metric or definition.metric
    if metric and not any(metric in log.metrics for _, log in found):
        known = sorted({name for _, log in found for name in log.metrics})
        raise NotFoundError(f"no experiment on {model} has logged {metric!r}; they have {', '.join(known) or 'none'}")
    more = any(known.get(by, False) for known in METRICS.values())
    found.sort(key=lambda each: _rank(each[1], by, more))
    found = found[:limit]
    parameters = _names([log.parameters for _, log in found])
    metrics = [by, *(name for name in _names([log.metrics for _, log in found]) if name != by)]
    rows = []
    for run, log in found:
        line = comparing.row(run, log)
        values = [line.get(f"metrics.{name}") for name in metrics] + [line.get(f"params.{name}") for name in parameters]
        rows.append(
            (run.run_id[:8], mark(run.status), line["name"], *values, line["version"], _who(run), run.started_at)
        )
    columns = ["run", "", "name", *metrics, *parameters, "version", "by", "started"]
    return [_plain(comparing.row(run, log)) for run, log in found], [table(model, columns, rows)]


def show_experiment(ports: Ports, run: Run) -> tuple[dict[str, Any], list[Table | Markup]]:
    """Return what an experiment logged, as JSON and as what to print."""
    log = ports.catalog.experiment(run.subject, run.run_id)
    code = run.inputs.get("code", {})
    program = " ".join(str(code[name]) for name in ("program", "commit") if code.get(name))
    shown: list[Table | Markup] = [
        Markup(f"code     {escape(program)}{', changed since' if code.get('dirty') else ''}"),
        table(
            "", ["metric", "latest", "values"], [(name, value, log.points[name]) for name, value in log.metrics.items()]
        ),
        table("", ["parameter", "value"], list(log.parameters.items())),
    ]
    if log.artifacts:
        place = f"s3://{ports.artifacts.bucket}/"
        files = [(file.name, file.size, place + file.key) for file in log.artifacts]
        shown.append(table("", ["file", "bytes", "where"], files))
    if log.submitted:
        said = {True: "passed", False: "refused", None: "unknown"}
        models = [(each.version, said[each.passed], each.run_id) for each in log.submitted]
        shown.append(table("put before the gate", ["version", "and", "by run"], models))
    content = log.model_dump(mode="json", exclude={"run_id", "model"})
    return {**content, "metrics": _plain(log.metrics)}, shown


def _rank(log: ExperimentLog, metric: str, more: bool) -> tuple[bool, float]:
    value = log.metrics.get(metric, math.nan)
    return (not math.isfinite(value), 0.0 if not math.isfinite(value) else -value if more else value)


def _names(logged: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(name for each in logged for name in each))


def _who(run: Run) -> str:
    return run.trigger.source.rpartition(":")[2].rpartition("/")[2]


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return values without the numbers that JSON does not know."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }
