"""Records that tests start from; each differs from the example only where a test says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from perennial.records import (
    Approval,
    Assessment,
    Challenger,
    Erasure,
    ModelVersion,
    Rating,
    Run,
    Snapshot,
    StepRecord,
    TrainingSet,
    Trigger,
    Verdict,
    ViewVersion,
)

AT = datetime(2019, 3, 1, tzinfo=UTC)
"""The moment at which the examples happen."""


def a_run(run_id: str = "run-1", **changes: Any) -> Run:
    """Return a running ingest run."""
    example: dict[str, Any] = {
        "run_id": run_id,
        "kind": "ingest",
        "subject": "trips",
        "status": "running",
        "trigger": Trigger(kind="upload", source="s3://raw/trips/2019-01.csv"),
        "started_at": AT,
    }
    return Run(**{**example, **changes})


def a_step(step: str = "ingest", run_id: str = "run-1", **changes: Any) -> StepRecord:
    """Return the record of a step that is running."""
    example: dict[str, Any] = {"run_id": run_id, "step": step, "status": "running", "started_at": AT}
    return StepRecord(**{**example, **changes})


def a_snapshot(snapshot_id: str = "s1", **changes: Any) -> Snapshot:
    """Return a snapshot of the file that bears its id."""
    example: dict[str, Any] = {
        "snapshot_id": snapshot_id,
        "dataset": "trips",
        "source": f"s3://raw/trips/{snapshot_id}.csv",
        "source_version": "v1",
        "source_sha256": f"sha-of-{snapshot_id}",
        "contract": "c" * 64,
        "manifest_key": f"snapshots/trips/{snapshot_id}/manifest.json",
        "manifest_sha256": "a" * 64,
        "rows": 10,
        "rejected": 0,
        "size": 1000,
        "months": ("2019-01",),
        "min_event_time": datetime(2019, 1, 1),
        "max_event_time": datetime(2019, 1, 31),
        "run_id": f"ingest-{snapshot_id}",
        "created_at": AT,
    }
    return Snapshot(**{**example, **changes})


def an_erasure(erasure_id: str = "forget-1", **changes: Any) -> Erasure:
    """Return the record of one row that was forgotten."""
    example: dict[str, Any] = {
        "erasure_id": erasure_id,
        "dataset": "trips",
        "columns": ("rider",),
        "types": ("BIGINT",),
        "subject_sha256": "e" * 64,
        "salt": "salt",
        "rows": {"snapshots": 1, "quarantine": 0},
        "snapshots": {"s1": "s1-left"},
        "uploads": ("s3://raw/trips/s1.csv?versionId=v1",),
        "uploads_deleted": False,
        "by": "arn:aws:iam::000000000000:user/ada",
        "reason": "the rider asked for it",
        "run_id": erasure_id,
        "at": AT,
    }
    return Erasure(**{**example, **changes})


def a_view(revision: int = 1, **changes: Any) -> ViewVersion:
    """Return the offline table of a stored view."""
    example: dict[str, Any] = {
        "view": "zone_stats",
        "version": "f" * 64,
        "revision": revision,
        "revisions": {"trips": revision},
        "manifest_key": f"features/zone_stats/{'f' * 64}/{revision}.json",
        "manifest_sha256": "b" * 64,
        "rows": 3,
        "snapshots": ("s1",),
        "created_at": AT,
    }
    return ViewVersion(**{**example, **changes})


def a_training_set(**changes: Any) -> TrainingSet:
    """Return the training set of a regression on one feature."""
    example: dict[str, Any] = {
        "training_set_id": "t1",
        "train_key": "training-sets/fare/train-1.parquet",
        "holdout_key": "training-sets/fare/holdout-1.parquet",
        "features": ("trip_context__distance",),
        "split_at": AT,
        "rows_train": 100,
        "rows_holdout": 20,
        "snapshots": ("s1",),
        "views": {},
        "sha256": {},
    }
    return TrainingSet(**{**example, **changes})


def a_version(version: int = 1, model: str = "fare", **changes: Any) -> ModelVersion:
    """Return a version whose gate said yes."""
    verdict = Verdict(
        candidate="ridge",
        passed=True,
        ratings=(Rating(rule="max_error", passed=True, value=1.5, limit=3.0, sentence="mae 1.5 is within 3."),),
        metrics={"mae": 1.5},
        candidates={"ridge": {"mae": 1.5}},
        report_key="reports/evaluation/fare/run.json",
    )
    example: dict[str, Any] = {
        "model": model,
        "version": version,
        "stage": "candidate",
        "manifest_key": f"models/{model}/{version}/manifest.json",
        "manifest_sha256": f"{version:064d}",
        "metrics": {"mae": 1.5},
        "verdict": verdict,
        "training_set": a_training_set(),
        "run_id": f"train-{version}",
        "trigger": Trigger(kind="person", source="arn:aws:iam::000000000000:user/ada"),
        "created_at": AT,
    }
    return ModelVersion(**{**example, **changes})


def a_challenger(version: int = 2, model: str = "fare", **changes: Any) -> Challenger:
    """Return a version that answers a tenth of the callers."""
    example: dict[str, Any] = {
        "version": version,
        "manifest_key": f"models/{model}/{version}/manifest.json",
        "manifest_sha256": f"{version:064d}",
        "weight": 0.1,
        "run_id": f"deploy-{version}",
        "since": AT,
    }
    return Challenger(**{**example, **changes})


def an_approval(version: int = 1, model: str = "fare", **changes: Any) -> Approval:
    """Return the question whether a version may be deployed, which may be answered for a week."""
    example: dict[str, Any] = {
        "model": model,
        "version": version,
        "run_id": f"train-{version}",
        "asked_at": AT,
        "until": AT + timedelta(days=7),
        "metrics": {"mae": 1.5},
        "report_key": "reports/evaluation/fare/run.json",
    }
    return Approval(**{**example, **changes})


def an_assessment(**changes: Any) -> Assessment:
    """Return a finding of the monitor."""
    example: dict[str, Any] = {
        "model": "fare",
        "version": 1,
        "at": AT,
        "rows": 1000,
        "labelled": 0,
        "feature_drift": 0.1,
        "drifted_feature": "trip_context__distance",
        "prediction_drift": 0.2,
        "performance": None,
        "performance_ratio": None,
    }
    return Assessment(**{**example, **changes})
