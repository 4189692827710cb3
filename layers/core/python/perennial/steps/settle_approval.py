"""Say what became of a version that was put before people: the record decides, whatever ended the waiting."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel

from perennial.errors import ConflictError
from perennial.ports import Ports
from perennial.records import Approval
from perennial.steps.recording import recorded


class Request(BaseModel):
    """Whose waiting has ended."""

    run_id: str
    model: str
    version: int


class Settled(BaseModel):
    """What follows."""

    model: str
    version: int
    approved: bool
    """Whether it is to be deployed."""
    sentence: str
    """Who decided what, when and why."""


def run(request: Request, ports: Ports) -> Settled:
    """Read the decision; if there is none, the time was up, and the version is refused.

    Who approves in the moment in which the time is up is heard: what is recorded first stands.

    Raises
    ------
    ConflictError
        It was never put before people.
    """
    with recorded(ports, request.run_id, "settle_approval") as output:
        approval = _settled(request, ports)
        settled = Settled(
            model=request.model,
            version=request.version,
            approved=approval.status == "approved",
            sentence=approval.sentence,
        )
        output.update(settled.model_dump(mode="json"))
    return settled


def _settled(request: Request, ports: Ports) -> Approval:
    known = ports.catalog.approval(request.model, request.version)
    if known is None:
        raise ConflictError(f"version {request.version} of {request.model} was not put before people")
    if known.status != "pending":
        return known
    reason = f"nobody approved it within {_length(known.until - known.asked_at)}"
    try:
        return ports.catalog.decide(
            request.model, request.version, "expired", ports.clock.now(), request.run_id, reason
        )
    except ConflictError:  # somebody decided in this very moment
        decided = ports.catalog.approval(request.model, request.version)
        if decided is None or decided.status == "pending":
            raise
        return decided


def _length(wait: timedelta) -> str:
    """Return a length of time in the largest unit that says it in a whole number: ``7 days``."""
    seconds = round(wait.total_seconds())
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}" + ("" if seconds == size else "s")
    return f"{seconds} seconds"
