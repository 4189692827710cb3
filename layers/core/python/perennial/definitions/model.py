"""A model: what is learnt from a dataset, how it is judged, watched and trained again."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import Field, FiniteFloat, model_validator

from perennial.definitions.alarms import SIGNALS, Alarms, Chosen, SignalName
from perennial.definitions.base import Definition, Duration, Expression, Length, Name
from perennial.definitions.delivery import Delivery
from perennial.definitions.learning import METRICS, Candidate, Gate, Kind, Search, Split, Task
from perennial.definitions.monitor import Monitor
from perennial.errors import NotFoundError

LONGEST_BACKOFF = timedelta(days=28)
"""Longest time that a model is not trained because training did not help."""


class Log(Definition):
    """What the prediction log keeps of requests; a version keeps to what stood here when it was trained."""

    sample: FiniteFloat = Field(default=1.0, ge=0, le=1)
    """Share of the requests that are kept, chosen by their ids."""
    mask: tuple[Name, ...] = ("pii",)
    """Tags of dataset columns that are not kept, nor features that are such a column as it is."""


class Retrain(Definition):
    """What may start a training run."""

    min_rows: int = Field(default=1000, ge=1)
    """Rows that the dataset must hold before the first model is trained."""
    new_rows: int | None = Field(default=None, ge=1)
    """Rows beyond the champion's training data that start a run; None means that new data alone does not."""
    on_alarm: Chosen = True
    """Which alarms of this model start a run: those named, none, or (true) all that training may mend."""
    schedule: Length | None = None
    """How often a run is started by the clock; None means never."""
    cooldown: Duration = timedelta(0)
    """Least time between the starts of two runs that no person asked for."""
    daily_budget: int = Field(default=10, ge=1)
    """Most runs within 24 hours that no person asked for."""
    backoff_after: int = Field(default=3, ge=1)
    """Runs in a row, none asked for by a person, after which the next one waits if none of them improved anything."""
    backoff: Length = timedelta(days=1)
    """How long it waits since the latest of them: twice as long after each further one, `LONGEST_BACKOFF` at most."""


Missing = Literal["impute", "reject"]
"""What becomes of a row without a feature's value: the model makes do, as it has learnt to, or the row is refused."""


