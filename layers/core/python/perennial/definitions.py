"""What a user writes: datasets, feature views and models, as checked models of TOML and SQL files."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
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

    type: Literal[
        "integer", "double", "decimal", "string", "categorical", "boolean", "timestamp", "timestamptz", "date"
    ]
    """What every value of the column is. Text that is not of this type is quarantined, never guessed at."""
    nullable: bool = False
    """Whether a value may be absent."""
    optional: bool = False
    """Whether a file may lack the column, whose values are then absent; it must be nullable."""
    min: FiniteFloat | str | None = None
    """Smallest value that is allowed: a number, or ISO 8601 text for times and dates."""
    max: FiniteFloat | str | None = None
    """Largest value that is allowed: a number, or ISO 8601 text for times and dates."""
    min_length: int | None = Field(default=None, ge=0)
    """Fewest characters of a string."""
    max_length: int | None = Field(default=None, ge=1)
    """Most characters of a string."""
    pattern: str | None = Field(default=None, min_length=1)
    """Regular expression (RE2) that the whole of a string must match."""
    allowed: tuple[Scalar, ...] | None = Field(default=None, min_length=1)
    """The values that are allowed, of a categorical column its categories; None means any."""
    open: bool = False
    """Whether a categorical column may bring new categories: they are kept, and named in the upload's report."""
    precision: int | None = Field(default=None, ge=1, le=38)
    """How many digits a decimal has."""
    scale: int | None = Field(default=None, ge=0, le=38)
    """How many of a decimal's digits stand behind the point; a text with more of them is quarantined."""
    format: str | None = None
    """How a time or date is written, in strptime letters; None means ISO 8601."""
    zone: str | None = None
    """IANA time zone, such as Europe/Berlin, of a timestamptz that is written without an offset."""
    ambiguous: Literal["reject", "earlier", "later"] = "reject"
    """Which moment is meant by a local time that the end of summer time brings twice."""
    max_null: FiniteFloat | None = Field(default=None, ge=0, le=1)
    """Largest share of a file's rows without a value; a file with more is refused."""

    @model_validator(mode="after")
    def _rules_fit_the_type(self) -> Column:
        for fields, types in _RULES_OF_TYPES:
            named = [name for name in fields if getattr(self, name) not in (None, False, "reject")]
            if named and self.type not in types:
                raise ValueError(f"{named[0]} belongs to {', '.join(types)} columns, not to {self.type}")
        if self.format is not None and "%" not in self.format:
            raise ValueError(f'format is written in strptime letters, such as "%d.%m.%Y %H:%M", unlike {self.format!r}')
        if self.type == "decimal" and (self.precision is None or self.scale is None or self.scale > self.precision):
            raise ValueError("a decimal says its precision and a scale that is not above it, such as 18 and 2")
        if self.optional and not self.nullable:
            raise ValueError("an optional column must be nullable, as its values are absent from files without it")
        if self.ambiguous != "reject" and self.zone is None:
            raise ValueError("ambiguous says what a local time means, so it needs zone")
        if self.zone is not None and not _ZONE.fullmatch(self.zone):
            raise ValueError(f"zone is an IANA name, such as Europe/Berlin, unlike {self.zone!r}")
        self._check_bounds()
        return self

    def _check_bounds(self) -> None:
        low, high = self.min, self.max
        for name, bound in (("min", low), ("max", high)):
            if bound is not None and isinstance(bound, str) != (self.type in _MOMENTS):
                kind = "text in ISO 8601, such as 2019-01-31" if self.type in _MOMENTS else "a number"
                raise ValueError(f"{name} of this {self.type} column is {kind}, unlike {bound!r}")
            if isinstance(bound, str):
                try:
                    datetime.fromisoformat(bound)
                except ValueError:
                    raise ValueError(f"{name} is a time in ISO 8601, such as 2019-01-31, unlike {bound!r}") from None
        if isinstance(low, float) and isinstance(high, float) and low > high:
            raise ValueError(f"min {low:g} is above max {high:g}")
        if isinstance(low, str) and isinstance(high, str) and _utc(low) > _utc(high):
            raise ValueError(f"min {low} is above max {high}")
        if self.min_length is not None and self.max_length is not None and self.min_length > self.max_length:
            raise ValueError(f"min_length {self.min_length} is above max_length {self.max_length}")


