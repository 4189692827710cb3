"""What the CLI tells of runs: which there were, and of one its steps and the rows that it rejected."""

from __future__ import annotations

import json
from typing import Any

from rich.markup import escape
from rich.table import Table

from infra.delivery_view import phases_seen
from infra.display import Markup, describe_run, mark, table
from infra.experiments import show_experiment
from infra.search_view import search_progress
from perennial import keys
from perennial.errors import NotFoundError
from perennial.ports import Catalog, Ports
from perennial.records import Run, StepRecord


def list_runs(catalog: Catalog, limit: int, kind: str | None, subject: str | None) -> tuple[list[Any], Table]:
    """Return the latest runs, as JSON and as a table."""
    found = catalog.runs(limit, kind, subject)
    rows = [
        (run.run_id[:13], run.kind, run.subject, mark(run.status), run.started_at, run.trigger.kind, describe_run(run))
        for run in found
    ]
    columns = ["run", "kind", "subject", "", "started", "trigger", "what came of it"]
    return [run.model_dump(mode="json") for run in found], table("", columns, rows)


def show_run(ports: Ports, run_id: str, rejected: int) -> tuple[dict[str, Any], list[Table | Markup]]:
    """Return one run with its steps and the first rows that it rejected, as JSON and as what to print.

    Raises
    ------
    NotFoundError
        No run, or more than one, has that id or begins with it.
    """
    run = find_run(ports.catalog, run_id)
    steps = ports.catalog.steps(run.run_id)
    quarantine = _quarantine(ports, run, steps, rejected)
    content = {**run.model_dump(mode="json"), "steps": [s.model_dump(mode="json") for s in steps]}
    head = escape(f"{describe_run(run)}\nid       {run.run_id}\ntrigger  {run.trigger.kind}: {run.trigger.source}")
    lines = [(s.step, mark(s.status), s.started_at, _seconds(s), s.error or s.why) for s in steps]
    shown: list[Table | Markup] = [
        Markup(f"{run.kind} {escape(run.subject)} {mark(run.status)} {head} {escape(run.trigger.reason)}"),
        table("", ["step", "", "started", "seconds", "why, or what went wrong"], lines),
        *search_progress(next((s.output for s in steps if s.step == "search"), {})),
        *phases_seen(ports, run, steps),
        *_what_it_used(run, steps),
    ]
    if run.kind == "experiment":
        logged, more = show_experiment(ports, run)
        return {**content, **logged}, [shown[0], *more]
    if quarantine is None:
        return content, shown
    reasons = table("rejected rows", ["broken", "rows"], quarantine["rejected_by"].items())
    rows = [(str(row["line"]), row["reason"], row["raw"]) for row in quarantine["rows"]]
    shown += [
        reasons,
        table(f"the first {len(rows)} of {quarantine['rejected']}", ["line", "reason", "row"], rows),
        Markup(escape(f"all of them: {quarantine['location']}")),
    ]
    return {**content, "quarantine": quarantine}, shown


def _what_it_used(run: Run, steps: list[StepRecord]) -> list[Table]:
    """Return what a run was given, what came of it, and how its candidates did, as far as there is any."""
    shown = [
        table(title, [title, "value"], [(name, _brief(value)) for name, value in values.items()])
        for title, values in (("input", run.inputs), ("output", run.outputs))
        if values
    ]
    trained = [(s.step.removeprefix("train#"), s.output) for s in steps if "onnx_sha256" in s.output]
    if trained:
        figures = [
            (name, _brief(output.get("parameters", {})), _brief(output["metrics"]), output["onnx_sha256"][:12])
            for name, output in trained
        ]
        shown.append(table("", ["candidate", "parameters", "held-out metrics", "ONNX"], figures))
    return shown


def _brief(value: Any) -> str:
    """Return a JSON value in a line: of many only how many there are."""
    if isinstance(value, list) and len(value) > 3:
        return f"{len(value):,}, from {_brief(value[0])} to {_brief(value[-1])}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_brief(each)}" for name, each in value.items())
    if isinstance(value, float):
        return f"{value:,.4g}"
    return ", ".join(map(_brief, value)) if isinstance(value, list) else str(value)


def find_run(catalog: Catalog, run_id: str) -> Run:
    """Return the run of an id or of its first characters."""
    try:
        return catalog.run(run_id)
    except NotFoundError:
        found = [run for run in catalog.runs(limit=1000) if run.run_id.startswith(run_id)]
        if len(found) != 1:
            what = "no run begins" if not found else f"{len(found)} runs begin"
            raise NotFoundError(f"{what} with {run_id!r}; see `perennial runs`") from None
        return found[0]


def _seconds(step: StepRecord) -> float | None:
    return (step.ended_at - step.started_at).total_seconds() if step.ended_at else None


def _quarantine(ports: Ports, run: Run, steps: list[StepRecord], rejected: int) -> dict[str, Any] | None:
    """Return where an ingest run's rejected rows are, how many broke what, and the first of them; None without any."""
    output = next((step.output for step in steps if step.step == "ingest"), {})
    snapshot_id = output.get("snapshot_id")
    if run.kind != "ingest" or not isinstance(snapshot_id, str):
        return None
    try:
        report = json.loads(ports.artifacts.get(keys.ingest_report(run.subject, snapshot_id)))
    except NotFoundError:  # the file was refused as a whole
        return None
    if not report["rejected"]:
        return None
    key = keys.quarantine(run.subject, snapshot_id)
    rows = ports.artifacts.get(key).decode().split("\n")[: min(rejected, report["rejected"])]
    return {
        "location": f"s3://{ports.artifacts.bucket}/{key}",
        "rejected": report["rejected"],
        "rejected_by": report["rejected_by"],
        "rows": [json.loads(row) for row in rows],
    }
