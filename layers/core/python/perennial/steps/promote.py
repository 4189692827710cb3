"""Let a version serve."""

from __future__ import annotations

from pydantic import BaseModel

from perennial.errors import ConflictError
from perennial.ports import Ports
from perennial.records import Champion, ModelVersion, Run, Trigger
from perennial.registry import waits
from perennial.steps.delivering.overtaken import has_begun, how_it_ended
from perennial.steps.intact import require_intact
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
    serves: bool = True
    """Whether the run moved the pointer; False if it was overtaken: its version stands beside the champion no more."""


def run(request: Request, ports: Ports) -> Promotion:
    """Move the champion pointer from the version that serves now, and close the run.

    A version that served before is rolled back to. The gate's refusal stands unless a person says that it does not; a
    newer version stands unless a person asked. A version that stood beside the champion must still stand there; a run
    that was overtaken is closed as refused. What is not evaluated, not intact, waiting for approval or rejected is
    promoted by nobody. A run moves the pointer once: what was decided after it moved is not undone by a repetition.

    Raises
    ------
    NotFoundError
        There is no such version.
    ConflictError
        The gate or a person refused the version, it waits for approval, a newer one serves, or another version was
        promoted in the same moment.
    DataError
        What is stored of it is not what was registered.
    """
    catalog = ports.catalog
    overtaken = ""
    with recorded(ports, request.run_id, "promote") as output:
        deploy_run = catalog.run(request.run_id)
        version = catalog.version(request.model, request.version)
        challenged = has_begun(catalog.audit(request.model), request.run_id)
        try:
            promotion = _made_already(ports, deploy_run, version) or _promote(ports, deploy_run, version, challenged)
        except ConflictError:
            if not challenged:
                raise
            overtaken = how_it_ended(catalog.audit(request.model), deploy_run, version)
            promotion = Promotion(model=request.model, version=request.version, previous=None, serves=False)
        output.update(promotion.model_dump(mode="json"))
    outputs = promotion.model_dump(mode="json")
    status = "succeeded" if promotion.serves else "refused"
    catalog.finish_run(request.run_id, status, ports.clock.now(), error=overtaken or None, outputs=outputs)
    return promotion


def _made_already(ports: Ports, run: Run, version: ModelVersion) -> Promotion | None:
    """Return the movement that an earlier try of this run made before it was killed, if there is one."""
    for entry in ports.catalog.audit(version.model):
        if (
            entry.moved_pointer
            and (entry.version, entry.by) == (version.version, _mover(run))
            and entry.at >= run.started_at
        ):
            return Promotion(model=entry.model, version=entry.version, previous=entry.previous)
    return None


def _promote(ports: Ports, run: Run, version: ModelVersion, challenged: bool) -> Promotion:
    serving = ports.catalog.champion(version.model)
    require_fit(version, serving, run.trigger)
    require_intact(ports.artifacts, version)
    champion = ports.catalog.promote(
        version.model,
        version.version,
        expected=serving.version if serving else None,
        at=ports.clock.now(),
        by=_mover(run),
        reason=run.trigger.reason,
        action="rollback" if version.stage == "archived" else "promote",
        challenge=run.run_id if challenged else None,
    )
    return Promotion(model=champion.model, version=champion.version, previous=champion.previous)


def _mover(run: Run) -> str:
    """Return whom the audit names: the run itself, or the person who asked for it."""
    return run.run_id if run.trigger.kind == "run" else run.trigger.source


def require_fit(version: ModelVersion, serving: Champion | None, trigger: Trigger) -> None:
    """Refuse what may not be promoted, or only by a person.

    Raises
    ------
    ConflictError
        It was not evaluated, waits for approval or was rejected; or the gate refused it and nobody overrides that; or
        a newer version serves and no person asked.
    """
    what = f"version {version.version} of {version.model}"
    by_person = trigger.kind == "person"
    if not version.verdict.ratings:
        raise ConflictError(f"{what} was not evaluated: its record has no rating of the gate; train it again")
    if version.stage == "staging":
        raise ConflictError(waits(version))
    if version.stage == "refused" and version.verdict.passed:
        raise ConflictError(f"{what} was refused ({version.reason}), which stands; train another one")
    if version.stage == "refused" and not (by_person and trigger.override_gate):
        raise ConflictError(
            f"{what} was refused by the gate ({version.reason.removesuffix('.')}); only a person may promote it, "
            f"by `perennial promote {version.model} {version.version} --reason … --override-gate`"
        )
    if serving is not None and serving.version > version.version and not by_person:
        raise ConflictError(
            f"version {serving.version} of {version.model} serves by now, which is newer than version "
            f"{version.version}; only a person may go back"
        )
