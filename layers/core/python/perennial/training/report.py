"""What training one candidate found: ``candidate.json`` beside ``model.onnx``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from perennial.manifest import Histogram
from perennial.records import Record


class Backtest(Record):
    """A candidate's figures on an earlier stretch, having learnt from what was before it."""

    start: datetime
    """Event time from which its rows were held out."""
    end: datetime
    rows_train: int
    metrics: dict[str, float]


class WindowTrial(Record):
    """What learning from one of a candidate's windows would have come to on the latest stretch before the holdout."""

    window: str
    rows: int
    """Rows that it would have learnt from."""
    metrics: dict[str, float]
    """None where there were too few rows to learn from, or to judge."""
    chosen: bool


class CandidateReport(Record):
    """Everything that the manifest of a version will say of its training.

    It holds no time and no duration, so the same data, definition, seed and libraries give the same file.
    """

    candidate: str
    algorithm: str
    estimator: str | None = None
    """Import path of a custom estimator."""
    parameters: dict[str, Any]
    """Arguments of the estimator as it was built, the seed's ``random_state`` apart."""
    seed: int
    features: tuple[str, ...]
    categories: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """As in `TrainingSet`."""
    classes: tuple[str, ...] = ()
    """As in `TrainingSet`."""
    onnx_input: str
    onnx_output: str
    onnx_sha256: str
    flat_sha256: str | None = None
    """Of the flat file; None of a custom estimator and of a model that was trained elsewhere."""
    baseline_sha256: str | None = None
    """Of ``baseline.json``; None of a model that was trained elsewhere."""
    rows: int
    """Rows that it learnt from."""
    metrics: dict[str, float]
    """On the held-out rows."""
    backtests: tuple[Backtest, ...] = ()
    """What it would have reached in earlier times, the earliest first."""
    windows: tuple[WindowTrial, ...] = ()
    """How its window was chosen, of a candidate that has several."""
    learnt_from: datetime | None = None
    """Event time from which it learnt; None: from the beginning."""
    parity_error: float
    """Largest relative difference between any two of the estimator, the ONNX file and the flat file."""
    baseline: dict[str, Histogram]
    """Feature column to its distribution over the rows that it learnt from."""
    prediction_baseline: Histogram
    """Distribution of its predictions on the held-out rows."""
    libraries: dict[str, str]
    experiment: str | None = None
    """Run id of the experiment that the model comes from; None if it was trained here."""
