"""What the steps need of the world, as protocols. ``perennial.aws`` and ``perennial.fakes`` implement them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from perennial.definition_files import Definitions
from perennial.live_uploads import LiveUpload
from perennial.records import (
    Assessment,
    AuditEntry,
    Champion,
    Erasure,
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

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return ``length`` bytes from ``start`` on, fewer where the object ends, or raise NotFoundError."""

    def size(self, key: str, version: str | None = None) -> int:
        """Return how many bytes an object has, or raise NotFoundError."""

    def put(self, key: str, content: bytes, content_type: str = "application/octet-stream") -> None:
        """Write an object; a second write of the same key replaces it."""

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

    def publish_snapshot(
        self, snapshot: Snapshot, read: Mapping[str, Snapshot] | None = None, revision: int | None = None
    ) -> tuple[Snapshot, bool]:
        """Make an upload's snapshot visible and raise its dataset's revision, in one transaction.

        The rules are those of `perennial.live_uploads`.

        Parameters
        ----------
        snapshot : Snapshot
            The upload's good rows, but those forgotten.
        read : dict of str to Snapshot
            Originals, also this one, to what is read in their place from now on, because rows are superseded by key;
            the original itself where that is no longer so. What is not named stays as it is.
        revision : int or None
            The dataset's revision from which the caller computed all this; None if it depends on no other upload.

        Returns
        -------
        (Snapshot, bool)
            The snapshot and True if other rows are visible now. Else False, with the snapshot of the same id
            that is there already, or with the one of a later upload of the same source.

        Raises
        ------
        ConflictError
            The dataset is at another revision by now, and publishing would change something.
        """

    def snapshots(self, dataset: str) -> tuple[list[Snapshot], int]:
        """Return the live snapshots of a dataset, oldest event time first, and the dataset's revision."""

    def uploads(self, dataset: str) -> tuple[list[LiveUpload], int]:
        """Return the live snapshots with their originals and latest uploads, in the same order, and the revision."""

    def publish_erasure(
        self, erasure: Erasure, originals: Mapping[str, Snapshot], read: Mapping[str, Snapshot], revision: int
    ) -> None:
        """Record that rows were forgotten, put others in the place of the snapshots that held them, in one transaction.

        Nothing happens if the erasure is recorded already.

        Parameters
        ----------
        originals : dict of str to Snapshot
            Live originals to what is left of them.
        read : dict of str to Snapshot
            Originals, as they are left, to what is read in their place; as in `publish_snapshot`.
        revision : int
            The dataset's revision from which the caller computed all this; it is raised.

        Raises
        ------
        ConflictError
            The dataset is at another revision by now.
        """

    def erasures(self, dataset: str) -> list[Erasure]:
        """Return what was forgotten of a dataset, in the order of the ids."""

    def publish_view(self, view: ViewVersion, seen: str | None) -> bool:
        """Make a view's offline table visible if the one that the caller saw is still there; tell whether.

        Parameters
        ----------
        view : ViewVersion
            The table. Its caller has made sure that no dataset's revision is behind that of the table it saw.
        seen : str or None
            ``manifest_key`` of the published table of this version that the caller read; None if there was none.
        """

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
    expires_at: datetime | None = None
    """When the store may forget the row, at its leisure; without a zone it is taken as UTC. Not read back."""


@dataclass(frozen=True)
class Lookup:
    """Which values of a stored view are asked for."""

    view: str
    version: str
    entities: Sequence[tuple[Any, ...]]
    """Each may stand here more than once."""
    columns: Sequence[str]


class OnlineStore(Protocol):
    """The latest values of stored views, by entity.

    A row's rank is ``(revision, feature_time)``, and a withdrawal ranks above all rows of its revision. Whatever the
    order in which writers come, what ranks highest stands in the end.
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
