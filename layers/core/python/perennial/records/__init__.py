"""What the catalog and the manifests remember: runs, snapshots, views, models."""

from perennial.records.base import Moment, Record
from perennial.records.models import Assessment, AuditEntry, Champion, ModelVersion, Rating, TrainingSet, Verdict
from perennial.records.runs import Run, StepRecord, Trigger
from perennial.records.search import CandidateSearch, FoldScore, Round, Trial, TrialResult, TrialTask
from perennial.records.snapshots import Erasure, Part, Snapshot, SnapshotManifest
from perennial.records.views import ViewManifest, ViewPart, ViewVersion

__all__ = [
    "Assessment",
    "AuditEntry",
    "CandidateSearch",
    "Champion",
    "Erasure",
    "FoldScore",
    "ModelVersion",
    "Moment",
    "Part",
    "Rating",
    "Record",
    "Round",
    "Run",
    "Snapshot",
    "SnapshotManifest",
    "StepRecord",
    "TrainingSet",
    "Trial",
    "TrialResult",
    "TrialTask",
    "Trigger",
    "Verdict",
    "ViewManifest",
    "ViewPart",
    "ViewVersion",
]
