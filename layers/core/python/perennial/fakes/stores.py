"""Test doubles of the stores, the metric sink and the clock."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from perennial import keys
from perennial.errors import DataError, NotFoundError
from perennial.ports import Lookup, Metric, OnlineRow
from perennial.ports.people import LONGEST_SUBJECT
from perennial.serving.logged import LoggedRequest
from perennial.utc import aware_utc


class FixedClock:
    """A clock that stands still until it is told to move.

    Parameters
    ----------
    at : datetime or str
        The moment it shows; a string is ISO 8601 with its zone.
    """

    def __init__(self, at: datetime | str = "2019-03-01T00:00:00Z") -> None:
        self._lock = threading.Lock()
        self._at = _moment(at)

    def now(self) -> datetime:
        """Return the moment that was set."""
        with self._lock:
            return self._at

    def set(self, at: datetime | str) -> None:
        """Show another moment, earlier or later."""
        with self._lock:
            self._at = _moment(at)

    def advance(self, by: timedelta | None = None, **parts: float) -> datetime:
        """Move on by a timedelta, or by its parts (``advance(hours=2)``), and return the new moment."""
        with self._lock:
            self._at += timedelta(**parts) if by is None else by
            return self._at


def _moment(at: datetime | str) -> datetime:
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    if moment.tzinfo is None:
        raise ValueError(f"a moment needs its time zone, such as {moment.isoformat()}Z")
    return moment.astimezone(UTC)


class FakeObjectStore:
    """A versioned bucket in memory.

    Parameters
    ----------
    bucket : str
        Its name.
    """

    def __init__(self, bucket: str = "artifacts") -> None:
        self.bucket = bucket
        self.content_types: dict[str, str] = {}
        self._lock = threading.Lock()
        # Contents by number; None says that the object was taken away there, as S3's delete markers do.
        self._versions: dict[str, dict[int, bytes | None]] = {}
        self._written: dict[str, int] = {}

    def get(self, key: str) -> bytes:
        """Return an object's bytes, or raise NotFoundError."""
        return self._read(key, None)

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return ``length`` bytes from ``start`` on, fewer where the object ends, or raise NotFoundError."""
        return self._read(key, None)[start : start + length]

    def size(self, key: str, version: str | None = None) -> int:
        """Return how many bytes an object has, or raise NotFoundError."""
        return len(self._read(key, version))

    def put(self, key: str, content: bytes, content_type: str = "application/octet-stream") -> None:
        """Write an object; a second write of the same key replaces it."""
        with self._lock:
            self._add(key, bytes(content))
            self.content_types[key] = content_type

    def put_new(self, key: str, content: bytes, content_type: str = "application/octet-stream") -> bool:
        """Write an object unless there is one of this key; tell whether."""
        with self._lock:
            if self._there(key):
                return False
            self._add(key, bytes(content))
            self.content_types[key] = content_type
            return True

    def download(self, key: str, path: Path, version: str | None = None) -> None:
        """Copy an object into a file, or raise NotFoundError."""
        path.write_bytes(self._read(key, version))

    def upload(self, path: Path, key: str) -> None:
        """Copy a file into an object."""
        self.put(key, path.read_bytes())

    def exists(self, key: str) -> bool:
        """Tell whether there is such an object."""
        with self._lock:
            return self._there(key)

    def written_at(self, key: str, version: str | None = None) -> datetime:
        """Return when an object was written, or raise NotFoundError; here, each version a second after the last."""
        self._read(key, version)
        number = self.latest_version(key) if version is None else version
        return datetime(2019, 1, 1, tzinfo=UTC) + timedelta(seconds=int(number))

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with ``prefix``, in lexical order (of their UTF-8 bytes, as S3 has it)."""
        with self._lock:
            return sorted(
                (key for key in self._versions if key.startswith(prefix) and self._there(key)), key=str.encode
            )

    def latest_version(self, key: str) -> str:
        """Return the version id of the latest write, or raise NotFoundError; not part of the port."""
        self._read(key, None)
        with self._lock:
            return str(max(self._versions[key]))

    def delete(self, key: str, version: str | None = None) -> None:
        """Take an object away, or one of its versions for good; nothing happens if it is not there."""
        with self._lock:
            known = self._versions.get(key, {})
            if version is None and self._there(key):
                self._add(key, None)
            elif version is not None and version.isdigit():
                known.pop(int(version), None)
                if all(content is None for content in known.values()):
                    self._versions.pop(key, None)

    def versions(self, key: str) -> list[str]:
        """Return an object's versions, newest first."""
        with self._lock:
            known = self._versions.get(key, {})
            return [str(number) for number in sorted(known, reverse=True) if known[number] is not None]

    def _add(self, key: str, content: bytes | None) -> None:
        self._written[key] = self._written.get(key, 0) + 1
        self._versions.setdefault(key, {})[self._written[key]] = content

    def _there(self, key: str) -> bool:
        known = self._versions.get(key)
        return known is not None and known[max(known)] is not None

    def _read(self, key: str, version: str | None) -> bytes:
        with self._lock:
            known = self._versions.get(key, {})
            number = max(known, default=0) if version is None else int(version) if version.isdigit() else 0
            content = known.get(number)
        if content is not None:
            return content
        which = "" if version is None else f" in version {version}"
        raise NotFoundError(f"s3://{self.bucket}/{key}: there is no such object{which}")


