"""Let a version serve."""

from __future__ import annotations

from pydantic import BaseModel

from perennial.errors import ConflictError
from perennial.ports import Ports
from perennial.steps.recording import recorded


class Request(BaseModel):
    """Which version is to serve."""

    run_id: str
    model: str
    version: int


class Promotion(BaseModel):
    """What serves now."""

    model: str
    version: int
    previous: int | None
    """What served before."""


def run(request: Request, ports: Ports) -> Promotion:
    """Move the champion pointer from the version that serves now, and close the run.

    A version that served before is rolled back to. The gate's refusal stands unless a person asked.

    Raises
    ------
    NotFoundError
        There is no such version.
    ConflictError
        The gate refused the version, or another version was promoted in the same moment.
    """
    catalog = ports.catalog
    with recorded(ports, request.run_id, "promote") as output:
        version = catalog.version(request.model, request.version)
        trigger = catalog.run(request.run_id).trigger
        if version.stage == "refused" and trigger.kind != "person":
            raise ConflictError(
                f"version {version.version} of {version.model} was refused by the gate ({version.reason}); "
                "only a person may promote it"
            )
        serving = catalog.champion(request.model)
        champion = catalog.promote(
            request.model,
            request.version,
            expected=serving.version if serving else None,
            at=ports.clock.now(),
            by=request.run_id if trigger.kind == "run" else trigger.source,
            reason=trigger.reason,
            action="rollback" if version.stage == "archived" else "promote",
        )
        promotion = Promotion(model=champion.model, version=champion.version, previous=champion.previous)
        output.update(promotion.model_dump(mode="json"))
    catalog.finish_run(request.run_id, "succeeded", ports.clock.now(), outputs=promotion.model_dump(mode="json"))
    return promotion
