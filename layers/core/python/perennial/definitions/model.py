"""A model: what is learnt from a dataset, how it is judged, watched and trained again."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, FiniteFloat, model_validator

from perennial.definitions.base import Definition, Duration, Expression, Length, Name, Scalar
from perennial.errors import NotFoundError


class Split(Definition):
    """Which rows are learnt from and which, later ones, judge."""

    holdout: Length
    """Length of the latest stretch of event time, kept for evaluation."""


class Candidate(Definition):
    """One way to learn the model; all candidates are judged on the same held-out rows."""

    name: Name
    """What reports call it."""
    algorithm: Literal["ridge", "hist_gradient_boosting"]
    """The estimator."""
    history: Length | None = None
    """How far before the holdout its training rows reach; None means all of them."""
    parameters: dict[str, Scalar] = Field(default_factory=dict)
    """Arguments of the scikit-learn estimator."""


class Gate(Definition):
    """What a candidate must fulfil to become champion; every rule that is set must hold."""

    max_error: FiniteFloat | None = Field(default=None, gt=0)
    """Largest metric on the held-out rows, in the metric's unit."""
    min_improvement: FiniteFloat = Field(default=0.0, lt=1)
    """Smallest relative improvement over the champion on the same rows: 0.02 means 2 % better."""
    max_parity_error: FiniteFloat = Field(default=1e-6, gt=0)
    """Largest relative difference between the ONNX artifact and the scikit-learn estimator on any held-out row."""


class Monitor(Definition):
    """When the served model counts as drifting; each threshold becomes a CloudWatch alarm."""

    window_rows: int = Field(default=5000, ge=1)
    """How many of the champion's latest predictions are looked at."""
    min_rows: int = Field(default=1000, ge=1)
    """How many there must be (for performance: with a label) before anything is published."""
    feature_drift: FiniteFloat = Field(default=0.25, gt=0)
    """Threshold on the largest population stability index of any feature against the training rows."""
    prediction_drift: FiniteFloat = Field(default=0.25, gt=0)
    """Threshold on the population stability index of the predictions against those on the held-out rows."""
    performance_ratio: FiniteFloat = Field(default=1.25, gt=1)
    """Threshold on the metric over labelled predictions, divided by the metric on the held-out rows."""

    @model_validator(mode="after")
    def _the_window_holds_enough(self) -> Monitor:
        if self.min_rows > self.window_rows:
            raise ValueError(
                f"min_rows {self.min_rows} is above window_rows {self.window_rows}, so nothing would be published"
            )
        return self


class Retrain(Definition):
    """What may start a training run."""

    min_rows: int = Field(default=1000, ge=1)
    """Rows that the dataset must hold before the first model is trained."""
    new_rows: int | None = Field(default=None, ge=1)
    """Rows beyond the champion's training data that start a run; None means that new data alone does not."""
    on_alarm: bool = True
    """Whether an alarm of this model starts a run."""
    schedule: Length | None = None
    """How often a run is started by the clock; None means never."""
    cooldown: Duration = timedelta(0)
    """Least time between the starts of two runs that no person asked for."""
    daily_budget: int = Field(default=10, ge=1)
    """Most runs within 24 hours that no person asked for."""


class Model(Definition):
    """A model that the system trains, serves and watches (``models/<name>.toml``)."""

    name: Name
    """The file's name."""
    description: str = ""
    """For people."""
    task: Literal["regression"] = "regression"
    """What is predicted: a number."""
    dataset: Name
    """The dataset whose rows are learnt from."""
    target: Expression
    """SQL expression over the dataset's columns: what is predicted."""
    filter: Expression = "true"
    """SQL condition over the dataset's columns: which rows count."""
    features: dict[Name, tuple[str, ...]] = Field(min_length=1)
    """View name to the columns of it that the model reads."""
    split: Split
    """Which rows judge."""
    candidates: tuple[Candidate, ...] = Field(min_length=1)
    """What is tried."""
    metric: Literal["mae", "rmse"] = "mae"
    """What is minimised on the held-out rows, in the target's unit."""
    gate: Gate = Gate()
    """What must hold before a candidate is promoted."""
    monitor: Monitor = Monitor()
    """When the champion counts as drifting."""
    retrain: Retrain = Retrain()
    """What may start a run."""
    seed: int = 0
    """Seed of everything random."""

    @model_validator(mode="after")
    def _candidates_have_their_own_names(self) -> Model:
        names = [candidate.name for candidate in self.candidates]
        if len(set(names)) < len(names):
            raise ValueError(f"candidates must have different names, not {', '.join(names)}")
        return self

    def candidate(self, name: str) -> Candidate:
        """Return the candidate of that name, or raise NotFoundError."""
        for candidate in self.candidates:
            if candidate.name == name:
                return candidate
        raise NotFoundError(f"model {self.name} has no candidate {name!r}")