class FakeOnlineStore:
    """The online feature store in memory. Nothing expires here, as DynamoDB too deletes expired items when it likes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, tuple[int, datetime, OnlineRow | None]] = {}

    def write(self, view: str, version: str, rows: Iterable[OnlineRow], revision: int) -> int:
        """Write each row that is later, by ``(revision, feature_time)``, than what is there; return how many."""
        written = 0
        for row in rows:
            copy = _copy(view, row)
            known = self._replace(keys.online(view, version, row.entity), (revision, copy.feature_time, copy))
            written += known is not _REFUSED
        return written

    def withdraw(self, view: str, version: str, entities: Iterable[tuple[Any, ...]], revision: int) -> int:
        """Take away the rows of entities that a revision no longer has; return how many were there."""
        withdrawn = 0
        for entity in entities:
            known = self._replace(keys.online(view, version, entity), (revision, _AFTER_ALL, None))
            withdrawn += isinstance(known, OnlineRow)
        return withdrawn

    def read_many(self, lookups: Sequence[Lookup]) -> list[dict[tuple[Any, ...], OnlineRow]]:
        """Return, for each lookup, the rows of those entities that exist, with the named columns only."""
        return [self._read(lookup) for lookup in lookups]

    def _read(self, lookup: Lookup) -> dict[tuple[Any, ...], OnlineRow]:
        found: dict[tuple[Any, ...], OnlineRow] = {}
        for entity in lookup.entities:
            with self._lock:
                known = self._rows.get(keys.online(lookup.view, lookup.version, entity))
            row = None if known is None else known[2]
            if row is not None:
                previous = row.previous
                if lookup.since is not None and row.feature_time <= aware_utc(lookup.since):
                    previous = None
                found[entity] = replace(
                    _chosen(entity, row, lookup.columns),
                    previous=None if previous is None else _chosen(entity, previous, lookup.columns),
                )
        return found

    def _replace(self, key: str, new: tuple[int, datetime, OnlineRow | None]) -> OnlineRow | object | None:
        """Put an entry in a lower one's place; return the row that stood there, or that the entry was refused."""
        with self._lock:
            known = self._rows.get(key)
            if known is not None and known[:2] >= new[:2]:
                return _REFUSED
            self._rows[key] = new
        return None if known is None else known[2]


_REFUSED = object()
_AFTER_ALL = datetime.max.replace(tzinfo=UTC)


def _copy(view: str, row: OnlineRow) -> OnlineRow:
    previous = None if row.previous is None else _copy(view, row.previous)
    return OnlineRow(row.entity, aware_utc(row.feature_time), _plain(view, row), previous=previous)


def _chosen(entity: tuple[Any, ...], row: OnlineRow, columns: Sequence[str]) -> OnlineRow:
    return OnlineRow(entity, row.feature_time, {name: row.values[name] for name in columns if name in row.values})


def _plain(view: str, row: OnlineRow) -> dict[str, Any]:
    for column, value in row.values.items():
        if not isinstance(value, float | int | str | None):
            raise DataError(f"view {view}: column {column} of entity {row.entity} holds a {type(value).__name__}")
    return dict(row.values)


class FakeMetricSink:
    """Keeps what was published.

    Attributes
    ----------
    published : list of (Metric, datetime)
        Every metric with its moment, in the order of publishing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.published: list[tuple[Metric, datetime]] = []

    def put(self, metrics: Sequence[Metric], at: datetime) -> None:
        """Publish metrics."""
        with self._lock:
            self.published.extend((metric, at) for metric in metrics)

    def values(self, name: str, dimensions: Mapping[str, str] | None = None) -> list[float]:
        """Return the published values of a metric, oldest first; not part of the port."""
        with self._lock:
            return [
                metric.value
                for metric, _ in self.published
                if metric.name == name and (dimensions is None or dict(metric.dimensions) == dict(dimensions))
            ]


class FakePeople:
    """Keeps what they were told.

    Attributes
    ----------
    messages : list of (str, str)
        Subjects and texts, in their order.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.messages: list[tuple[str, str]] = []

    def tell(self, subject: str, text: str) -> None:
        """Keep a message; one that SNS would refuse is refused."""
        if not subject.isascii() or not subject.isprintable() or not 0 < len(subject) <= LONGEST_SUBJECT:
            raise DataError(f"the subject is one line of {LONGEST_SUBJECT} characters of ASCII at most: {subject!r}")
        with self._lock:
            self.messages.append((subject, text))


class FakePredictionLog:
    """Keeps what was answered; `perennial.serving.log_lines` is not gone through.

    Attributes
    ----------
    requests : list of LoggedRequest
        In the order of writing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests: list[LoggedRequest] = []

    def write(self, logged: LoggedRequest) -> None:
        """Keep a request."""
        with self._lock:
            self.requests.append(logged)
