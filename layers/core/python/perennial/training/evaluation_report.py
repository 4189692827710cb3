"""All that judging a run's candidates found: the JSON beside the page for people."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from perennial.definitions import Task
from perennial.records import CompiledView, Record, Verdict
from perennial.training.calibration import Fit
from perennial.training.importance import Importance
from perennial.training.report import Backtest, WindowTrial
from perennial.training.slices import SliceFigures


class Judged(Record):
    """Who was judged on the held-out rows, and how it did."""

    name: str
    """``line``, ``champion version 3``, ``constant``."""
    kind: str
    """``candidate``, ``champion`` or ``baseline``."""
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Metric to where it lies with a probability of 95 %."""


class EvaluationReport(Record):
    """What a run's candidates were judged by."""

    format: int = 1
    model: str
    description: str = ""
    run_id: str
    task: Task
    target: str
    metric: str
    dataset: str
    classes: tuple[str, ...] = ()
    training_set_id: str
    split_at: datetime
    rows_train: int
    rows_holdout: int
    earliest: datetime | None = None
    """Event time of the earliest training row."""
    latest: datetime | None = None
    """Event time of the latest held-out row."""
    judged: tuple[Judged, ...]
    """Candidates, the best first, the champion if it can be compared, the baseline."""
    parity_errors: dict[str, float]
    fit: Fit | None
    """Of the best candidate; None if a prediction is no finite number."""
    slices: tuple[SliceFigures, ...] = ()
    importance: tuple[Importance, ...] = ()
    importance_rows: int = 0
    """Held-out rows that it was measured on."""
    backtests: dict[str, tuple[Backtest, ...]] = Field(default_factory=dict)
    """Candidate to its figures in earlier times."""
    windows: dict[str, tuple[WindowTrial, ...]] = Field(default_factory=dict)
    """Candidate to how its window was chosen, of those that have several."""
    size: int
    """Bytes of the best candidate's ONNX file."""
    milliseconds: float
    """That it takes for one row: a median, which is another one on each try."""
    request: CompiledView | None = None
    """How the request view is served: by a program, or by the engine and why; without the program itself."""
    rejected: tuple[int, int] | None
    """Quarantined rows and all rows of the uploads that were learnt from."""
    verdict: Verdict
