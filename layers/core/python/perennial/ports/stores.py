"""The ports to objects, to online features and to metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from perennial.online_rows import Lookup, OnlineRow


class ObjectStore(Protocol):
    """One bucket. Keys are plain strings; every method raises TransientError when the service is unwell."""

    bucket: str

    def get(self, key: str) -> bytes:
        """Return an object's bytes, or raise NotFoundError."""

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return ``length`` bytes from ``start`` on, fewer where the object ends, or raise NotFoundError."""

    def size(self, key: str, version: str | None = None) -> int:
        """Return how many bytes an object has, or raise NotFoundError."""

    def put(self, key: str, content: bytes, content_type: str = "application/octet-stream") -> None:
        """Write an object; a second write of the same key replaces it."""

    def put_new(self, key: str, content: bytes, content_type: str = "application/octet-stream") -> bool:
        """Write an object unless there is one of this key; tell whether. Of writers that race, one is told so."""

    def download(self, key: str, path: Path, version: str | None = None) -> None:
        """Copy an object into a file, or raise NotFoundError."""

    def upload(self, path: Path, key: str) -> None:
        """Copy a file into an object."""

    def exists(self, key: str) -> bool:
        """Tell whether there is such an object."""

    def delete(self, key: str, version: str | None = None) -> None:
        """Take an object away, or one of its versions for good; nothing happens if it is not there.

        Where the bucket keeps versions, an object that was taken away is still there in its versions.
        """

    def versions(self, key: str) -> list[str]:
        """Return an object's versions, newest first, none if it never was there; ``null`` where no versions are kept.

        Versions are there also when the object itself was taken away.
        """

    def written_at(self, key: str, version: str | None = None) -> datetime:
        """Return when an object was written, to the second, or raise NotFoundError."""

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with ``prefix``, in lexical order, all pages."""


class OnlineStore(Protocol):
    """The latest values of stored views, by entity, with those before them.

    A row's rank is ``(revision, feature_time)``, and a withdrawal ranks above all rows of its revision. Whatever the
    order in which writers come, what ranks highest stands in the end; its previous row comes and goes with it.
    """

    def write(self, view: str, version: str, rows: Iterable[OnlineRow], revision: int) -> int:
        """Write each row that is later, by ``(revision, feature_time)``, than what is there; return how many.

        A revision's rows are computed from all of its snapshots. So a later revision stands even where its feature
        time is earlier, as when a corrected file has taken the latest rows back.
        """

    def withdraw(self, view: str, version: str, entities: Iterable[tuple[Any, ...]], revision: int) -> int:
        """Take away the rows of entities that a revision no longer has; return how many were there.

        A row of a later revision stays. A writer of this revision or an earlier one who comes late brings none back.
        """

    def read_many(self, lookups: Sequence[Lookup]) -> list[dict[tuple[Any, ...], OnlineRow]]:
        """Return, for each lookup, the rows of those entities that exist, with the named columns only.

        All lookups together take one round trip per 100 distinct rows. What the service leaves unanswered is asked
        for again and never taken for missing; TransientError if it stays so.
        """


@dataclass(frozen=True)
class Metric:
    """One datum for the metric sink."""

    name: str
    value: float
    dimensions: Mapping[str, str]


class MetricSink(Protocol):
    """Where figures go that alarms look at."""

    def put(self, metrics: Sequence[Metric], at: datetime) -> None:
        """Publish metrics."""
