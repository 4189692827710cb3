"""Begin to ingest everything that was uploaded to a dataset; and what one file of a backfill writes down."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pydantic import BaseModel

from perennial.errors import NotFoundError
from perennial.ports import Ports
from perennial.records import Trigger
from perennial.steps.recording import begun, recorded

PART = "ingest#"
"""How the steps of a backfill begin that ingested one file each."""
_LONGEST = 400
"""Bytes of a file's key in its step's name; the catalog's keys have 1,024."""


class Request(BaseModel):
    """Whose uploads, and why."""

    run_id: str
    dataset: str
    trigger: Trigger


class Begun(BaseModel):
    """The run that was recorded."""

    run_id: str
    dataset: str


def run(request: Request, ports: Ports) -> Begun:
    """Record the run; the state machine then lists the uploads and ingests each.

    Raises
    ------
    NotFoundError
        There is no such dataset.
    """
    begun(ports, "backfill", request.run_id, request.dataset, request.trigger)
    with recorded(ports, request.run_id, "backfill"):
        ports.definitions.dataset(request.dataset)
    return Begun(run_id=request.run_id, dataset=request.dataset)


def part_name(key: str) -> str:
    """Return the name of the step by which a backfill remembers a file: its key, or the beginning of a long one."""
    name = key.partition("/")[2]
    content = name.encode()
    if len(content) > _LONGEST:
        name = f"{content[:_LONGEST].decode(errors='ignore')}…{hashlib.sha256(content).hexdigest()[:16]}"
    return PART + name


def part_run(backfill: str, key: str) -> str:
    """Return the id of the run that ingests one file of a backfill, as the state machine makes it."""
    return f"{hashlib.sha1(key.encode(), usedforsecurity=False).hexdigest()}-{backfill}"


@contextmanager
def recorded_part(ports: Ports, backfill: str, run_id: str, key: str) -> Iterator[dict[str, Any]]:
    """Record one file's ingestion on the backfill's run, and close the file's own run once it has succeeded.

    Parameters
    ----------
    ports : Ports
        Whose catalog and clock are used.
    backfill, run_id : str
        The backfill's run and the file's own.
    key : str
        The file's key.

    Yields
    ------
    dict
        To be filled with what came of the file.
    """
    with recorded(ports, backfill, part_name(key)) as output:
        output["run_id"] = run_id
        yield output
    ports.catalog.finish_run(run_id, "succeeded", ports.clock.now(), outputs=output)


def close_part(ports: Ports, backfill: str, dataset: str, step: str, sentence: str) -> None:
    """Close the run of a file that a backfill was at when it ended; its other steps have no such run."""
    if step.startswith(PART):
        run_id = part_run(backfill, f"{dataset}/{step.removeprefix(PART)}")
        with suppress(NotFoundError):  # it was not recorded yet, or its key is too long for the step's name
            ports.catalog.finish_run(run_id, "failed", ports.clock.now(), error=sentence)
