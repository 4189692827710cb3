"""A model that was trained elsewhere and asks to be judged: ``candidate.json`` beside its ``model.onnx``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from perennial.definitions import Model
from perennial.manifest import Histogram
from perennial.records import Record

SUBMITTED = "submitted"
"""Name and algorithm of the one candidate of a run that judges a submission."""
MAX_BYTES = 200 * 1024**2
"""Size of the largest ONNX file, where the model's gate sets none (gate.max_bytes)."""


class Submission(Record):
    """What its maker says of the model; its SHA-256 is the submission's id. What it learnt is not ours to check."""

    format: int = 1
    model: str
    experiment: str
    """Run id of the experiment that it comes from."""
    parameters: dict[str, Any]
    """As the experiment logged them."""
    features: tuple[str, ...]
    """Feature columns in the order of the ONNX input: those of the model's definition."""
    categories: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Categorical feature column to the values whose places the ONNX input has."""
    classes: tuple[str, ...] = ()
    """Of a model of several classes: what the columns of the ONNX output stand for."""
    onnx_sha256: str
    rows: int = 0
    """Rows that it learnt from; 0 where its maker does not say."""
    learnt_until: datetime | None = None
    """Latest event time of these rows, in UTC; None where its maker does not say."""
    baseline: dict[str, Histogram] = Field(default_factory=dict)
    """Feature column to its distribution over these rows; empty where its maker does not say."""
    parity_error: float = 0.0
    """Largest relative difference from the estimator that it was made of; 0 without one."""
    libraries: dict[str, str]


def most_bytes(model: Model) -> int:
    """Return the size of the largest ONNX file that may be submitted for a model."""
    return model.gate.max_bytes or MAX_BYTES
