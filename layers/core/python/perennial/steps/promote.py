"""Let a version serve."""

from __future__ import annotations

from pydantic import BaseModel

from perennial.errors import ConflictError
from perennial.ports import Ports
from perennial.records import Champion, ModelVersion, Run
from perennial.steps.recording import recorded


class Request(BaseModel):
    """Which version is to serve."""

    run_id: str
    model: str
    version: int


class Promotion(BaseModel):
    """The movement of the pointer that the run made."""

    model: str
    version: int
    previous: int | None
    """What served before."""


def run(request: Request, ports: Ports) -> Promotion:
    """Move the champion pointer from the version that serves now, and close the run.

    A version that served before is rolled back to. Unless a person asked, the gate's refusal stands, and so does a
    newer version. A run moves the pointer once: what was decided after it moved is not undone by a repetition.

    Raises
    ------
    NotFoundError
        There is no such version.
    ConflictError
        The gate refused the version, a newer one serves, or another version was promoted in the same moment.
    """
    catalog = ports.catalog
    with recorded(ports, request.run_id, "promote") as output:
        deploy_run = catalog.run(request.run_id)
        version = catalog.version(request.model, request.version)
        promotion = _made_already(ports, deploy_run, version) or _promote(ports, deploy_run, version)
        output.update(promotion.model_dump(mode="json"))
    catalog.finish_run(request.run_id, "succeeded", ports.clock.now(), outputs=promotion.model_dump(mode="json"))
    return promotion


def _made_already(ports: Ports, run: Run, version: ModelVersion) -> Promotion | None:
    """Return the movement that an earlier try of this run made before it was killed, if there is one."""
    for entry in ports.catalog.audit(version.model):
        if (entry.version, entry.by) == (version.version, _mover(run)) and entry.at >= run.started_at:
            return Promotion(model=entry.model, version=entry.version, previous=entry.previous)
    return None


def _promote(ports: Ports, run: Run, version: ModelVersion) -> Promotion:
    serving = ports.catalog.champion(version.model)
    if run.trigger.kind != "person":
        _require_fit(version, serving)
    champion = ports.catalog.promote(
        version.model,
        version.version,
        expected=serving.version if serving else None,
        at=ports.clock.now(),
        by=_mover(run),
        reason=run.trigger.reason,
        action="rollback" if version.stage == "archived" else "promote",
    )
    return Promotion(model=champion.model, version=champion.version, previous=champion.previous)


def _mover(run: Run) -> str:
    """Return whom the audit names: the run itself, or the person who asked for it."""
    return run.run_id if run.trigger.kind == "run" else run.trigger.source


def _require_fit(version: ModelVersion, serving: Champion | None) -> None:
    """Refuse what only a person may do."""
    if version.stage == "refused":
        raise ConflictError(
            f"version {version.version} of {version.model} was refused by the gate ({version.reason}); "
            "only a person may promote it"
        )
    if serving is not None and serving.version > version.version:
        raise ConflictError(
            f"version {serving.version} of {version.model} serves by now, which is newer than version "
            f"{version.version}; only a person may go back"
        )
