"""What the catalog and the manifests remember: runs, snapshots, views, models."""

from perennial.records.approvals import Alias, Approval, Decision, Suspension
from perennial.records.assessments import Assessment, Moved
from perennial.records.base import Moment, Record
from perennial.records.bulk import BulkChunk, BulkEnd, BulkFile, BulkFileResult, BulkPlan, BulkResult, BulkTable
from perennial.records.experiments import ExperimentLog, LoggedFile, Submitted
from perennial.records.models import (
    AuditEntry,
    Challenger,
    Champion,
    CompiledView,
    ModelVersion,
    Rating,
    Stage,
    TrainingInputs,
    TrainingSet,
    Verdict,
)
from perennial.records.runs import Made, Run, StepRecord, Trigger
from perennial.records.search import CandidateSearch, FoldScore, Round, Trial, TrialResult, TrialTask
from perennial.records.snapshots import Erasure, Part, Snapshot, SnapshotManifest
from perennial.records.views import ViewManifest, ViewPart, ViewVersion

__all__ = [
    "Alias",
    "Approval",
    "Assessment",
    "AuditEntry",
    "BulkChunk",
    "BulkEnd",
    "BulkFile",
    "BulkFileResult",
    "BulkPlan",
    "BulkResult",
    "BulkTable",
    "CandidateSearch",
    "Challenger",
    "Champion",
    "CompiledView",
    "Decision",
    "Erasure",
    "ExperimentLog",
    "FoldScore",
    "LoggedFile",
    "Made",
    "ModelVersion",
    "Moment",
    "Moved",
    "Part",
    "Rating",
    "Record",
    "Round",
    "Run",
    "Snapshot",
    "SnapshotManifest",
    "Stage",
    "StepRecord",
    "Submitted",
    "Suspension",
    "TrainingInputs",
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
