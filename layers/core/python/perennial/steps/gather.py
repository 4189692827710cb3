"""Say what a backfill came to: how many files were ingested, and how many were refused."""

from __future__ import annotations

from pydantic import BaseModel

from perennial.ports import Ports
from perennial.records import StepRecord
from perennial.steps.backfill import PART
from perennial.steps.recording import recorded
from perennial.steps.sizes import bytes_behind_views


class Request(BaseModel):
    """Which backfill."""

    run_id: str
    dataset: str


class Gathered(BaseModel):
    """What came of all files."""

    run_id: str
    dataset: str
    uploads: int
    """Files that were looked at."""
    refused: int
    """Files that were not ingested; each has a run of its own that says why."""
    rows: int
    rejected: int
    published: bool
    """Whether any file changed the dataset."""
    dataset_bytes: int
    """Of the snapshots that its views read."""


def run(request: Request, ports: Ports) -> Gathered:
    """Add up what the files' steps recorded; a file whose step was killed counts as refused."""
    with recorded(ports, request.run_id, "gather") as output:
        parts = [step for step in ports.catalog.steps(request.run_id) if step.step.startswith(PART)]
        done = [step.output for step in parts if step.status == "succeeded"]
        for step in parts:
            if step.status == "running":
                _close(ports, step)
        gathered = Gathered(
            run_id=request.run_id,
            dataset=request.dataset,
            uploads=len(parts),
            refused=len(parts) - len(done),
            rows=sum(int(one["rows"]) for one in done),
            rejected=sum(int(one["rejected"]) for one in done),
            published=any(one["published"] for one in done),
            dataset_bytes=bytes_behind_views(ports, request.dataset),
        )
        output.update(gathered.model_dump(mode="json"))
    return gathered


def _close(ports: Ports, step: StepRecord) -> None:
    """Close the record of a file whose step was killed: by its timeout, by a lack of memory."""
    ending = {"status": "failed", "ended_at": ports.clock.now(), "error": "it was killed; see the file's own run"}
    ports.catalog.record_step(step.model_copy(update=ending))
