"""Test doubles of the stores, the metric sink and the clock."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from perennial import keys
from perennial.errors import DataError, NotFoundError
from perennial.ports import Metric, OnlineRow


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
        self._versions: dict[str, list[bytes]] = {}

    def get(self, key: str) -> bytes:
        """Return an object's bytes, or raise NotFoundError."""
        return self._read(key, None)

    def put(self, key: str, content: bytes, content_type: str = "application/octet-stream") -> None:
        """Write an object; a second write of the same key replaces it."""
        with self._lock:
            self._versions.setdefault(key, []).append(bytes(content))
            self.content_types[key] = content_type

    def download(self, key: str, path: Path, version: str | None = None) -> None:
        """Copy an object into a file, or raise NotFoundError."""
        path.write_bytes(self._read(key, version))

    def upload(self, path: Path, key: str) -> None:
        """Copy a file into an object."""
        self.put(key, path.read_bytes())

    def exists(self, key: str) -> bool:
        """Tell whether there is such an object."""
        with self._lock:
            return key in self._versions

    def written_at(self, key: str, version: str | None = None) -> datetime:
        """Return when an object was written, or raise NotFoundError; here, each version a second after the last."""
        self._read(key, version)
        number = self.latest_version(key) if version is None else version
        return datetime(2019, 1, 1, tzinfo=UTC) + timedelta(seconds=int(number))

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with ``prefix``, in lexical order (of their UTF-8 bytes, as S3 has it)."""
        with self._lock:
            return sorted((key for key in self._versions if key.startswith(prefix)), key=str.encode)

    def latest_version(self, key: str) -> str:
        """Return the version id of the latest write, or raise NotFoundError; not part of the port."""
        self._read(key, None)
        with self._lock:
            return str(len(self._versions[key]))

    def delete(self, key: str) -> None:
        """Take an object away, as somebody might behind the system's back; not part of the port."""
        with self._lock:
            self._versions.pop(key, None)

    def _read(self, key: str, version: str | None) -> bytes:
        with self._lock:
            for number, content in reversed(list(enumerate(self._versions.get(key, ()), start=1))):
                if version in (None, str(number)):
                    return content
        which = "" if version is None else f" in version {version}"
        raise NotFoundError(f"s3://{self.bucket}/{key}: there is no such object{which}")


class FakeOnlineStore:
    """The online feature store in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, tuple[OnlineRow, int]] = {}

    def write(self, view: str, version: str, rows: Iterable[OnlineRow], revision: int) -> int:
        """Write each row that is later, by ``(revision, feature_time)``, than what is there; return how many."""
        written = 0
        for row in rows:
            key = keys.online(view, version, row.entity)
            copy = OnlineRow(row.entity, _utc(row.feature_time), _plain(view, row))
            with self._lock:
                known = self._rows.get(key)
                if known is None or (known[1], known[0].feature_time) < (revision, copy.feature_time):
                    self._rows[key] = (copy, revision)
                    written += 1
        return written

    def read(
        self, view: str, version: str, entities: Sequence[tuple[Any, ...]], columns: Sequence[str]
    ) -> dict[tuple[Any, ...], OnlineRow]:
        """Return the rows of those entities that exist, with the named columns only."""
        found: dict[tuple[Any, ...], OnlineRow] = {}
        for entity in entities:
            with self._lock:
                known = self._rows.get(keys.online(view, version, entity))
            if known is not None:
                row = known[0]
                values = {column: row.values[column] for column in columns if column in row.values}
                found[entity] = OnlineRow(entity, row.feature_time, values)
        return found


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


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
