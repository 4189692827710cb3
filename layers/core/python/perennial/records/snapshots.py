"""Snapshots of what was uploaded, the parts that they consist of, and what was forgotten of them."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from perennial.records.base import Moment, Record
from perennial.utc import aware_utc


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
        return self.min_event_time is None, aware_utc(earliest), self.snapshot_id


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