def _utc(text: str) -> datetime:
    """Return a bound so that bounds with and without an offset can be compared; without one it is UTC."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


# Whether there is such a zone is checked with the engine, which knows them without the machine's own list.
_ZONE = re.compile(r"UTC|[A-Za-z_]+(/[A-Za-z0-9_+-]+)+")
_MOMENTS = ("timestamp", "timestamptz", "date")
_RULES_OF_TYPES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("min", "max"), ("integer", "double", "decimal", *_MOMENTS)),
    (("min_length", "max_length", "pattern"), ("string",)),
    (("open",), ("categorical",)),
    (("precision", "scale"), ("decimal",)),
    (("format",), _MOMENTS),
    (("zone",), ("timestamptz",)),
)


class Rule(Definition):
    """A rule over the columns of one row."""

    name: Name
    """What the quarantine says when a row breaks the rule."""
    check: Expression
    """SQL expression over the dataset's columns that is true for a good row (null counts as broken)."""


class Bounds(Definition):
    """Where event times must lie; a row outside is quarantined."""

    not_after_upload: bool = False
    """Whether a row may not happen after its file was uploaded."""
    file_period: str | None = None
    """How the file's name says its period, in strptime letters, such as ``yellow_%Y-%m``; rows must lie within."""

    @model_validator(mode="after")
    def _period_names_a_year(self) -> Bounds:
        letters = re.findall(r"%(.)", self.file_period or "%Y")
        if letters not in (["Y"], ["Y", "m"], ["Y", "m", "d"]):
            raise ValueError("file_period holds %Y, %Y and %m, or %Y, %m and %d, in this order")
        return self


class FileRules(Definition):
    """What must hold for a file as a whole; one that breaks a rule is refused, its rows are not taken in."""

    min_rows: int = Field(default=1, ge=1)
    """Fewest good rows."""
    max_rejected: FiniteFloat = Field(default=1.0, ge=0, le=1)
    """Largest share of rows that go to quarantine."""
    freshness: Length | None = None
    """Longest time from the latest event time to the upload."""


class Dataset(Definition):
    """The contract of what is uploaded under ``<name>/`` (``datasets/<name>.toml``)."""

    name: Name
    """The file's name."""
    description: str = ""
    """For people."""
    format: Literal["csv", "jsonl", "parquet"] = "csv"
    """How files are written: CSV with a header line, JSON Lines (both plain, gzip or zstd), or Parquet."""
    encoding: str = "utf-8"
    """How the text of CSV and JSON Lines is encoded, as Python names it, such as latin-1 or utf-16."""
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    """What stands between two fields of a CSV."""
    null: tuple[str, ...] = ("",)
    """The texts that mean "absent" in a CSV."""
    event_time: str
    """The timestamp column that says when a row happened."""
    key: tuple[str, ...] = ()
    """Columns whose values no two rows share. A file's second such row is quarantined; a later upload's supersedes."""
    columns: dict[str, Column] = Field(min_length=1)
    """The columns that a file must have, by the name in its header."""
    extra_columns: Literal["accept", "refuse"] = "accept"
    """What becomes of columns that the contract does not know: left out and recorded, or the file is refused."""
    rules: tuple[Rule, ...] = ()
    """What must hold for every row beyond single columns."""
    bounds: Bounds = Bounds()
    """Where event times must lie."""
    file: FileRules = FileRules()
    """What must hold for a file as a whole."""

    @model_validator(mode="after")
    def _event_time_is_a_timestamp(self) -> Dataset:
        column = self.columns.get(self.event_time)
        if column is None:
            raise ValueError(f"event_time names {self.event_time!r}, which is not among the columns")
        if column.type not in ("timestamp", "timestamptz") or column.nullable:
            raise ValueError(f"event_time column {self.event_time!r} must be a timestamp that is not nullable")
        return self

    @model_validator(mode="after")
    def _key_columns_are_always_there(self) -> Dataset:
        for name in self.key:
            if name not in self.columns:
                raise ValueError(f"key names {name!r}, which is not among the columns")
            if self.columns[name].nullable:
                raise ValueError(f"key column {name!r} must not be nullable")
        if len(set(self.key)) < len(self.key):
            raise ValueError(f"key names a column twice: {', '.join(self.key)}")
        return self

    @model_validator(mode="after")
    def _encoding_is_known(self) -> Dataset:
        try:
            "".encode(self.encoding)
        except LookupError:
            raise ValueError(
                f"encoding {self.encoding!r} is not a text encoding of Python's, such as latin-1"
            ) from None
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
    reads: tuple[str, ...] = ()
    """Other datasets and stored views that the SELECT reads, each a table of that name (stored views)."""
    window: Length | None = None
    """How far back the SELECT looks from a feature time; None means to the beginning (stored views)."""
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
        if self.kind == "request" and (self.entity or self.feature_time or self.ttl or self.reads or self.window):
            raise ValueError("entity, feature_time, ttl, reads and window belong to stored views only")
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
