"""Decide whether a trigger may start a training run; one that may not is recorded with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, Field

from perennial.definitions import Model
from perennial.definitions.model import LONGEST_BACKOFF
from perennial.ports import Ports
from perennial.records import Assessment, Moment, Run, Snapshot, Trigger
from perennial.steps.admission import Refusal, Situation, refusal
from perennial.steps.kept_definitions import keep
from perennial.steps.recording import recorded
from perennial.training.submission import SUBMITTED

CLAIM_LENGTH = timedelta(hours=6)
"""How long a training run holds its model at most, should it die without a word."""
MONITORING_REPORT = "monitoring_report"
"""Input of a run that an alarm started: the key of the report that it reacts to."""
_SAYS = "The monitor says: "
_ASK_AGAIN = "ask_again_at"
"""Output of a refused run: when it asks again."""
_LOOK_BACK = 1000
"""How many earlier training runs of the model are looked at, refused ones among them."""


class Request(BaseModel):
    """What wants to be trained, and why."""

    run_id: str
    model: str
    trigger: Trigger
    submission: str = Field(default="", pattern="^([0-9a-f]{64})?$")
    """SHA-256 of the ``candidate.json`` of a model that was trained elsewhere; empty to train the candidates."""


class Admission(BaseModel):
    """Whether the run goes on."""

    run_id: str
    admitted: bool
    reason: str
    """Why not; empty when admitted."""
    ask_again_at: Moment | None = None
    """When the state machine is to ask again in this run's place; None if it need not."""
    candidates: list[str]
    """What is judged, and what the state machine fans out over unless it is a submission; empty when refused."""
    searches: bool = False
    """Whether parameters are searched before."""
    submission: str = ""
    """As requested."""
    dataset_bytes: int
    """Of the snapshots that are learnt from: whether a function can make the training set of them."""


def claim_name(model: str) -> str:
    """Return the name of the lock that lets one training run of a model go on at a time."""
    return f"train#{model}"


def _retry_name(model: str) -> str:
    """Return the name of the lock that lets one refused run of a model wait, to ask again."""
    return f"ask-again#{model}"


def run(request: Request, ports: Ports) -> Admission:
    """Start the run, take the model's lock and apply the rules; a refused run is closed and lets go of the lock.

    The same request again gives the same answer, unless the run is over by now.

    Raises
    ------
    NotFoundError
        There is no such model or dataset.
    """
    catalog, now = ports.catalog, ports.clock.now()
    model = ports.definitions.model(request.model)
    snapshots, revision = catalog.snapshots(model.dataset)
    seen = _seen(ports, request)
    started = catalog.start_run(
        Run(
            run_id=request.run_id,
            kind="train",
            subject=model.name,
            status="running",
            trigger=_told(request.trigger, seen),
            started_at=now,
            definition_hash=ports.definitions.fingerprint(model.name),
            code_version=ports.code_version,
            inputs={
                "dataset": model.dataset,
                "revision": revision,
                "snapshots": [snapshot.snapshot_id for snapshot in snapshots],
                "definitions": keep(ports, model.name),
                **({"submission": request.submission} if request.submission else {}),
                **({MONITORING_REPORT: seen.report_key} if seen and seen.report_key else {}),
            },
        )
    )
    with recorded(ports, request.run_id, "admit") as output:
        if request.trigger.retry_of:
            catalog.release(_retry_name(model.name), request.trigger.retry_of)
        refused = _over(started) or _refusal(ports, model, started, snapshots, now)
        if refused:
            outputs = {} if refused.until is None else {_ASK_AGAIN: refused.until.isoformat()}
            catalog.finish_run(started.run_id, "refused", now, error=refused.reason, outputs=outputs)
            catalog.release(claim_name(model.name), started.run_id)
        submission = str(started.inputs.get("submission", ""))
        names = [SUBMITTED] if submission else [candidate.name for candidate in model.candidates]
        candidates = [] if refused else names
        size = sum(snapshot.size for snapshot in snapshots)
        admission = Admission(
            run_id=started.run_id,
            admitted=refused is None,
            reason=refused.reason if refused else "",
            ask_again_at=refused.until if refused else None,
            candidates=candidates,
            searches=not (refused or submission) and any(candidate.space for candidate in model.candidates),
            submission=submission,
            dataset_bytes=size,
        )
        output.update(admission.model_dump(mode="json"))
    return admission


def _seen(ports: Ports, request: Request) -> Assessment | None:
    """Return what the monitor last saw of the model, if an alarm is why the run was started."""
    if request.trigger.kind != "alarm":
        return None
    return next(iter(ports.catalog.assessments(request.model, 1)), None)


def _told(trigger: Trigger, seen: Assessment | None) -> Trigger:
    """Return the trigger with what moved, in words, behind what the alarm says of datapoints and thresholds."""
    if seen is None or not seen.sentence or _SAYS in trigger.reason:
        return trigger
    reason = f"{trigger.reason.rstrip()} {_SAYS}{seen.sentence}".strip()
    return trigger.model_copy(update={"reason": reason})


def candidates_of(ports: Ports, run_id: str) -> list[str]:
    """Return the names of what a run judges, as it was admitted: the definition's candidates, or a submission."""
    return Admission.model_validate(ports.catalog.step(run_id, "admit").output).candidates


def _over(run: Run) -> Refusal | None:
    if run.status == "running":
        return None
    until = run.outputs.get(_ASK_AGAIN) if run.status == "refused" else None
    return Refusal(
        run.error or f"run {run.run_id} is over: it {run.status}", datetime.fromisoformat(until) if until else None
    )


def _refusal(ports: Ports, model: Model, run: Run, snapshots: Sequence[Snapshot], now: datetime) -> Refusal | None:
    """Return why the run does not go on, with the moment at which it is to ask again, or None."""
    holder = ports.catalog.claim(claim_name(model.name), run.run_id, now + CLAIM_LENGTH, now)
    if holder != run.run_id:
        return Refusal(f"run {holder} is training model {model.name}; one run at a time")
    runs = ports.catalog.runs(_LOOK_BACK, kind="train", subject=model.name)
    earlier = [other for other in runs if other.run_id != run.run_id and other.status != "refused"]
    refused = [other for other in runs if other.status == "refused"]
    found = refusal(Situation(run, model, snapshots, earlier, refused, ports.catalog, now))
    return None if found is None else _asking_again(ports, run, found, now)


def _asking_again(ports: Ports, run: Run, found: Refusal, now: datetime) -> Refusal:
    """Let one run of a model at a time wait until the reason has passed: an alarm that stays on says so only once."""
    # What starts by itself again needs no waiting, and an execution does not wait for longer than its machine allows.
    if found.until is None or run.trigger.kind not in ("alarm", "data") or found.until - now > LONGEST_BACKOFF:
        return Refusal(found.reason)
    # The clocks of the state machine and of who reads the claim may differ.
    holder = ports.catalog.claim(_retry_name(run.subject), run.run_id, found.until + timedelta(minutes=1), now)
    if holder != run.run_id:
        return Refusal(f"{found.reason}; run {holder} waits to ask again")
    return Refusal(f"{found.reason}; it asks again then", found.until)
