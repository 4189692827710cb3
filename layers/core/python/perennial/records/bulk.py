"""Bulk predictions: what one reads and by what, what came of each of its chunks, and what all came to."""

from __future__ import annotations

import hashlib
from datetime import datetime

from pydantic import Field

from perennial.definitions import Dataset, FeatureView
from perennial.records.base import Record


class BulkFile(Record):
    """A file whose rows are predicted."""

    name: str
    """What messages and predictions call it."""
    bucket: str
    key: str
    version_id: str | None = None
    """None means that the bucket keeps no versions."""
    size: int
    """Bytes."""


class BulkTable(Record):
    """The offline table of a stored view that features are looked up in."""

    view: FeatureView
    """As it was when the version was trained."""
    version: str
    """As the version's manifest has it."""
    manifest_key: str
    manifest_sha256: str


class BulkPlan(Record):
    """All that a bulk prediction depends on: two of equal plans give the same bytes, and share their chunks."""

    format: int = 1
    model: str
    version: int
    manifest_key: str
    manifest_sha256: str
    dataset: Dataset
    """The contract of the model's rows, as it was when the version was trained."""
    files: tuple[BulkFile, ...]
    tables: tuple[BulkTable, ...]
    """Of the version's stored views, in the manifest's order."""
    at: datetime | None
    """When a row happens that does not say it (UTC, without a zone); None where that does not matter."""
    code_version: str
    shared_above: int
    """Bytes of a file above which its chunks are spread over all jobs; a smaller one is read by one of them alone."""

    @property
    def bulk_id(self) -> str:
        """The beginning of the plan's SHA-256 (32 hex digits)."""
        return hashlib.sha256(self.content()).hexdigest()[:32]

    def content(self) -> bytes:
        """Return the plan as it is written down."""
        return self.model_dump_json().encode()


class BulkChunk(Record):
    """What came of a chunk: consecutive rows of a file."""

    rows: int
    """Predicted rows."""
    rejected: int
    part_sha256: str | None
    """Of the Parquet with the predictions; None without any."""
    rejects_sha256: str | None
    """Of the JSON Lines of rejected rows; None without any."""
    rejected_by: dict[str, int] = Field(default_factory=dict)
    """Rejected rows by what they break first."""
    missing: dict[str, int] = Field(default_factory=dict)
    """Feature to the rows in which it has no value."""


class BulkEnd(Record):
    """What is known of a file once it was read to its end."""

    chunks: int
    sha256: str


class BulkFileResult(Record):
    """What came of a file."""

    name: str
    source: str
    """Its URI."""
    version_id: str | None
    sha256: str
    size: int
    rows: int
    rejected: int
    rejected_by: dict[str, int]
    """Rejected rows by what they break first."""
    parts: tuple[str, ...]
    """Keys of the predictions, in the order of the file's rows."""
    rejects: tuple[str, ...]
    """Keys of the rejected rows, likewise."""


class BulkResult(Record):
    """What a bulk prediction came to (``bulk/<model>/<id>/result.json``)."""

    format: int = 1
    bulk_id: str
    model: str
    version: int
    manifest_sha256: str
    at: datetime | None
    views: dict[str, dict[str, str]]
    """Stored view to the ``version`` that was read, and to the ``manifest_key`` and ``sha256`` of its table."""
    files: tuple[BulkFileResult, ...]
    rows: int
    rejected: int
    rejected_by: dict[str, int]
    missing: dict[str, int]
    """Feature to the rows in which it has no value."""
    sha256: dict[str, str]
    """Each part and file of rejected rows, by its key."""