class Model(Definition):
    """A model that the system trains, serves and watches (``models/<name>.toml``)."""

    beside_the_meaning: ClassVar[frozenset[str]] = frozenset({"alarms"})
    name: Name
    """The file's name."""
    description: str = ""
    """For people."""
    task: Task = "regression"
    """What is predicted: a number, whether a condition holds, or one of several classes."""
    dataset: Name
    """The dataset whose rows are learnt from."""
    target: Expression
    """SQL expression over the dataset's columns: what is predicted. A number, a condition, or the text of a class."""
    filter: Expression = "true"
    """SQL condition over the dataset's columns: which rows count."""
    features: dict[Name, tuple[str, ...]] = Field(min_length=1)
    """View name to the columns of it that the model reads."""
    preprocessing: dict[str, Kind] = Field(default_factory=dict)
    """``view.column`` to what it is: a ``number`` (imputed and scaled where an estimator needs it), a ``boolean``, or
    ``categorical`` (its values have no order). Without it, text is categorical, the rest is what its SQL type says."""
    missing: Missing | dict[str, Missing] = "impute"
    """What becomes of a request's row that lacks features: one word for all of them, or ``view.column`` to one; those
    that are not named are imputed."""
    slices: dict[Name, Expression] = Field(default_factory=dict)
    """Parts of the held-out rows that are judged by themselves: SQL over the dataset's columns that gives a condition,
    or a text of which each value is a slice."""
    split: Split
    """Which rows judge."""
    candidates: tuple[Candidate, ...] = Field(min_length=1)
    """What is tried."""
    search: Search = Search()
    """How the candidates' spaces are searched."""
    metric: str = ""
    """What judges on the held-out rows (`METRICS`); by default ``mae``, or ``log_loss`` of classes."""
    gate: Gate = Gate()
    """What must hold before a candidate is promoted."""
    approval: Literal["automatic", "manual"] = "automatic"
    """Whether a version that passed the gate waits for a person before it is deployed."""
    approval_timeout: Length = timedelta(days=7)
    """How long it waits; then it counts as rejected."""
    delivery: Delivery = Delivery()
    """How a version comes to serve."""
    intended_use: str = ""
    """Of the model card: what the predictions are for."""
    limitations: str = ""
    """Of the model card: what they are not for."""
    monitor: Monitor = Monitor()
    """When the champion counts as drifting."""
    alarms: Alarms = Alarms()
    """Which of the signals become alarms."""
    log: Log = Log()
    """What is kept of requests."""
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

    @model_validator(mode="after")
    def _metrics_are_known(self) -> Model:
        known = METRICS[self.task]
        if not self.metric:
            object.__setattr__(self, "metric", next(iter(known)))  # a default that depends on the task
        for name in (self.metric, *self.gate.limits):
            if name not in known:
                raise ValueError(f"a {self.task} model is measured by {', '.join(known)}, not by {name}")
        if self.more_is_better and self.gate.max_error is not None:
            raise ValueError(f"gate.max_error: more {self.metric} is better; write gate.min_score")
        if not self.more_is_better and self.gate.min_score is not None:
            raise ValueError(f"gate.min_score: less {self.metric} is better; write gate.max_error")
        return self

    @model_validator(mode="after")
    def _algorithms_fit_the_task(self) -> Model:
        for candidate in self.candidates:
            unfit = "logistic_regression" if self.task == "regression" else "ridge"
            if candidate.algorithm == unfit:
                instead = "ridge" if self.task == "regression" else "logistic_regression"
                raise ValueError(
                    f"candidate {candidate.name}: {unfit} is not for the task {self.task}; take {instead}, "
                    "hist_gradient_boosting, random_forest or custom"
                )
        return self

    @model_validator(mode="after")
    def _alarms_that_train_are_on(self) -> Model:
        named = self.retrain.on_alarm
        for name in named if not isinstance(named, bool) else ():
            if name in self.alarms.off:
                raise ValueError(f"retrain.on_alarm names {name}, which is in alarms.off")
        return self

    @model_validator(mode="after")
    def _preprocessing_names_features(self) -> Model:
        known = {f"{view}.{column}" for view, columns in self.features.items() for column in columns}
        for name in self.preprocessing:
            if name not in known:
                raise ValueError(f"preprocessing: {name} is none of the model's features, such as {min(known)}")
        return self

    @model_validator(mode="after")
    def _missing_names_features(self) -> Model:
        known = {f"{view}.{column}" for view, columns in self.features.items() for column in columns}
        for name in self.missing if isinstance(self.missing, dict) else ():
            if name not in known:
                raise ValueError(f"missing: {name} is none of the model's features, such as {min(known)}")
        return self

    @property
    def required(self) -> tuple[str, ...]:
        """The features, each ``view.column``, without whose value a request's row is refused."""
        names = [f"{view}.{column}" for view, columns in self.features.items() for column in columns]
        policy = self.missing if isinstance(self.missing, dict) else dict.fromkeys(names, self.missing)
        return tuple(name for name in names if policy.get(name) == "reject")

    @property
    def reach(self) -> timedelta | None:
        """How far before the held-out rows the earliest rows lie that a candidate may learn from; None: no limit.

        The stretches before the held-out rows that judge, too, each need the whole history of a candidate before them.
        """
        histories = [candidate.longest for candidate in self.candidates]
        if None in histories:
            return None
        searched = any(candidate.space for candidate in self.candidates)
        chosen = any(candidate.windows for candidate in self.candidates)
        stretches = max(self.split.backtests, self.search.folds if searched else 0, 1 if chosen else 0)
        return max(history for history in histories if history is not None) + stretches * self.split.holdout

    @property
    def training_alarms(self) -> tuple[SignalName, ...]:
        """The signals whose alarm asks for a training run; `admit` refuses it where ``retrain.on_alarm`` is false."""
        named = self.retrain.on_alarm
        if isinstance(named, bool):
            return tuple(name for name in self.alarms.on if SIGNALS[name].trains)
        return tuple(name for name in self.alarms.on if name in named)

    @property
    def more_is_better(self) -> bool:
        """Whether the model's metric is to be large."""
        return METRICS[self.task][self.metric]

    def candidate(self, name: str) -> Candidate:
        """Return the candidate of that name, or raise NotFoundError."""
        for candidate in self.candidates:
            if candidate.name == name:
                return candidate
        raise NotFoundError(f"model {self.name} has no candidate {name!r}")
