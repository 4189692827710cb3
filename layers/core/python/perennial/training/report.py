"""What training one candidate found: ``candidate.json`` beside ``model.onnx``."""

from __future__ import annotations

from typing import Any

from perennial.manifest import Histogram
from perennial.records import Record


class CandidateReport(Record):
    """Everything that the manifest of a version will say of its training.

    It holds no time and no duration, so the same data, definition, seed and libraries give the same file.
    """

    candidate: str
    algorithm: str
    parameters: dict[str, Any]
    """Arguments of the estimator as it was built, the seed's ``random_state`` apart."""
    seed: int
    features: tuple[str, ...]
    onnx_input: str
    onnx_output: str
    onnx_sha256: str
    rows: int
    """Rows that it learnt from."""
    metrics: dict[str, float]
    """On the held-out rows."""
    parity_error: float
    baseline: dict[str, Histogram]
    """Feature column to its distribution over the rows that it learnt from."""
    prediction_baseline: Histogram
    """Distribution of its predictions on the held-out rows."""
    libraries: dict[str, str]
