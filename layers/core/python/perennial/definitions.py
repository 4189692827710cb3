"""What a user writes: datasets, feature views and models, as checked models of TOML and SQL files."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    PlainSerializer,
    model_validator,
)

from perennial.errors import NotFoundError

NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}$")
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_DURATION = re.compile(r"^\s*(\d+)\s+(second|minute|hour|day|week)s?\s*$")


def parse_duration(text: object) -> timedelta:
    """Turn ``"36 hours"`` into a timedelta; units are second, minute, hour, day and week.

    Raises
    ------
    ValueError
        The text is not a whole number and a unit.
    """
    if isinstance(text, timedelta):
        return text
    match = _DURATION.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f'a duration is written like "28 days" or "2 hours", not {text!r}')
    try:
        return timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    except OverflowError:
        raise ValueError(f"a duration is below a billion days, unlike {text!r}") from None


def _longer_than_nothing(length: timedelta) -> timedelta:
    if length <= timedelta(0):
        raise ValueError("should be longer than nothing")
    return length


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(lambda value: f"{int(value.total_seconds())} seconds", return_type=str),
]
Length = Annotated[Duration, AfterValidator(_longer_than_nothing)]
Name = Annotated[str, Field(pattern=NAME.pattern)]
Scalar = bool | int | float | str
Expression = Annotated[str, Field(min_length=1)]


class Definition(BaseModel):
    """Base of every definition: frozen, unknown keys refused, fingerprinted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (64 hex digits) of the definition's meaning: comments and key order do not count."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


class Column(Definition):
    """One column of a dataset."""

    type: Literal["integer", "double", "string", "boolean", "timestamp", "date"]
    """What every value of the column is. Text that is not of this type is quarantined, never guessed at."""
    nullable: bool = False
    """Whether a value may be absent."""
    min: FiniteFloat | None = None
    """Smallest value that is allowed (integer and double only)."""
    max: FiniteFloat | None = None
    """Largest value that is allowed (integer and double only)."""
    allowed: tuple[Scalar, ...] | None = Field(default=None, min_length=1)
    """The values that are allowed; None means any."""
    format: str | None = None
    """How a timestamp or date is written, in strptime letters; None means ISO 8601."""

    @model_validator(mode="after")
    def _rules_fit_the_type(self) -> Column:
        numeric = self.type in ("integer", "double")
        if (self.min is not None or self.max is not None) and not numeric:
            raise ValueError(f"min and max belong to integer and double columns, not to {self.type}")
        if self.format is not None and self.type not in ("timestamp", "date"):
            raise ValueError(f"format belongs to timestamp and date columns, not to {self.type}")
        if self.format is not None and "%" not in self.format:
            raise ValueError(f'format is written in strptime letters, such as "%d.%m.%Y %H:%M", unlike {self.format!r}')
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


class Rule(Definition):
    """A rule over the columns of one row."""

    name: Name
    """What the quarantine says when a row breaks the rule."""
    check: Expression
    """SQL expression over the dataset's columns that is true for a good row (null counts as broken)."""


class Dataset(Definition):
    """The contract of what is uploaded under ``<name>/`` (``datasets/<name>.toml``)."""

    name: Name
    """The file's name."""
    description: str = ""
    """For people."""
    format: Literal["csv"] = "csv"
    """How files are written: CSV with a header line, plain or gzip (``.gz``)."""
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    """What stands between two fields."""
    null: tuple[str, ...] = ("",)
    """The texts that mean "absent"."""
    event_time: str
    """The timestamp column that says when a row happened."""
    columns: dict[str, Column] = Field(min_length=1)
    """The columns that a file must have, by the name in its header."""
    rules: tuple[Rule, ...] = ()
    """What must hold for every row beyond single columns."""

    @model_validator(mode="after")
    def _event_time_is_a_timestamp(self) -> Dataset:
        column = self.columns.get(self.event_time)
        if column is None:
            raise ValueError(f"event_time names {self.event_time!r}, which is not among the columns")
        if column.type != "timestamp" or column.nullable:
            raise ValueError(f"event_time column {self.event_time!r} must be a timestamp that is not nullable")
        return self

    @model_validator(mode="after")
    def _rules_have_their_own_names(self) -> Dataset:
        names = [rule.name for rule in self.rules]
        if len(set(names)) < len(names):
            raise ValueError(f"rules must have different names, not {', '.join(names)}")
        return self


class FeatureView(Definition):
    """One SELECT that makes features (``features/<name>.sql``); its comment header fills the fields."""

    name: Name
    """The file's name."""
    kind: Literal["request", "stored"]
    """``request``: row by row, from the request itself. ``stored``: aggregates over time, kept by entity."""
    dataset: Name
    """The dataset that the SELECT reads; it is the table's name in the SQL."""
    entity: tuple[str, ...] = ()
    """Columns that identify whose features these are, in the view and in the dataset alike (stored views)."""
    feature_time: str | None = None
    """Column of the view that says when a value became known (stored views)."""
    ttl: Length | None = None
    """Age beyond which a stored value counts as missing; None means never."""
    description: str = ""
    """For people."""
    sql: str = Field(min_length=1)
    """The SELECT, without the comment header."""

    @model_validator(mode="after")
    def _stored_views_say_whose_and_when(self) -> FeatureView:
        if self.kind == "stored" and not (self.entity and self.feature_time):
            raise ValueError("a stored view needs the header lines `-- entity:` and `-- feature_time:`")
        if self.kind == "request" and (self.entity or self.feature_time or self.ttl):
            raise ValueError("entity, feature_time and ttl belong to stored views only")
        return self


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
