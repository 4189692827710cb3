"""Test double of the catalog."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from perennial.errors import ConflictError, DataError, NotFoundError
from perennial.fakes.registry import FakeRegistry
from perennial.live_uploads import DatasetState, LiveUpload, moved_on
from perennial.ports import RECORD_BYTES
from perennial.records import (
    Assessment,
    Erasure,
    ExperimentLog,
    Made,
    ModelVersion,
    Record,
    Run,
    Snapshot,
    StepRecord,
    ViewVersion,
)

Kept = TypeVar("Kept", bound=Record)


def _kept(record: Kept) -> Kept:
    """Return what a catalog that keeps JSON gives back: a tuple in a free-form field has become a list."""
    content = record.model_dump_json()
    if len(content.encode()) > RECORD_BYTES:
        raise DataError(f"a {type(record).__name__} is beyond {RECORD_BYTES:,} bytes; keep data in an object")
    return type(record).model_validate_json(content)


class FakeRuns:
    """Runs, steps and claims in memory."""

    def __init__(self) -> None:
        # One lock around each whole method stands for DynamoDB's transactions.
        self._lock = threading.RLock()
        self._runs: dict[str, Run] = {}
        self._steps: dict[tuple[str, str], StepRecord] = {}
        self._claims: dict[str, tuple[str, datetime]] = {}
        self._made: dict[tuple[str, str, str | None], Made] = {}

    def start_run(self, run: Run) -> Run:
        """Record a run unless it is there already; return the recorded one."""
        with self._lock:
            return self._runs.setdefault(run.run_id, _kept(run))

    def finish_run(
        self,
        run_id: str,
        status: str,
        at: datetime,
        error: str | None = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> Run:
        """Close a run that is running; a closed run stays as it is and is returned. NotFoundError if unknown."""
        with self._lock:
            run = self.run(run_id)
            if run.status == "running":
                run = self._runs[run_id] = _kept(run.closed(status, at, error, outputs))
            return run

    def run(self, run_id: str) -> Run:
        """Return a run, or raise NotFoundError."""
        with self._lock:
            if run_id not in self._runs:
                raise NotFoundError(f"there is no run {run_id!r}")
            return self._runs[run_id]

    def runs(self, limit: int = 50, kind: str | None = None, subject: str | None = None) -> list[Run]:
        """Return the latest runs, newest first, filtered before ``limit`` is applied."""
        with self._lock:
            newest = sorted(self._runs.values(), key=lambda run: (run.started_at, run.run_id), reverse=True)
        return [run for run in newest if kind in (None, run.kind) and subject in (None, run.subject)][:limit]

    def record_step(self, step: StepRecord) -> None:
        """Write a step's record (the latest write of ``(run_id, step)`` stands)."""
        with self._lock:
            self._steps[step.run_id, step.step] = _kept(step)

    def steps(self, run_id: str) -> list[StepRecord]:
        """Return a run's steps in the order in which they started."""
        with self._lock:
            own = [step for step in self._steps.values() if step.run_id == run_id]
        return sorted(own, key=lambda step: (step.started_at, step.step))

    def step(self, run_id: str, step: str) -> StepRecord:
        """Return one step's record, or raise NotFoundError."""
        with self._lock:
            if (run_id, step) not in self._steps:
                raise NotFoundError(f"run {run_id!r} has no step {step!r}")
            return self._steps[run_id, step]

    def remember(self, made: Made) -> None:
        """Write what a step made from its inputs, in place of what was remembered of the same inputs."""
        with self._lock:
            for key in (made.key, None):
                self._made[made.subject, made.step, key] = _kept(made)

    def remembered(self, subject: str, step: str, key: str | None = None) -> Made | None:
        """Return what a step made from the inputs of a key, or what it made last; None if nothing is known."""
        with self._lock:
            return self._made.get((subject, step, key))

    def claim(self, name: str, owner: str, until: datetime, now: datetime) -> str:
        """Take a named lock until a moment; return who holds it: ``owner`` itself, or the one who was first."""
        with self._lock:
            holder, end = self._claims.get(name, (owner, until))
            if holder != owner and end > now:
                return holder
            self._claims[name] = (owner, until)
            return owner

    def release(self, name: str, owner: str) -> None:
        """Give a lock back; nothing happens if ``owner`` does not hold it."""
        with self._lock:
            if name in self._claims and self._claims[name][0] == owner:
                del self._claims[name]


