"""What the catalog and the manifests remember: runs, snapshots, views, models."""

from perennial.records.base import Moment, Record
from perennial.records.experiments import ExperimentLog, LoggedFile, Submitted
from perennial.records.models import Assessment, AuditEntry, Champion, ModelVersion, Rating, TrainingSet, Verdict
from perennial.records.runs import Run, StepRecord, Trigger
from perennial.records.snapshots import Erasure, Part, Snapshot, SnapshotManifest
from perennial.records.views import ViewManifest, ViewPart, ViewVersion

__all__ = [
    "Assessment",
    "AuditEntry",
    "Champion",
    "Erasure",
    "ExperimentLog",
    "LoggedFile",
    "ModelVersion",
    "Moment",
    "Part",
    "Rating",
    "Record",
    "Run",
    "Snapshot",
    "SnapshotManifest",
    "StepRecord",
    "Submitted",
    "TrainingSet",
    "Trigger",
    "Verdict",
    "ViewManifest",
    "ViewPart",
    "ViewVersion",
]
