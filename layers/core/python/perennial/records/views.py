"""Stored views: their offline tables and the parts that these consist of."""

from __future__ import annotations

from pydantic import Field

from perennial.records.base import Moment, Record
from perennial.records.snapshots import Part


class ViewPart(Part):
    """The part of a stored view for one bucket of entities and one stretch of feature time."""

    period: str
    """Month of the feature times, such as ``2019-01``; ``2019-02..`` for all that comes from that month on, behind the
    last month that has rows; ``2009-02..2018-12`` for months that no row reaches; ``all`` for a view without a
    window."""
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
