"""What the catalog and the manifests remember: runs, snapshots, views, models."""

from perennial.records.base import Moment, Record
from perennial.records.models import (
    Assessment,
    AuditEntry,
    Champion,
    ModelVersion,
    Rating,
    TrainingInputs,
    TrainingSet,
    Verdict,
)
from perennial.records.runs import Made, Run, StepRecord, Trigger
from perennial.records.snapshots import Erasure, Part, Snapshot, SnapshotManifest
from perennial.records.views import ViewManifest, ViewPart, ViewVersion

__all__ = [
    "Assessment",
    "AuditEntry",
    "Champion",
    "Erasure",
    "Made",
    "ModelVersion",
    "Moment",
    "Part",
    "Rating",
    "Record",
    "Run",
    "Snapshot",
    "SnapshotManifest",
    "StepRecord",
    "TrainingInputs",
    "TrainingSet",
    "Trigger",
    "Verdict",
    "ViewManifest",
    "ViewPart",
    "ViewVersion",
]
