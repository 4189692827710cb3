"""What the CLI does with a deployment, apart from how it is shown."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from infra.delivery_view import on_its_way
from infra.deployment import Deployment
from infra.display import table
from infra.labels import describe_names, labels
from infra.waiting import START_SECONDS, OnStep, follow_run, known_run, wait_until
from infra.watch import by_minute
from perennial import keys
from perennial.errors import NotFoundError
from perennial.ports import Catalog, Ports
from perennial.records import Run, Trigger

ROWS_PER_CALL = 500


def start_training(
    deployment: Deployment, model: str, reason: str, seconds: float | None, on_step: OnStep, no_cache: bool = False
) -> Run | dict[str, str]:
    """Start the training state machine for a person; returns its run, or only its id if ``seconds`` is None."""
    trigger = Trigger(kind="person", source=deployment.person, reason=reason, no_cache=no_cache)
    started = start_machine(deployment, "train", {"model": model}, trigger)
    return started if seconds is None else follow_started(deployment, started["run_id"], seconds, on_step)


def start_machine(
    deployment: Deployment, verb: str, about: Mapping[str, Any], reason: str | Trigger, run_id: str | None = None
) -> dict[str, str]:
    """Start a state machine for a person, who gives a reason; returns the id of the run that it will record."""
    return {"run_id": deployment.start(verb, about, reason, run_id)}


def start_forgetting(
    deployment: Deployment, dataset: str, values: Mapping[str, str], delete_uploads: bool, reason: str
) -> dict[str, str]:
    """Start to forget the rows in which all columns have these values; returns the run's id.

    The values go into an object, not into the state machine's input: logs of executions keep that.
    """
    run_id = str(uuid.uuid4())
    key = keys.forget_request(run_id)
    request = {"values": dict(values), "delete_uploads": delete_uploads}
    deployment.ports.artifacts.put(key, json.dumps(request).encode(), "application/json")
    return start_machine(deployment, "forget", {"dataset": dataset, "request_key": key}, reason, run_id)


def follow_started(deployment: Deployment, run_id: str, seconds: float, on_step: OnStep) -> Run:
    """Wait until a run that was just started is recorded, then until it is closed.

    Raises
    ------
    TransientError
        The run did not start, or not end in time.
    """
    catalog = deployment.ports.catalog
    wait_until(lambda: known_run(catalog, run_id), START_SECONDS, f"run {run_id}")
    return follow_run(catalog, run_id, seconds, on_step)


def predict_rows(
    deployment: Deployment, model: str, instances: Sequence[dict[str, Any]], version: int | str | None = None
) -> list[dict[str, Any]]:
    """Ask the API for predictions of any number of rows; each answer is one of the API's, with the version."""
    answers: list[dict[str, Any]] = []
    for chunk in _chunks(instances):
        answer = deployment.api.predict(model, chunk, version)
        answers += [{**one, "version": answer["version"]} for one in answer["predictions"]]
    return answers


def predictions_table(model: str, answers: Sequence[dict[str, Any]]) -> Table:
    """Return a table of predictions: values, or labels with their probabilities."""
    columns = {"prediction": "prediction_id", "version": "version", "value": "value"}
    if any("label" in answer for answer in answers):
        # The value of a condition is the probability that it holds, whatever the label.
        answers = [{**answer, "label": _plainly(answer["label"])} for answer in answers]
        name = "probability" if any("probabilities" in answer for answer in answers) else "probability of true"
        columns = {"prediction": "prediction_id", "version": "version", "label": "label", name: "value"}
    return table(model, list(columns), [[answer[key] for key in columns.values()] for answer in answers])


def _plainly(label: bool | str) -> str:
    return label if isinstance(label, str) else str(label).lower()


