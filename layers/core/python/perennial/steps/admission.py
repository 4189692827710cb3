"""The rules of admission: what speaks against a training run, and whether it passes with time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from perennial.definitions import Model
from perennial.definitions.model import LONGEST_BACKOFF
from perennial.errors import NotFoundError
from perennial.ports import Catalog
from perennial.records import Champion, Run, Snapshot

NOTHING_NEW = "there is nothing new to learn from since run"
"""How the refusal of a trigger begins that came before there was new data."""


@dataclass(frozen=True)
class Refusal:
    """Why a run does not go on."""

    reason: str
    until: datetime | None = None
    """When the reason passes by itself; None if time alone changes nothing."""


@dataclass(frozen=True)
class Situation:
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
        """Whether a person asked."""
        return self.run.trigger.kind == "person"

    @property
    def automatic(self) -> list[Run]:
        """Earlier runs that no person asked for."""
        return [run for run in self.earlier if run.trigger.kind != "person"]


def refusal(situation: Situation) -> Refusal | None:
    """Return the first reason not to train, or None. What a person asks for is refused only for lack of rows."""
    for rule in _RULES if not situation.by_person else (_too_few_rows,):
        if found := rule(situation):
            return found
    return None


def _too_few_rows(situation: Situation) -> Refusal | None:
    model, rows = situation.model, sum(snapshot.rows for snapshot in situation.snapshots)
    if rows >= model.retrain.min_rows or situation.catalog.champion(model.name) is not None:
        return None
    return Refusal(
        f"dataset {model.dataset} holds {rows} rows; the first model needs {model.retrain.min_rows} (retrain.min_rows)"
    )


def _suspended(situation: Situation) -> Refusal | None:
    suspension = situation.catalog.suspension(situation.model.name)
    if suspension is None or not suspension.holds(situation.now):
        return None
    return Refusal(f"{suspension.sentence}; see `perennial resume {suspension.model}`", suspension.until)


def _too_little_new_data(situation: Situation) -> Refusal | None:
    model, champion = situation.model, situation.catalog.champion(situation.model.name)
    if situation.run.trigger.kind != "data" or champion is None or _alarm_waits(situation, champion):
        return None
    if model.retrain.new_rows is None:
        return Refusal("new data alone starts no run while there is a champion (retrain.new_rows is not set)")
    known = set(situation.catalog.version(model.name, champion.version).training_set.snapshots)
    new = sum(snapshot.rows for snapshot in situation.snapshots if snapshot.snapshot_id not in known)
    if new >= model.retrain.new_rows:
        return None
    return Refusal(
        f"{new} rows are new since champion version {champion.version} was trained; "
        f"{model.retrain.new_rows} are needed (retrain.new_rows)"
    )


def _alarm_waits(situation: Situation, champion: Champion) -> bool:
    """Return whether an alarm of this champion was refused and nothing was trained since: it will not ask again."""
    if not situation.model.retrain.on_alarm:
        return False
    since = max([champion.promoted_at, *(run.started_at for run in situation.earlier)])
    return any(run.trigger.kind == "alarm" and run.started_at > since for run in situation.refused)


def _alarm_unheeded(situation: Situation) -> Refusal | None:
    if situation.run.trigger.kind != "alarm" or situation.model.retrain.on_alarm:
        return None
    return Refusal("alarms start no run of this model (retrain.on_alarm is false)")


def _answered(situation: Situation) -> Refusal | None:
    """Refuse what asks again although another version serves since it first asked."""
    first = situation.run.trigger.retry_of
    if not first:
        return None
    champion, asked = situation.catalog.champion(situation.model.name), situation.catalog.run(first)
    if champion is None or champion.promoted_at <= asked.started_at:
        return None
    return Refusal(f"version {champion.version} serves since run {first} asked, so its reason may be gone")


def _nothing_new(situation: Situation) -> Refusal | None:
    # A run that failed has taught nothing; how often it is tried again is bounded by the daily budget. What was
    # trained elsewhere has not learnt from the data of the run that judged it.
    taught = (run for run in situation.earlier if run.status == "succeeded" and "submission" not in run.inputs)
    for other in taught:
        learnt = _snapshots_learnt(situation.catalog, other.run_id)
        if learnt is None:
            continue
        live = {snapshot.snapshot_id for snapshot in situation.snapshots}
        same = learnt == live and other.definition_hash == situation.run.definition_hash
        return Refusal(f"{NOTHING_NEW} {other.run_id}") if same else None
    return None


def _snapshots_learnt(catalog: Catalog, run_id: str) -> set[str] | None:
    """Return the snapshots in a run's training set; None if it did not get that far."""
    try:
        step = catalog.step(run_id, "training_set")
    except NotFoundError:
        return None
    return set(step.output["snapshots"]) if step.status == "succeeded" else None


def _too_soon(situation: Situation) -> Refusal | None:
    if not situation.automatic:
        return None
    cooldown, latest = situation.model.retrain.cooldown, situation.automatic[0]
    until = latest.started_at + cooldown
    if situation.now >= until:
        return None
    return Refusal(
        f"run {latest.run_id} started less than {cooldown} ago; the cooldown ends at {until:%Y-%m-%d %H:%M:%S} UTC",
        until,
    )


def _backing_off(situation: Situation) -> Refusal | None:
    """Refuse for a while what has not helped several times in a row; a changed definition is a new attempt."""
    useless: list[Run] = []
    for run in situation.earlier:
        if run.definition_hash != situation.run.definition_hash or _improved(situation.catalog, run):
            break
        if run.trigger.kind != "person":
            useless.append(run)
    retrain = situation.model.retrain
    beyond = len(useless) - retrain.backoff_after
    if beyond < 0:
        return None
    # A shift of more than some dozens would overflow, and the longest is reached long before.
    wait = min(retrain.backoff * 2 ** min(beyond, 32), LONGEST_BACKOFF)
    until = useless[0].started_at + wait
    if situation.now >= until:
        return None
    return Refusal(
        f"{len(useless)} runs in a row improved nothing (retrain.backoff_after is {retrain.backoff_after}), the latest "
        f"{useless[0].run_id}; the next may start at {until:%Y-%m-%d %H:%M:%S} UTC (retrain.backoff)",
        until,
    )


def _improved(catalog: Catalog, run: Run) -> bool:
    """Return whether a run's version passed the gate, and was not refused when it was deployed."""
    if run.status != "succeeded" or not run.outputs.get("passed"):
        return False
    return catalog.version(run.subject, int(run.outputs["version"])).stage != "refused"


def _over_budget(situation: Situation) -> Refusal | None:
    budget = situation.model.retrain.daily_budget
    since = situation.now - timedelta(days=1)
    recent = [run for run in situation.automatic if run.started_at > since]
    if len(recent) < budget:
        return None
    return Refusal(
        f"{len(recent)} runs that no person asked for started in the last 24 hours; "
        f"{budget} are allowed (retrain.daily_budget)",
        recent[budget - 1].started_at + timedelta(days=1),
    )


_RULES = (
    _too_few_rows,
    _suspended,
    _too_little_new_data,
    _alarm_unheeded,
    _answered,
    _nothing_new,
    _too_soon,
    _backing_off,
    _over_budget,
)
