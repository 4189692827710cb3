"""Models: training sets, verdicts, versions, and the champion."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from perennial.records.base import Moment, Record
from perennial.records.runs import Trigger
from perennial.records.snapshots import Snapshot


class CompiledView(Record):
    """What became of the request view of a model when it was compiled (`perennial.data.views.compiled`)."""

    program: dict[str, Any] | None = None
    """For `perennial.serving.program`; None if the engine serves the view."""
    reason: str = ""
    """Why the engine does."""
    rows: int = 0
    """Held-out rows on which the program gave the very values of the SQL."""


class TrainingSet(Record):
    """The rows that a run learns from and is judged on (the output of the step ``training_set``)."""

    training_set_id: str
    train_key: str
    """Parquet: event_time, the features in the model's order, target."""
    holdout_key: str
    """Parquet of the same columns, rows from ``split_at`` on."""
    features: tuple[str, ...]
    """Feature columns in order, each ``view__column``."""
    categories: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Categorical feature column to the values that the training rows have, the most frequent ones, in order; in the
    files they are text, and a model knows them by their places here. Any other value is as if missing."""
    classes: tuple[str, ...] = ()
    """What is told apart: of the task ``multiclass`` the target's values in the training rows, in order; of ``binary``
    ``false`` and ``true``."""
    slices: tuple[str, ...] = ()
    """Names of the slices, each a text column ``slice:<name>`` of the held-out rows."""
    split_at: datetime
    """Event time from which rows are held out."""
    rows_train: int
    rows_holdout: int
    rows_without_target: int = 0
    """Rows that passed the model's filter, but whose target is unknown, or a class that no training row has; they are
    in neither part."""
    snapshots: tuple[str, ...]
    views: dict[str, str]
    """Stored view to the key of its offline table's manifest."""
    request: CompiledView | None = None
    """How the request view is served; None if there is none."""
    view_snapshots: tuple[str, ...] = ()
    """Snapshots, of other datasets as a rule, that the stored views read and the rows do not come from."""
    inputs_key: str = ""
    """JSON of `TrainingInputs`; empty of one that was made before this was kept."""
    sha256: dict[str, str]
    """Key to SHA-256 of each file."""


class TrainingInputs(Record):
    """What exactly a training set was made from (``training-inputs/<model>/<sha256>.json``)."""

    format: int = 1
    model: str
    dataset: str
    definition_hash: str
    snapshots: tuple[Snapshot, ...]
    """As they were read, stand-ins for superseded rows included; without the run and the moment that made them, which
    say nothing of their rows."""
    views: dict[str, str]
    """Stored view to the key of its table's manifest, which bears its SHA-256."""


class Rating(Record):
    """One rule of the gate, with its figures."""

    rule: str
    passed: bool
    value: float | None
    limit: float | None
    sentence: str


