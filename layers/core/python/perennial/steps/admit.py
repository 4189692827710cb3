"""Decide whether a trigger may start a training run; one that may not is recorded with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, Field

from perennial.definitions import Model
from perennial.errors import NotFoundError
from perennial.ports import Catalog, Ports
from perennial.records import Champion, Run, Snapshot, Trigger
from perennial.steps.kept_definitions import keep
from perennial.steps.recording import recorded
from perennial.training.submission import SUBMITTED

CLAIM_LENGTH = timedelta(hours=6)
"""How long a training run holds its model at most, should it die without a word."""
NOTHING_NEW = "there is nothing new to learn from since run"
"""How the refusal of a trigger begins that came before there was new data."""
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
    candidates: list[str]
    """What is judged, and what the state machine fans out over unless it is a submission; empty when refused."""
    searches: bool = False
    """Whether parameters are searched before."""
    submission: str = ""
    """As requested."""
    dataset_bytes: int
    """Of the snapshots that are learnt from: whether a function can make the training set of them."""


@dataclass(frozen=True)
class _Situation:
    """What the rules look at."""

    run: Run
    model: Model
    snapshots: Sequence[Snapshot]
    earlier: Sequence[Run]
    """Training runs of the model that were not refused, newest first, without this one."""
    refused: Sequence[Run]
    """Those that were refused."""
    catalog: Catalog
    now: datetime

    @property
    def by_person(self) -> bool:
        return self.run.trigger.kind == "person"

    @property
    def automatic(self) -> list[Run]:
        """Earlier runs that no person asked for."""
        return [run for run in self.earlier if run.trigger.kind != "person"]


def claim_name(model: str) -> str:
    """Return the name of the lock that lets one training run of a model go on at a time."""
    return f"train#{model}"


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
    started = catalog.start_run(
        Run(
            run_id=request.run_id,
            kind="train",
            subject=model.name,
            status="running",
            trigger=request.trigger,
            started_at=now,
            definition_hash=ports.definitions.fingerprint(model.name),
            code_version=ports.code_version,
            inputs={
                "dataset": model.dataset,
                "revision": revision,
                "snapshots": [snapshot.snapshot_id for snapshot in snapshots],
                "definitions": keep(ports, model.name),
                **({"submission": request.submission} if request.submission else {}),
            },
        )
    )
    with recorded(ports, request.run_id, "admit") as output:
        reason = _over(started) or _refusal(ports, model, started, snapshots, now)
        if reason:
            catalog.finish_run(started.run_id, "refused", now, error=reason)
            catalog.release(claim_name(model.name), started.run_id)
        submission = str(started.inputs.get("submission", ""))
        names = [SUBMITTED] if submission else [candidate.name for candidate in model.candidates]
        candidates = [] if reason else names
        size = sum(snapshot.size for snapshot in snapshots)
        admission = Admission(
            run_id=started.run_id,
            admitted=not reason,
            reason=reason,
            candidates=candidates,
            searches=not (reason or submission) and any(candidate.space for candidate in model.candidates),
            submission=submission,
            dataset_bytes=size,
        )
        output.update(admission.model_dump(mode="json"))
    return admission


def candidates_of(ports: Ports, run_id: str) -> list[str]:
    """Return the names of what a run judges, as it was admitted: the definition's candidates, or a submission."""
    return Admission.model_validate(ports.catalog.step(run_id, "admit").output).candidates


def _over(run: Run) -> str:
    if run.status == "running":
        return ""
    return run.error or f"run {run.run_id} is over: it {run.status}"


def _refusal(ports: Ports, model: Model, run: Run, snapshots: Sequence[Snapshot], now: datetime) -> str:
    """Return the first reason not to train, or an empty text."""
    holder = ports.catalog.claim(claim_name(model.name), run.run_id, now + CLAIM_LENGTH, now)
    if holder != run.run_id:
        return f"run {holder} is training model {model.name}; one run at a time"
    runs = ports.catalog.runs(_LOOK_BACK, kind="train", subject=model.name)
    earlier = [other for other in runs if other.run_id != run.run_id and other.status != "refused"]
    refused = [other for other in runs if other.status == "refused"]
    situation = _Situation(run, model, snapshots, earlier, refused, ports.catalog, now)
    for rule in (_too_few_rows, _too_little_new_data, _alarm_unheeded, _nothing_new, _too_soon, _over_budget):
        if reason := rule(situation):
            return reason
    return ""


