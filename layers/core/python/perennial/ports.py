"""What the steps need of the world, as protocols. ``perennial.aws`` and ``perennial.fakes`` implement them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from perennial.definition_files import Definitions
from perennial.records import (
    Assessment,
    AuditEntry,
    Champion,
    ModelVersion,
    Run,
    Snapshot,
    StepRecord,
    ViewVersion,
)


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """Return the current moment in UTC."""


class ObjectStore(Protocol):
    """One bucket. Keys are plain strings; every method raises TransientError when the service is unwell."""

    bucket: str

    def get(self, key: str) -> bytes:
        """Return an object's bytes, or raise NotFoundError."""

    def put(self, key: str, content: bytes, content_type: str = "application/octet-stream") -> None:
        """Write an object; a second write of the same key replaces it."""

    def download(self, key: str, path: Path, version: str | None = None) -> None:
        """Copy an object into a file, or raise NotFoundError."""

    def upload(self, path: Path, key: str) -> None:
        """Copy a file into an object."""

    def exists(self, key: str) -> bool:
        """Tell whether there is such an object."""

    def written_at(self, key: str, version: str | None = None) -> datetime:
        """Return when an object was written, to the second, or raise NotFoundError."""

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with ``prefix``, in lexical order, all pages."""


RECORD_BYTES = 400 * 1024
"""The size of the largest record that a catalog keeps, its keys included (DynamoDB's limit of an item)."""


class Catalog(Protocol):
    """The system's memory: runs, snapshots, views, versions, pointers.

    Writers publish in one transaction; readers see what is published only. Every method may be called
    again with the same arguments without changing the outcome. A record beyond ``RECORD_BYTES`` is a DataError.
    """

    def start_run(self, run: Run) -> Run:
        """Record a run unless it is there already; return the recorded one."""

    def finish_run(
        self,
        run_id: str,
        status: str,
        at: datetime,
        error: str | None = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> Run:
        """Close a run that is running; a closed run stays as it is and is returned. NotFoundError if unknown."""

    def run(self, run_id: str) -> Run:
        """Return a run, or raise NotFoundError."""

    def runs(self, limit: int = 50, kind: str | None = None, subject: str | None = None) -> list[Run]:
        """Return the latest runs, newest first, filtered before ``limit`` is applied."""

    def record_step(self, step: StepRecord) -> None:
        """Write a step's record (the latest write of ``(run_id, step)`` stands)."""

    def steps(self, run_id: str) -> list[StepRecord]:
        """Return a run's steps in the order in which they started."""

    def step(self, run_id: str, step: str) -> StepRecord:
        """Return one step's record, or raise NotFoundError."""

    def claim(self, name: str, owner: str, until: datetime, now: datetime) -> str:
        """Take a named lock until a moment; return who holds it: ``owner`` itself, or the one who was first.

        The holder may claim again (which extends it); a lock past its ``until`` is free.
        """

    def release(self, name: str, owner: str) -> None:
        """Give a lock back; nothing happens if ``owner`` does not hold it."""

    def publish_snapshot(self, snapshot: Snapshot) -> tuple[Snapshot, bool]:
        """Make a snapshot visible and raise its dataset's revision, in one transaction.

        Returns
        -------
        (Snapshot, bool)
            The published snapshot and True, or the one of the same id that is there already and False. A snapshot of
            the same source that has other content supersedes the older one; when that one was uploaded later
            (``uploaded_at``), it stays, and is returned with False. A superseded snapshot becomes visible
            again (True) when its content comes in another upload: another ``source`` or ``source_version``. The same
            content under two sources is one snapshot, visible while either has it.
        """

    def snapshots(self, dataset: str) -> tuple[list[Snapshot], int]:
        """Return the live snapshots of a dataset, oldest event time first, and the dataset's revision."""

    def publish_view(self, view: ViewVersion) -> bool:
        """Make a view's offline table visible unless its version is there at a later revision; tell whether."""

    def view(self, view: str, version: str) -> ViewVersion:
        """Return the published offline table of a view's version, or raise NotFoundError."""

    def allocate_version(self, model: str, run_id: str) -> int:
        """Return the version number of a run: the next one (1, 2, 3, …), the same again when asked again."""

    def publish_version(self, version: ModelVersion) -> None:
        """Record a version, unless it is there already."""

    def version(self, model: str, version: int) -> ModelVersion:
        """Return a version, or raise NotFoundError."""

    def versions(self, model: str) -> list[ModelVersion]:
        """Return all versions of a model, newest first."""

    def models(self) -> list[str]:
        """Return the names of the models that have a version."""

    def champion(self, model: str) -> Champion | None:
        """Return the pointer to the version that serves, or None."""

    def promote(
        self,
        model: str,
        version: int,
        expected: int | None,
        at: datetime,
        by: str,
        reason: str,
        action: str = "promote",
    ) -> Champion:
        """Move the champion pointer, archive the old champion and write the audit entry, in one transaction.

        Parameters
        ----------
        expected : int or None
            The version that the caller saw serving.

        Raises
        ------
        ConflictError
            Another version serves by now. (If ``version`` itself serves already, that pointer is returned.)
        NotFoundError
            There is no such version.
        """

    def audit(self, model: str) -> list[AuditEntry]:
        """Return the movements of a model's pointer, newest first."""

    def record_assessment(self, assessment: Assessment) -> None:
        """Remember what the monitor found."""

    def assessments(self, model: str, limit: int = 50) -> list[Assessment]:
        """Return the monitor's findings on a model, newest first."""


@dataclass(frozen=True)
class OnlineRow:
    """One entity's values of a stored view."""

    entity: tuple[Any, ...]
    feature_time: datetime
    """When the values became known; without a zone it is taken as UTC. What is read is in UTC."""
    values: Mapping[str, float | int | str | bool | None]


class OnlineStore(Protocol):
    """The latest values of stored views, by entity."""

    def write(self, view: str, version: str, rows: Iterable[OnlineRow], revision: int) -> int:
        """Write each row that is later, by ``(revision, feature_time)``, than what is there; return how many.

        A revision's rows are computed from all of its snapshots. So a later revision stands even where its feature
        time is earlier, as when a corrected file has taken the latest rows back.
        """

    def read(
        self, view: str, version: str, entities: Sequence[tuple[Any, ...]], columns: Sequence[str]
    ) -> dict[tuple[Any, ...], OnlineRow]:
        """Return the rows of those entities that exist, with the named columns only; one round trip per 100."""


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


@dataclass(frozen=True)
class Ports:
    """Everything a step may touch."""

    catalog: Catalog
    raw: ObjectStore
    artifacts: ObjectStore
    online: OnlineStore
    metrics: MetricSink
    clock: Clock
    definitions: Definitions
    deployment: str
    """Name of the deployment, a dimension of every metric."""
    code_version: str
