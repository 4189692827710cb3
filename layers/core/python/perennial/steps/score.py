"""Predict a share of the rows of a bulk prediction's files, chunk by chunk."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pydantic import BaseModel, Field

from perennial.data.engine import DEFAULTS, Resources
from perennial.data.reading.sources import BLOCK
from perennial.ports import Ports
from perennial.steps.bulk.plans import read_plan
from perennial.steps.bulk.scoring import Share, score_files
from perennial.steps.recording import recorded


class Request(BaseModel):
    """Which share of which bulk prediction."""

    run_id: str
    model: str
    bulk_id: str
    jobs: int = Field(default=1, ge=1)
    """How many share the work."""
    index: int = Field(default=0, ge=0)
    """Which of them this is, from 0."""


class Scored(BaseModel):
    """What this one did."""

    run_id: str
    chunks: int
    """Chunks of its share, all of which are there now; it need not have made them."""


def run(request: Request, ports: Ports, *, resources: Resources = DEFAULTS, block: int = BLOCK) -> Scored:
    """Predict each chunk of the share that nobody has predicted yet.

    A chunk counts once its record is there, which is written last. So a step that is killed, is run again or is raced
    by itself goes on with what is missing, and leaves what one clean run leaves.

    Raises
    ------
    DataError
        A file as a whole cannot be read, or an object is not the one that was recorded.
    NotFoundError
        A file, or a table of a stored view, is gone.
    DefinitionError
        The request view's SQL fails on the rows.
    """
    step = "score" if request.jobs == 1 else f"score#{request.index:04d}"
    with recorded(ports, request.run_id, step) as output, tempfile.TemporaryDirectory() as folder:
        plan = read_plan(ports, request.model, request.bulk_id)
        share = Share(request.index, request.jobs)
        chunks = score_files(ports, plan, share, Path(folder), resources, block)
        scored = Scored(run_id=request.run_id, chunks=chunks)
        output.update(scored.model_dump(mode="json"))
    return scored
