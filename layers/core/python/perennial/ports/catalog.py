"""The port to the system's memory."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from perennial.live_uploads import LiveUpload
from perennial.ports.registry import Registry
from perennial.records import (
    Assessment,
    Erasure,
    ExperimentLog,
    Made,
    ModelVersion,
    Run,
    Snapshot,
    StepRecord,
    ViewVersion,
)

RECORD_BYTES = 400 * 1024
"""The size of the largest record that a catalog keeps, its keys included (DynamoDB's limit of an item)."""


class Catalog(Registry, Protocol):
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

    def remember(self, made: Made) -> None:
        """Write what a step made from its inputs, in place of what was remembered of the same inputs."""

    def remembered(self, subject: str, step: str, key: str | None = None) -> Made | None:
        """Return what a step made from the inputs of a key, or what it made last; None if nothing is known."""

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

    def ever_published(self, dataset: str) -> list[Snapshot]:
        """Return all snapshots that a dataset ever had, live or not, in the order of their ids.

        Such as a killed run left before it published them may be among them.
        """

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

    def record_experiment(self, log: ExperimentLog) -> None:
        """Remember what an experiment has logged so far (the latest write stands)."""

    def experiment(self, model: str, run_id: str) -> ExperimentLog:
        """Return what an experiment has logged, or raise NotFoundError."""

    def experiments(self, model: str) -> list[ExperimentLog]:
        """Return what each experiment on a model has logged, in the order of their ids."""

    def record_assessment(self, assessment: Assessment) -> None:
        """Remember what the monitor found."""

    def assessments(self, model: str, limit: int = 50) -> list[Assessment]:
        """Return the monitor's findings on a model, newest first."""
