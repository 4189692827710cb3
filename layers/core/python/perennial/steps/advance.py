"""Bring a version one move closer to the champion's place, let it stay where it is, or take it back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from perennial.definitions import Delivery
from perennial.errors import ConflictError, NotFoundError
from perennial.manifest import Manifest
from perennial.metrics import more_is_better
from perennial.ports import Metric, Ports
from perennial.records import Challenger, Champion, ModelVersion, Run, StepRecord
from perennial.registry import on_its_way
from perennial.serving.integrity import read_manifest
from perennial.steps.delivering.delivery_report import PHASE, write_report
from perennial.steps.delivering.judging import Judgement, Measure, judge
from perennial.steps.delivering.log import observed_in_log
from perennial.steps.delivering.observed import Observed
from perennial.steps.delivering.overtaken import has_begun, how_it_ended
from perennial.steps.delivering.phases import Phase, length_of, phase_after, phases, seconds_until_next_look
from perennial.steps.intact import require_intact
from perennial.steps.promote import require_fit

Observe = Callable[[Ports, Manifest, Manifest, Challenger, datetime], tuple[Observed, Observed]]
"""``observe(ports, champion, challenger, there, until)``: what the two did since the challenger's phase began."""


class Request(BaseModel):
    """Which version is on its way."""

    run_id: str
    model: str
    version: int
    look_seconds: float = Field(gt=0)
    """Least time between two looks."""


class Move(BaseModel):
    """What is to be done next."""

    next: Literal["wait", "promote", "end"]
    seconds: int = 0
    """How long to wait before the next look."""
    sentence: str
    """Why."""


def run(request: Request, ports: Ports, observe: Observe = observed_in_log) -> Move:
    """Look at the phase in which a deployment is, and do what follows from it.

    The catalog says where it stands: called again after it was killed, it finds what it did. The limits are those of
    the definition that is deployed at the time. A run whose challenger somebody else replaced or withdrew is closed as
    refused: it was overtaken, and nothing failed.

    Raises
    ------
    NotFoundError
        There is no such run or version.
    ConflictError
        The version may not be promoted (`perennial.steps.promote.require_fit`).
    DataError
        What is stored of it is not what was registered.
    """
    deploy_run = ports.catalog.run(request.run_id)
    if deploy_run.status != "running":
        return Move(next="end", sentence=deploy_run.error or "the run is closed")
    version = ports.catalog.version(request.model, request.version)
    model = ports.definitions.models.get(request.model)
    limits = model.delivery if model else Delivery()
    deployment = _Deployment(ports, deploy_run, version, limits, request.look_seconds)
    serving = ports.catalog.champion(request.model)
    there = serving.challenger if serving else None
    if serving is not None and there is not None and there.run_id == request.run_id:
        return deployment.looked_at(serving, there, observe)
    if has_begun(ports.catalog.audit(request.model), request.run_id):
        return deployment.overtaken()
    return deployment.begun(serving)