class FakeExperiments(FakeRuns):
    """Experiments in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._experiments: dict[tuple[str, str], ExperimentLog] = {}

    def record_experiment(self, log: ExperimentLog) -> None:
        """Remember what an experiment has logged so far (the latest write stands)."""
        with self._lock:
            self._experiments[log.model, log.run_id] = _kept(log)

    def experiment(self, model: str, run_id: str) -> ExperimentLog:
        """Return what an experiment has logged, or raise NotFoundError."""
        with self._lock:
            if (model, run_id) not in self._experiments:
                raise NotFoundError(f"model {model!r} has no experiment {run_id!r}")
            return self._experiments[model, run_id]

    def experiments(self, model: str) -> list[ExperimentLog]:
        """Return what each experiment on a model has logged, in the order of their ids."""
        with self._lock:
            return [log for (name, _), log in sorted(self._experiments.items()) if name == model]


class FakeDatasets(FakeRuns):
    """Snapshots and views in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._datasets: dict[str, DatasetState] = {}
        self._snapshots: dict[str, dict[str, Snapshot]] = {}
        self._erasures: dict[str, dict[str, Erasure]] = {}
        self._views: dict[tuple[str, str], ViewVersion] = {}

    def publish_snapshot(
        self, snapshot: Snapshot, read: Mapping[str, Snapshot] | None = None, revision: int | None = None
    ) -> tuple[Snapshot, bool]:
        """Make an upload's snapshot visible and raise its dataset's revision, in one transaction."""
        read = read or {}
        with self._lock:
            state = self._datasets.get(snapshot.dataset, DatasetState())
            records = self._snapshots.setdefault(snapshot.dataset, {})
            after = state.publish(snapshot, records.get(snapshot.snapshot_id), read)
            changed = after.revision != state.revision
            if after != state:
                if revision not in (None, state.revision):
                    raise ConflictError(moved_on(snapshot.dataset, revision, state.revision))
                if changed:
                    records[snapshot.snapshot_id] = _kept(snapshot)
                    for other in read.values():
                        records.setdefault(other.snapshot_id, _kept(other))
                self._datasets[snapshot.dataset] = after
            return (snapshot, True) if changed else (records[after.stands(snapshot)], False)

    def snapshots(self, dataset: str) -> tuple[list[Snapshot], int]:
        """Return the live snapshots of a dataset, oldest event time first, and the dataset's revision."""
        uploads, revision = self.uploads(dataset)
        return [upload.snapshot for upload in uploads], revision

    def ever_published(self, dataset: str) -> list[Snapshot]:
        """Return all snapshots that a dataset ever had, live or not, in the order of their ids."""
        with self._lock:
            return [snapshot for _, snapshot in sorted(self._snapshots.get(dataset, {}).items())]

    def uploads(self, dataset: str) -> tuple[list[LiveUpload], int]:
        """Return the live snapshots with their originals and latest uploads, and the dataset's revision."""
        with self._lock:
            state = self._datasets.get(dataset, DatasetState())
            return state.uploads(self._snapshots.get(dataset, {})), state.revision

    def publish_erasure(
        self, erasure: Erasure, originals: Mapping[str, Snapshot], read: Mapping[str, Snapshot], revision: int
    ) -> None:
        """Record that rows were forgotten, and put others in the place of the snapshots that held them."""
        with self._lock:
            erasures = self._erasures.setdefault(erasure.dataset, {})
            if erasure.erasure_id in erasures:
                return
            state = self._datasets.get(erasure.dataset, DatasetState())
            if state.revision != revision:
                raise ConflictError(moved_on(erasure.dataset, revision, state.revision))
            records = self._snapshots.setdefault(erasure.dataset, {})
            for snapshot in (*originals.values(), *read.values()):
                records.setdefault(snapshot.snapshot_id, _kept(snapshot))
            erasures[erasure.erasure_id] = _kept(erasure)
            self._datasets[erasure.dataset] = state.forget(originals, read)

    def erasures(self, dataset: str) -> list[Erasure]:
        """Return what was forgotten of a dataset, in the order of the ids."""
        with self._lock:
            return [erasure for _, erasure in sorted(self._erasures.get(dataset, {}).items())]

    def publish_view(self, view: ViewVersion, seen: str | None) -> bool:
        """Make a view's offline table visible if the one that the caller saw is still there; tell whether."""
        with self._lock:
            known = self._views.get((view.view, view.version))
            if (None if known is None else known.manifest_key) != seen:
                return False
            self._views[view.view, view.version] = _kept(view)
            return True

    def view(self, view: str, version: str) -> ViewVersion:
        """Return the published offline table of a view's version, or raise NotFoundError."""
        with self._lock:
            if (view, version) not in self._views:
                raise NotFoundError(f"view {view} has no published table of version {version[:12]}; ingest data first")
            return self._views[view, version]


class FakeCatalog(FakeRegistry, FakeExperiments, FakeDatasets):
    """The whole catalog in memory: runs, snapshots, views, versions and pointers."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers: dict[str, dict[str, int]] = {}
        self._versions: dict[tuple[str, int], ModelVersion] = {}
        self._assessments: dict[str, dict[datetime, Assessment]] = {}

    def allocate_version(self, model: str, run_id: str) -> int:
        """Return the version number of a run: the next one (1, 2, 3, …), the same again when asked again."""
        with self._lock:
            numbers = self._numbers.setdefault(model, {})
            return numbers.setdefault(run_id, len(numbers) + 1)

    def publish_version(self, version: ModelVersion) -> None:
        """Record a version, unless it is there already."""
        with self._lock:
            self._versions.setdefault((version.model, version.version), _kept(version))

    def versions(self, model: str) -> list[ModelVersion]:
        """Return all versions of a model, newest first."""
        with self._lock:
            own = [version for (name, _), version in self._versions.items() if name == model]
        return sorted(own, key=lambda version: version.version, reverse=True)

    def models(self) -> list[str]:
        """Return the names of the models that have a version."""
        with self._lock:
            return sorted({name for name, _ in self._versions})

    def record_assessment(self, assessment: Assessment) -> None:
        """Remember what the monitor found."""
        with self._lock:
            self._assessments.setdefault(assessment.model, {})[assessment.at] = _kept(assessment)

    def assessments(self, model: str, limit: int = 50) -> list[Assessment]:
        """Return the monitor's findings on a model, newest first."""
        with self._lock:
            own = self._assessments.get(model, {})
            return [own[at] for at in sorted(own, reverse=True)][:limit]