class Verdict(Record):
    """What the gate said (the output of the step ``evaluate``)."""

    candidate: str
    """The best candidate."""
    passed: bool
    ratings: tuple[Rating, ...]
    metrics: dict[str, float]
    """The best candidate's metrics on the held-out rows, such as ``mae`` and ``rmse``."""
    champion_version: int | None = None
    champion_metrics: dict[str, float] | None = None
    """The champion's metrics on the same rows."""
    candidates: dict[str, dict[str, float]]
    """Every candidate's metrics on the same rows."""
    report_key: str
    """JSON of all that was found; the page for people stands beside it, with the suffix ``html``."""
    intervals: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Metric of the best candidate to where it lies with a probability of 95 %, by block bootstrap."""
    improvement: float | None = None
    """Of the model's metric over the champion's, relative to it: 0.02 is 2 % better, whichever direction is better."""
    improvement_interval: tuple[float, float] | None = None
    """Where that lies with a probability of 95 %; both are judged on the same resamples of the rows."""
    baseline: str = ""
    """The better guess that needs no model: ``constant`` or ``previous value``."""
    baseline_metrics: dict[str, float] = Field(default_factory=dict)
    """The metrics of that guess on the same rows."""


Stage = Literal["candidate", "refused", "staging", "champion", "archived"]
"""Where a version stands: it may be deployed; the gate, a person or nobody in time said no; it waits for a person's
approval; it serves; it served before."""


class ModelVersion(Record):
    """A registered version: 1, 2, 3, … of its model."""

    model: str
    version: int
    stage: Stage
    reason: str = ""
    """Why it stands where it stands: what the gate or a person said, or what replaced it."""
    tags: dict[str, str] = Field(default_factory=dict)
    """What people have labelled it with."""
    manifest_key: str
    manifest_sha256: str
    metrics: dict[str, float]
    verdict: Verdict
    training_set: TrainingSet
    run_id: str
    trigger: Trigger
    created_at: Moment
    card_key: str | None = None
    """JSON of the model card; the page for people stands beside it, with the suffix ``html``."""

    def staged(self, stage: Stage, reason: str = "") -> ModelVersion:
        """Return this version in another stage."""
        return self.model_copy(update={"stage": stage, "reason": reason})

    def pointed_at(self, previous: int | None, at: datetime, by: str) -> Champion:
        """Return the champion pointer to this version, after ``previous`` served."""
        return Champion(
            model=self.model,
            version=self.version,
            previous=previous,
            manifest_key=self.manifest_key,
            manifest_sha256=self.manifest_sha256,
            by=by,
            promoted_at=at,
        )


class Challenger(Record):
    """A version on its way to serve: it sees requests beside the champion, or answers a share of them."""

    version: int
    manifest_key: str
    manifest_sha256: str
    weight: float = Field(ge=0, le=1)
    """Share of the callers that it answers; 0 while it is only a shadow."""
    shadow: bool = False
    """Whether it scores what the champion answers, for nobody to see but the log."""
    run_id: str
    """The deploy run that brings it."""
    since: Moment
    """When it came to this weight."""

    @property
    def phase(self) -> str:
        """What it is at now, such as ``shadow`` or ``canary 10 %``."""
        return "shadow" if self.shadow else f"canary {100 * self.weight:g} %"


class Champion(Record):
    """The pointer to the version that serves, and to the one that is on its way to."""

    model: str
    version: int
    previous: int | None = None
    """The version that served before."""
    manifest_key: str
    manifest_sha256: str
    by: str
    """Run id or person that moved the pointer."""
    promoted_at: Moment
    challenger: Challenger | None = None
    """Read with the pointer, in one item: nobody sees the one without the other."""

    def challenged_by(self, challenger: Challenger | None) -> Champion:
        """Return the pointer with that version beside the champion, or none."""
        return self.model_copy(update={"challenger": challenger})


class AuditEntry(Record):
    """One change of a model's registry: who changed what, when and why."""

    model: str
    at: Moment
    action: Literal[
        "promote", "rollback", "challenge", "withdraw", "stage", "approve", "reject", "alias", "tag", "note", "suspend",
        "resume",
    ]  # fmt: skip
    """``promote``, ``rollback``: the champion pointer moved; ``challenge``: a version began to stand beside the
    champion, or to answer another share; ``withdraw``: it stands there no more; ``stage``: a version began to wait for
    approval; ``reject``: a person, or nobody in time, said no; ``suspend``: from now on only persons start a
    training."""
    version: int
    """What it is about; of ``suspend`` and ``resume`` the champion, 0 while there is none."""
    previous: int | None = None
    """What the pointer or the alias stood on before."""
    by: str
    """Run id or person."""
    reason: str = ""
    detail: str = ""
    """What was changed, where the version does not say it all: the alias, the tags, the note's text."""

    @property
    def moved_pointer(self) -> bool:
        """Whether another version serves since."""
        return self.action in ("promote", "rollback")