@dataclass(frozen=True)
class _Deployment:
    """A version on its way."""

    ports: Ports
    run: Run
    version: ModelVersion
    limits: Delivery
    look_seconds: float

    def begun(self, serving: Champion | None) -> Move:
        """Put the version beside the champion, or have it promoted where it need not stand there."""
        trigger, ahead = self.run.trigger, phases(self.limits)
        if serving is None or serving.version == self.version.version:
            return Move(next="promote", sentence="no other version serves")
        if not ahead or trigger.at_once:
            return Move(next="promote", sentence="a person wants it at once" if ahead else "the model has no phases")
        require_fit(self.version, serving, trigger)
        require_intact(self.ports.artifacts, self.version)
        there = serving.challenger
        # A person's wish ends what others began; so does anything what a run left behind that was killed for good.
        replaces = there.run_id if there and (trigger.kind == "person" or self._is_over(there.run_id)) else None
        if there is not None and replaces is None:
            return self._ended(on_its_way(self.version.model, there))
        return self._entered(ahead[0], serving, replaces)

    def looked_at(self, serving: Champion, there: Challenger, observe: Observe) -> Move:
        """Judge what the two versions did since the phase began, and go on, stay or turn back."""
        now = self.ports.clock.now()
        elapsed, length = now - there.since, length_of(self.limits, there)
        champion, challenger = (self._manifest(of) for of in (serving, there))
        seen = observe(self.ports, champion, challenger, there, now)
        judgement = judge(
            self.limits,
            *seen,
            _measure(champion, challenger),
            time_is_up=elapsed >= length,
            patience_is_up=elapsed >= length + self.limits.patience,
        )
        if judgement.outcome == "bad":
            return self._taken_back(serving, there, judgement, seen, now)
        self._note(there, judgement, seen, now)
        if judgement.outcome == "wait":
            seconds = seconds_until_next_look(elapsed, length, self.look_seconds)
            return Move(next="wait", seconds=seconds, sentence=judgement.sentence)
        following = phase_after(self.limits, there)
        if following is None:
            write_report(self.ports, self.run, self.version, serving.version, "promoted", judgement.sentence)
            return Move(next="promote", sentence=judgement.sentence)
        return self._entered(following, serving, self.run.run_id)

    def overtaken(self) -> Move:
        """Close the run of a version that stands beside the champion no more."""
        return self._ended(how_it_ended(self.ports.catalog.audit(self.version.model), self.run, self.version))

    def _entered(self, phase: Phase, serving: Champion, replaces: str | None) -> Move:
        now = self.ports.clock.now()
        wanted = phase.challenger(self.version, self.run.run_id, now)
        try:
            moved = self.ports.catalog.set_challenger(
                self.version.model, wanted, serving.version, now, self.run.run_id, self.run.trigger.reason, replaces
            )
        except ConflictError as conflict:
            if has_begun(self.ports.catalog.audit(self.version.model), self.run.run_id):
                return self.overtaken()
            return self._ended(str(conflict))
        there = moved.challenger or wanted
        self.ports.catalog.record_step(self._step(there))
        seconds = seconds_until_next_look(now - there.since, phase.length, self.look_seconds)
        return Move(next="wait", seconds=seconds, sentence=f"{there.phase} began")

    def _taken_back(
        self,
        serving: Champion,
        there: Challenger,
        judgement: Judgement,
        seen: tuple[Observed, Observed],
        now: datetime,
    ) -> Move:
        reason = f"{there.phase}: {judgement.sentence}"
        model, run_id = self.version.model, self.run.run_id
        # First of all: from here on callers see the champion alone.
        self.ports.catalog.withdraw_challenger(model, run_id, now, run_id, reason, refused=True)
        self._note(there, judgement, seen, now)
        self.ports.metrics.put([Metric("Withdrawn", 1.0, {"Deployment": self.ports.deployment})], now)
        write_report(self.ports, self.run, self.version, serving.version, "rolled back", reason)
        return self._ended(reason)

    def _ended(self, sentence: str) -> Move:
        outputs: dict[str, Any] = {"version": self.version.version, "serves": False}
        self.ports.catalog.finish_run(
            self.run.run_id, "refused", self.ports.clock.now(), error=sentence, outputs=outputs
        )
        return Move(next="end", sentence=sentence)

    def _note(self, there: Challenger, judgement: Judgement, seen: tuple[Observed, Observed], now: datetime) -> None:
        """Write down what a look at a phase found: the latest look is what is kept."""
        ends: dict[str, Any] = {
            "wait": {},
            "good": {"status": "succeeded", "ended_at": now},
            "bad": {"status": "failed", "ended_at": now, "error": judgement.sentence},
        }[judgement.outcome]
        output = {
            "phase": there.phase,
            "looked_at": now.isoformat(),
            "outcome": judgement.outcome,
            "sentence": judgement.sentence,
            "ratings": [rating.model_dump(mode="json") for rating in judgement.ratings],
            **{name: of.figures() for name, of in zip(("champion", "challenger"), seen, strict=True)},
        }
        self.ports.catalog.record_step(self._step(there).model_copy(update={**ends, "output": output}))

    def _step(self, there: Challenger) -> StepRecord:
        item = "shadow" if there.shadow else f"{there.weight:g}"
        return StepRecord(run_id=self.run.run_id, step=f"{PHASE}{item}", status="running", started_at=there.since)

    def _is_over(self, run_id: str) -> bool:
        try:
            return self.ports.catalog.run(run_id).status != "running"
        except NotFoundError:
            return True

    def _manifest(self, of: Champion | Challenger) -> Manifest:
        return read_manifest(self.ports.artifacts.get(of.manifest_key), of.manifest_sha256)


def _measure(champion: Manifest, challenger: Manifest) -> Measure | None:
    """Return by what the two are compared; None if they do not predict the same."""
    if (champion.task, champion.classes, champion.target) != (challenger.task, challenger.classes, challenger.target):
        return None
    metric = challenger.metric
    return Measure(metric, challenger.task, more_is_better(metric), challenger.seed)