def send_labels(deployment: Deployment, model: str, labels: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Feed any number of labels back; returns how many were accepted, known already, and of no logged prediction."""
    total = {"accepted": 0, "duplicates": 0, "unlogged": 0}
    for chunk in _chunks(labels):
        answer = deployment.api.feedback(model, chunk)
        total = {key: total[key] + answer[key] for key in total}
    return total


def _chunks(rows: Sequence[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    for start in range(0, len(rows), ROWS_PER_CALL):
        yield rows[start : start + ROWS_PER_CALL]


def list_models(catalog: Catalog) -> tuple[list[dict[str, Any]], list[Table]]:
    """Return every model with its champion, as JSON and as a table."""
    content, rows = [], []
    for name in catalog.models():
        champion, versions = catalog.champion(name), catalog.versions(name)
        content.append(
            {
                "model": name,
                "champion": champion.model_dump(mode="json") if champion else None,
                "versions": len(versions),
            }
        )
        metrics = next((v.metrics for v in versions if champion and v.version == champion.version), {})
        rows.append((name, champion.version if champion else None, len(versions), _figures(metrics)))
    return content, [table("", ["model", "champion", "versions", "champion's metrics"], rows)]


def describe_model(ports: Ports, model: str) -> tuple[dict[str, Any], list[Table]]:
    """Return one model's versions with their names, what was changed, and assessments, as JSON and as tables."""
    catalog = ports.catalog
    versions = catalog.versions(model)
    if not versions:
        raise NotFoundError(f"model {model!r} has no version yet; see `perennial models` and `perennial runs`")
    champion, audit, assessments = (
        catalog.champion(model),
        catalog.audit(model),
        catalog.assessments(model, 500),
    )
    names = describe_names(ports, model)
    suspension = catalog.suspension(model)
    content = {
        "model": model,
        "champion": champion.model_dump(mode="json") if champion else None,
        "suspension": suspension.model_dump(mode="json") if suspension else None,
        "versions": [version.model_dump(mode="json") for version in versions],
        "audit": [entry.model_dump(mode="json") for entry in audit],
        "assessments": [assessment.model_dump(mode="json") for assessment in assessments[:10]],
        **names,
    }
    figures = [
        (v.version, v.stage, v.verdict.candidate, _figures(v.metrics), v.created_at, v.trigger.kind, v.reason,
         labels(v, names["aliases"]))
        for v in versions
    ]  # fmt: skip
    moves = [(e.at, e.action, e.version, e.previous, e.by, " ".join(filter(None, (e.detail, e.reason)))) for e in audit]
    waiting = [
        (a["version"], a["waits"], datetime.fromisoformat(a["until"]), a["report_key"]) for a in names["approvals"]
    ]
    seen = [
        (a.at, a.version, a.rows, a.labelled, a.performance_ratio, "yes" if a.attention else "", a.sentence)
        for a in by_minute(assessments)[:10]
    ]
    drift = ["seen at", "version", "rows", "labelled", "performance ratio", "attention", "what the monitor saw"]
    return content, [
        table(
            model,
            ["version", "stage", "candidate", "held-out metrics", "made", "trigger", "reason", "aliases, tags"],
            figures,
        ),
        *on_its_way(champion),
        *([table("waits for approval", ["version", "since", "until", "report"], waiting)] if waiting else []),
        table("what was changed", ["at", "action", "version", "before", "by", "what and why"], moves),
        *([table("what the monitor saw", drift, seen)] if seen else []),
    ]


def _figures(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:,.3f}" for name, value in metrics.items() if name != "n")


def read_logs(deployment: Deployment, function: str | None, since: datetime, grep: str | None) -> list[dict[str, Any]]:
    """Return log events of the deployment since a moment, oldest first: at, group, message."""
    client = deployment.client("logs")
    prefix = deployment.outputs["LogGroups"]
    lines: list[dict[str, Any]] = []
    for group in _pages(client, "describe_log_groups", "logGroups", logGroupNamePrefix=prefix):
        short = group["logGroupName"].removeprefix(prefix).strip("/")
        if function is not None and function not in short:
            continue
        events = _pages(
            client, "filter_log_events", "events",
            logGroupName=group["logGroupName"], startTime=int(since.timestamp() * 1000),
        )  # fmt: skip
        for event in events:
            if grep is None or grep in event["message"]:
                at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                lines.append({"at": at, "group": short, "message": event["message"].rstrip()})
    return sorted(lines, key=lambda line: line["at"])


def _pages(client: Any, operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page[key]
