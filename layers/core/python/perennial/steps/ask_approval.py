"""Put a version that passed the gate before people, and let the execution wait for what they say."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, SecretStr

from perennial.ports import Ports
from perennial.records import Approval
from perennial.steps.recording import recorded


class Request(BaseModel):
    """Which version waits, and by which secret the execution that waits is told."""

    run_id: str
    model: str
    version: int
    approval_seconds: int
    """How long the execution waits; then it counts as rejected."""
    token: SecretStr


class Asked(BaseModel):
    """What is recorded of the question."""

    model: str
    version: int
    until: str
    """When it counts as rejected, in ISO 8601."""


def run(request: Request, ports: Ports) -> Asked:
    """Record the question with the token, and move the version to ``staging``.

    Asked again while nobody has decided, it keeps the question and takes the new token.

    Raises
    ------
    NotFoundError
        There is no such version.
    ConflictError
        Somebody has decided already, or the version is no candidate any more; `settle_approval` says what follows.
    """
    with recorded(ports, request.run_id, "ask_approval") as output:
        version = ports.catalog.version(request.model, request.version)
        now = ports.clock.now()
        approval = Approval(
            model=request.model,
            version=request.version,
            run_id=request.run_id,
            asked_at=now,
            until=now + timedelta(seconds=request.approval_seconds),
            metrics=version.metrics,
            report_key=version.verdict.report_key,
        )
        known = ports.catalog.request_approval(approval, request.token.get_secret_value())
        asked = Asked(model=known.model, version=known.version, until=known.until.isoformat())
        output.update(asked.model_dump(mode="json"))
    return asked
