"""The manifest beside each ONNX file: all that serving and monitoring need to know of a version."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from perennial.definitions import Column, Task
from perennial.records import Moment, Record


def feature_column(view: str, column: str) -> str:
    """Return the name under which training sets, models and logs know a column of a view."""
    return f"{view}__{column}"


class Histogram(Record):
    """A baseline distribution.

    ``counts`` has ``len(edges) + 2`` entries: below and above the edges' bins there is one each, the last is
    for missing values; bin i (1 ≤ i < len(edges)) holds ``edges[i-1] <= value < edges[i]``, the last of
    these closed on the right; ``counts[0]`` is below ``edges[0]``, ``counts[len(edges)]`` above ``edges[-1]``.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class RequestView(Record):
    """The request view of a version: its SQL and what it needs of a request."""

    name: str
    table: str
    """The name under which the SQL reads the request's rows (the dataset's name)."""
    sql: str
    columns: tuple[str, ...]
    """Columns of the view that the model reads."""
    reads: tuple[str, ...] | None = None
    """Columns of a request that the SQL reads; None if that was not kept, and any may be read."""
    program: dict[str, Any] | None = None
    """What serves in place of the SQL (`perennial.serving.program`), as it gave the same; None if the engine does."""


class StoredView(Record):
    """A stored view of a version: where its values are looked up."""

    name: str
    version: str
    """As `Definitions.view_version` gives it: part of the online key, so old models keep their values."""
    entity: tuple[str, ...]
    columns: tuple[str, ...]
    """Columns of the view that the model reads."""
    ttl_seconds: float | None = None


class Kept(Record):
    """What the prediction log keeps of a version's requests (`perennial.serving.logged.policy_of`)."""

    sample: float = 1.0
    """Share of the requests that are kept."""
    masked_inputs: tuple[str, ...] = ()
    """Inputs that are left out."""
    masked_features: tuple[str, ...] = ()
    """Features that are missing in the log, as they are masked inputs by another name."""


class Manifest(Record):
    """What a version is (``manifest.json`` beside ``model.onnx`` and ``model.flat``)."""

    format: int = 1
    model: str
    version: int
    task: Task
    target: str
    """SQL expression that was learnt."""
    metric: str
    algorithm: str
    candidate: str
    parameters: dict[str, Any]
    seed: int
    features: tuple[str, ...]
    """Feature columns in the order of the ONNX input, named by :func:`feature_column`."""
    categories: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Categorical feature column to the values that it was learnt with: the ONNX input has a value's place in them, and
    NaN for any other (`perennial.encoding`)."""
    classes: tuple[str, ...] = ()
    """What is told apart: none of a regression, ``false`` and ``true`` of a binary model, whose one output is the
    probability of ``true``; else the ONNX output has a probability for each."""
    request: RequestView | None
    stored: tuple[StoredView, ...]
    inputs: dict[str, Column]
    """What a request must bring: the columns that the request view reads, and the entity columns."""
    ignored: tuple[str, ...] = ()
    """The dataset's other columns: a request may bring them, so that whole rows can be sent."""
    event_time: str | None = None
    """The dataset's event time column; None means that a request happens when it arrives."""
    null: tuple[str, ...] = ("",)
    """The texts that mean "absent" in the dataset's CSV files."""
    required: tuple[str, ...] = ()
    """Feature columns without whose value a row is refused; any other may be missing, as the model has learnt."""
    log: Kept = Kept()
    """What is kept of its requests."""
    onnx_input: str
    onnx_output: str
    files: dict[str, str]
    """File name to SHA-256; serving refuses a file that differs."""
    metrics: dict[str, float]
    """On the held-out rows."""
    parity_error: float
    """Largest relative difference on the held-out rows, of any two of scikit-learn, the ONNX file and the flat file."""
    baseline: dict[str, Histogram]
    """Feature column to its distribution over the training rows."""
    prediction_baseline: Histogram
    """Distribution of the predictions on the held-out rows; of several classes, of the likeliest one's place."""
    baseline_sha256: str | None = None
    """SHA-256 of ``baseline.json``, by which the version is monitored and which serving has no need of; None of a model
    that was trained elsewhere, or before there was such a file."""
    definition_hash: str
    code_version: str
    run_id: str
    training_set_id: str
    snapshots: tuple[str, ...]
    split_at: datetime
    libraries: dict[str, str]
    """Library name to version, of what made the artifact."""
    experiment: str | None = None
    """Run id of the experiment that the model comes from; None if it was trained here."""
    created_at: Moment
