"""Record that a run failed, and let go of what it held."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel

from perennial.errors import DataError
from perennial.ports import Metric, Ports
from perennial.records import Run, Trigger
from perennial.steps.admit import claim_name
from perennial.steps.backfill import close_part

_ENDED_FROM_OUTSIDE = {
    "ABORTED": "the execution was stopped before it was done",
    "TIMED_OUT": "the execution took longer than its state machine allows",
}
"""Status of an execution that no state of its own could catch, in words."""
_LONGEST = 500
"""Characters of a state machine's cause that are kept, where nothing better says what happened."""


class Request(BaseModel):
    """What the state machine caught, or how its execution was ended from outside."""

    run_id: str
    kind: Literal["ingest", "backfill", "forget", "train", "deploy", "rebuild", "batch_predict"]
    subject: str | None = None
    """The dataset (ingest, backfill, forget) or the model (all others); None means that ``input`` tells."""
    input: str | None = None
    """The execution's input, or what became of it, as JSON, where the subject is not given."""
    error: str = "Unknown"
    """Name of the error, such as ``DataError``, or the status of an execution that was ended from outside."""
    cause: str = ""
    """A sentence, or JSON of the failed Lambda invocation or Batch job."""
    trigger: Trigger | None = None
    """Who or what started the run, should it not have been recorded."""


class Failure(BaseModel):
    """Which run was closed."""

    run_id: str


def run(request: Request, ports: Ports) -> Failure:
    """Close the run as failed, with the sentence of the step that failed, and release its model's lock.

    A run that is closed already stays as it is; one that was never recorded is recorded first.

    Raises
    ------
    DataError
        Neither the request nor its input says what the run is about.
    """
    now = ports.clock.now()
    subject = request.subject or _subject(request)
    ports.catalog.start_run(
        Run(
            run_id=request.run_id,
            kind=request.kind,
            subject=subject,
            status="running",
            trigger=request.trigger
            or Trigger(kind="run", source=request.run_id, reason="failed before it was recorded"),
            started_at=now,
            code_version=ports.code_version,
        )
    )
    sentence = _step_sentence(ports, request.run_id) or _cause_sentence(request.error, request.cause)
    for step in ports.catalog.steps(request.run_id):
        if step.status == "running":  # it was killed: by its timeout, by a lack of memory
            ports.catalog.record_step(step.model_copy(update={"status": "failed", "ended_at": now, "error": sentence}))
            if request.kind == "backfill":
                close_part(ports, request.run_id, subject, step.step, sentence)
    ports.catalog.finish_run(request.run_id, "failed", now, error=sentence)
    if request.kind == "ingest" and subject in ports.definitions.datasets:  # else anybody's file made a metric
        about = {"Deployment": ports.deployment, "Dataset": subject}
        ports.metrics.put([Metric("UploadsFailed", 1.0, about)], now)
    if request.kind == "deploy":
        # Nobody would look at it any more. It was not found wanting, so it stays what it was.
        ports.catalog.withdraw_challenger(subject, request.run_id, now, request.run_id, f"its run failed: {sentence}")
    if request.kind == "train":
        ports.catalog.release(claim_name(subject), request.run_id)
    return Failure(run_id=request.run_id)


def _subject(request: Request) -> str:
    """Return what an execution is about, from its input."""
    try:
        given = json.loads(request.input or "{}")
        if request.kind == "ingest":
            return str(given["key"]).partition("/")[0]
        if request.kind == "batch_predict":
            return str(given["model"] or given["upload"]["key"].split("/")[1])
        return str(given["model" if request.kind in ("train", "deploy", "rebuild") else "dataset"])
    except (ValueError, KeyError, TypeError, IndexError):
        raise DataError(f"the input of execution {request.run_id} does not say what it is about") from None


def _step_sentence(ports: Ports, run_id: str) -> str:
    """Return what the latest failed step recorded of its failure; empty if none did."""
    failed = [step for step in ports.catalog.steps(run_id) if step.status == "failed" and step.error]
    return f"{failed[-1].step}: {failed[-1].error}" if failed else ""


def _cause_sentence(error: str, cause: str) -> str:
    """Turn what the state machine caught into one line."""
    try:
        parsed: Any = json.loads(cause)
    except ValueError:
        parsed = None
    details = parsed if isinstance(parsed, dict) else {}
    container = details.get("Container") if isinstance(details.get("Container"), dict) else {}
    if error in _ENDED_FROM_OUTSIDE:
        return _ENDED_FROM_OUTSIDE[error]
    said = (
        details.get("errorMessage")  # Lambda
        or (container or {}).get("Reason")  # Batch: why the container ended, such as OutOfMemoryError
        or details.get("StatusReason")  # Batch: why the job ended
        or cause[:_LONGEST]
    )
    return f"{error}: {said}" if said else error
