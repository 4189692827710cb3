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
    kind: Literal["ingest", "backfill", "forget", "train", "deploy"]
    subject: str
    """The dataset (ingest, backfill, forget) or the model (train, deploy)."""
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


class Part(Record):
    """One Parquet file of a snapshot or of a view, which never changes."""

    key: str
    """In the artifacts bucket; it bears the content's SHA-256."""
    sha256: str
    rows: int
    size: int
    """Bytes."""
    min_event_time: datetime | None = None
    """Of a view's part: of its feature times."""
    max_event_time: datetime | None = None
    chunks: tuple[str, ...] = ()
    """Digests of the footer and of each column chunk (`perennial.data.parquet_chunks`): what is read by ranges is
    checked against them. Empty for a small part, which is read whole."""


class SnapshotManifest(Record):
    """What a snapshot consists of (``snapshots/<dataset>/<id>/<sha256>.json``)."""

    format: int = 1
    snapshot_id: str
    dataset: str
    source: str
    source_version: str | None = None
    source_sha256: str
    contract: str
    """Fingerprint of the dataset's definition."""
    columns: dict[str, str]
    """Column to the engine's type, in the order of the contract."""
    added_columns: tuple[str, ...] = ()
    """Columns of the file that the contract does not know; their values are in the file alone."""
    absent_columns: tuple[str, ...] = ()
    """Optional columns that the file lacks."""
    rows: int
    rejected: int
    months: dict[str, int]
    """Rows by the month of their event time, such as ``2019-01``."""
    key_ranges: dict[str, tuple[int, int] | tuple[str, str]] = Field(default_factory=dict)
    """Key column to its smallest and largest value (of times: microseconds or days since 1970), where that is known.

    Snapshots whose ranges do not meet share no key.
    """
    parts: tuple[Part, ...]
    """In the order of the file's rows."""


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
    manifest_key: str
    """JSON of the parts (`SnapshotManifest`), in the artifacts bucket."""
    manifest_sha256: str
    rows: int
    rejected: int
    size: int
    """Bytes of all parts."""
    quarantine_key: str | None = None
    """JSON Lines of the bad rows: line, column, value, reason, raw text; None when all rows are good."""
    months: tuple[str, ...] = ()
    """Months in which rows lie by their event time, such as ``2019-01``, in order."""
    min_event_time: datetime | None = None
    max_event_time: datetime | None = None
    rewritten_from: str | None = None
    """Snapshot that this one was made from by taking rows out: superseded by key, or forgotten."""
    run_id: str
    created_at: Moment

    def upload(self) -> tuple[str, str | None]:
        """Return which upload this is of: the object and its version."""
        return self.source, self.source_version

    def order(self) -> tuple[bool, datetime, str]:
        """Return what sorts snapshots by their oldest event time; those without rows come last."""
        earliest = self.min_event_time or datetime.max
        return self.min_event_time is None, earliest.replace(tzinfo=earliest.tzinfo or UTC), self.snapshot_id


class ViewPart(Part):
    """The part of a stored view for one bucket of entities and one stretch of feature time."""

    period: str
    """Month of the feature times, such as ``2019-01``; ``2019-02..`` for all that comes from that month on, behind the
    last month that has rows; ``all`` for a view without a window."""
    bucket: int
    """Which of the version's buckets of entities."""
    inputs: str
    """SHA-256 of what it was computed from: the same inputs need no new computation."""


class ViewManifest(Record):
    """What a stored view's offline table consists of (``features/<view>/<version>/<sha256>.json``)."""

    format: int = 1
    view: str
    version: str
    buckets: int
    """Into how many buckets the entities are spread."""
    revisions: dict[str, int]
    """Dataset to its revision, of every dataset that the view reads, also by way of other views."""
    snapshots: dict[str, tuple[str, ...]]
    """Dataset to the snapshots that were read."""
    parts: tuple[ViewPart, ...]
    """By period and bucket."""
    cells: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Snapshot to month to the buckets that its rows fall in, as bits of a hexadecimal number; with one bucket none."""
    hashing: str = ""
    """What tells apart engines that spread entities differently; empty with one bucket."""


class ViewVersion(Record):
    """A stored view's offline table as it was computed from given snapshots."""

    view: str
    version: str
    """Fingerprint of the view, and of the views and contracts that it builds on."""
    revision: int
    """Sum of the revisions of the datasets that it was computed from; a later one replaces an earlier one."""
    revisions: dict[str, int]
    """Dataset to its revision."""
    manifest_key: str
    manifest_sha256: str
    rows: int
    snapshots: tuple[str, ...]
    """Of all datasets that were read."""
    pending: tuple[str, ...] = ()
    """Manifests of earlier tables of which the online store may still hold rows (an empty text: it may hold none at
    all yet); nothing when it holds the rows of this one."""
    checked_rows: int = 0
    """How many rows its dataset had when the view was last tried for leaks."""
    created_at: Moment


class Erasure(Record):
    """Rows that were forgotten on request, without the values that named them."""

    erasure_id: str
    dataset: str
    columns: tuple[str, ...]
    """The columns by whose values the rows were named."""
    types: tuple[str, ...]
    """The engine's types of these columns."""
    subject_sha256: str
    """SHA-256 of the salt and the values: what was asked for can be recognised, not read.

    Values that can be guessed, such as small numbers, can be found by trying: the catalog is no public place.
    """
    salt: str
    rows: dict[str, int]
    """How many rows were found, and taken out: of live ``snapshots``, and of ``quarantine``."""
    snapshots: dict[str, str]
    """Snapshot to the one that took its place."""
    uploads: tuple[str, ...]
    """URIs, with versions, of uploaded objects that held such rows."""
    uploads_deleted: bool
    """Whether these objects were deleted as well."""
    by: str
    reason: str
    run_id: str
    at: Moment


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
    """Stored view to the key of its offline table's manifest."""
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
