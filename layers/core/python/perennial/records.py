"""What the catalog remembers: runs, steps, snapshots, views, training sets, versions, pointers, assessments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a moment needs its time zone")
    return value.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_in_utc)]
"""A point in time of the system's own clock, always in UTC."""


class Record(BaseModel):
    """Base of every record: frozen, JSON in and out (``NaN`` and ``Infinity`` as Python's json writes them)."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Trigger(Record):
    """Who or what started a run."""

    kind: Literal["upload", "data", "alarm", "schedule", "person", "run"]
    """``upload``: a file; ``data``: an updated dataset; ``run``: another run, such as the training before a deploy."""
    source: str
    """The object's URI, the alarm's name, the schedule's name, the person's ARN or the run's id."""
    reason: str = ""
    """In words: the alarm's reason, what a person wrote."""


class StepRecord(Record):
    """One step of a run."""

    run_id: str
    step: str
    """The step's name; with its item when fanned out, such as ``train#ridge``."""
    status: Literal["running", "succeeded", "failed"]
    started_at: Moment
    ended_at: Moment | None = None
    output: dict[str, Any] = Field(default_factory=dict)
    """What the step returned: ids, keys and figures; later steps read it from here."""
    error: str | None = None


class Run(Record):
    """One execution of a state machine."""

    run_id: str
    kind: Literal["ingest", "train", "deploy"]
    subject: str
    """The dataset (ingest) or the model (train, deploy)."""
    status: Literal["running", "succeeded", "failed", "refused"]
    """``refused``: admission or the contract of triggers said no; the reason stands in ``error``."""
    trigger: Trigger
    started_at: Moment
    ended_at: Moment | None = None
    definition_hash: str = ""
    code_version: str = ""
    inputs: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, Any] = Field(default_factory=dict)
    error: str | None = None

    def closed(self, status: str, at: datetime, error: str | None, outputs: Mapping[str, Any] | None) -> Run:
        """Return this run as it ended."""
        ending = {"status": status, "ended_at": at, "error": error, "outputs": dict(outputs or {})}
        return Run.model_validate({**self.model_dump(), **ending})


class Snapshot(Record):
    """An immutable, typed copy of one uploaded file's good rows."""

    snapshot_id: str
    """From the file's SHA-256 and the contract's fingerprint: the same upload twice is one snapshot."""
    dataset: str
    source: str
    """URI of the uploaded object."""
    source_version: str | None = None
    uploaded_at: Moment | None = None
    """When the object was written; an upload does not supersede a later one of the same object."""
    source_sha256: str
    contract: str
    """Fingerprint of the dataset's definition."""
    key: str
    """Parquet of the good rows, in the artifacts bucket."""
    sha256: str
    rows: int
    rejected: int
    quarantine_key: str | None = None
    """JSON Lines of the bad rows: line, column, value, reason, raw text; None when all rows are good."""
    min_event_time: datetime | None = None
    max_event_time: datetime | None = None
    run_id: str
    created_at: Moment

    def upload(self) -> tuple[str, str | None]:
        """Return which upload this is of: the object and its version."""
        return self.source, self.source_version

    def order(self) -> tuple[bool, datetime, str]:
        """Return what sorts snapshots by their oldest event time; those without rows come last."""
        earliest = self.min_event_time or datetime.max
        return self.min_event_time is None, earliest.replace(tzinfo=earliest.tzinfo or UTC), self.snapshot_id


class ViewVersion(Record):
    """A stored view's offline table as it was computed from given snapshots."""

    view: str
    version: str
    """Fingerprint of the view's definition."""
    revision: int
    """The dataset's revision that it was computed from; a later one replaces an earlier one."""
    key: str
    sha256: str
    rows: int
    snapshots: tuple[str, ...]
    created_at: Moment


class TrainingSet(Record):
    """The rows that a run learns from and is judged on (the output of the step ``training_set``)."""

    training_set_id: str
    train_key: str
    """Parquet: event_time, the features in the model's order, target."""
    holdout_key: str
    """Parquet of the same columns, rows from ``split_at`` on."""
    features: tuple[str, ...]
    """Feature columns in order, each ``view__column``."""
    split_at: datetime
    """Event time from which rows are held out."""
    rows_train: int
    rows_holdout: int
    rows_without_target: int = 0
    """Rows that passed the model's filter, but whose target is unknown; they are in neither part."""
    snapshots: tuple[str, ...]
    views: dict[str, str]
    """Stored view to the key of its offline table."""
    sha256: dict[str, str]
    """Key to SHA-256 of each file."""


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


class ModelVersion(Record):
    """A registered version: 1, 2, 3, … of its model."""

    model: str
    version: int
    stage: Literal["candidate", "refused", "champion", "archived"]
    reason: str = ""
    """Why it was refused or archived."""
    manifest_key: str
    manifest_sha256: str
    metrics: dict[str, float]
    verdict: Verdict
    training_set: TrainingSet
    run_id: str
    trigger: Trigger
    created_at: Moment

    def staged(self, stage: Literal["candidate", "refused", "champion", "archived"], reason: str = "") -> ModelVersion:
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


class Champion(Record):
    """The pointer to the version that serves."""

    model: str
    version: int
    previous: int | None = None
    """The version that served before."""
    manifest_key: str
    manifest_sha256: str
    by: str
    """Run id or person that moved the pointer."""
    promoted_at: Moment


class AuditEntry(Record):
    """One movement of a champion pointer."""

    model: str
    at: Moment
    action: Literal["promote", "rollback"]
    version: int
    previous: int | None
    by: str
    reason: str


class Assessment(Record):
    """What the monitor found about a champion's latest predictions."""

    model: str
    version: int
    at: Moment
    """When the monitor began to read: what was logged before is in the figures."""
    rows: int
    """Predictions in the window."""
    labelled: int
    """Labelled predictions that ``performance`` is measured on: the latest ``window_rows`` that have a label."""
    labelled_until: Moment | None = None
    """When the latest of these labels came; None if there are none."""
    feature_drift: float | None
    """Largest population stability index of any feature; None below the model's ``min_rows``."""
    drifted_feature: str | None
    """The feature of that index."""
    prediction_drift: float | None
    performance: float | None
    """The model's metric over labelled predictions, in the target's unit."""
    performance_ratio: float | None
    """``performance`` divided by the metric on the held-out rows; None without either."""