def _too_few_rows(situation: _Situation) -> str:
    model, rows = situation.model, sum(snapshot.rows for snapshot in situation.snapshots)
    if rows >= model.retrain.min_rows or situation.catalog.champion(model.name) is not None:
        return ""
    return (
        f"dataset {model.dataset} holds {rows} rows; the first model needs {model.retrain.min_rows} (retrain.min_rows)"
    )


def _too_little_new_data(situation: _Situation) -> str:
    model, champion = situation.model, situation.catalog.champion(situation.model.name)
    if situation.run.trigger.kind != "data" or champion is None or _alarm_waits(situation, champion):
        return ""
    if model.retrain.new_rows is None:
        return "new data alone starts no run while there is a champion (retrain.new_rows is not set)"
    known = set(situation.catalog.version(model.name, champion.version).training_set.snapshots)
    new = sum(snapshot.rows for snapshot in situation.snapshots if snapshot.snapshot_id not in known)
    if new >= model.retrain.new_rows:
        return ""
    return (
        f"{new} rows are new since champion version {champion.version} was trained; "
        f"{model.retrain.new_rows} are needed (retrain.new_rows)"
    )


def _alarm_waits(situation: _Situation, champion: Champion) -> bool:
    """Return whether an alarm of this champion found no new data: it stays on, so it will not ask again."""
    return any(
        run.trigger.kind == "alarm"
        and run.started_at > champion.promoted_at
        and (run.error or "").startswith(NOTHING_NEW)
        for run in situation.refused
    )


def _alarm_unheeded(situation: _Situation) -> str:
    if situation.run.trigger.kind != "alarm" or situation.model.retrain.on_alarm:
        return ""
    return "alarms start no run of this model (retrain.on_alarm is false)"


def _nothing_new(situation: _Situation) -> str:
    if situation.by_person:
        return ""
    # A run that failed has taught nothing; how often it is tried again is bounded by the daily budget. What was
    # trained elsewhere has not learnt from the data of the run that judged it.
    taught = (run for run in situation.earlier if run.status == "succeeded" and "submission" not in run.inputs)
    for other in taught:
        learnt = _snapshots_learnt(situation.catalog, other.run_id)
        if learnt is None:
            continue
        live = {snapshot.snapshot_id for snapshot in situation.snapshots}
        same = learnt == live and other.definition_hash == situation.run.definition_hash
        return f"{NOTHING_NEW} {other.run_id}" if same else ""
    return ""


def _snapshots_learnt(catalog: Catalog, run_id: str) -> set[str] | None:
    """Return the snapshots in a run's training set; None if it did not get that far."""
    try:
        step = catalog.step(run_id, "training_set")
    except NotFoundError:
        return None
    return set(step.output["snapshots"]) if step.status == "succeeded" else None


def _too_soon(situation: _Situation) -> str:
    cooldown = situation.model.retrain.cooldown
    if situation.by_person or not situation.automatic:
        return ""
    latest = situation.automatic[0]
    if situation.now - latest.started_at >= cooldown:
        return ""
    until = latest.started_at + cooldown
    return f"run {latest.run_id} started less than {cooldown} ago; the cooldown ends at {until:%Y-%m-%d %H:%M:%S} UTC"


def _over_budget(situation: _Situation) -> str:
    budget = situation.model.retrain.daily_budget
    since = situation.now - timedelta(days=1)
    recent = [run for run in situation.automatic if run.started_at > since]
    if situation.by_person or len(recent) < budget:
        return ""
    return (
        f"{len(recent)} runs that no person asked for started in the last 24 hours; "
        f"{budget} are allowed (retrain.daily_budget)"
    )
