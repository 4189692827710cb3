"""How a model is learnt and judged: its split, candidates, search and gate."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, model_validator

from perennial.definitions.base import Definition, Length, Name, Scalar

Task = Literal["regression", "binary", "multiclass"]
ALL = "all"
SINCE_CHANGE = "since change"
Window = Annotated[Literal["all", "since change"] | Length, Field(union_mode="left_to_right")]
"""How far training rows reach: all of them, those since the target last began to follow from the features in another
way, or a length before the holdout."""
Kind = Literal["number", "boolean", "categorical"]
"""What a feature is to an estimator: see `Model.preprocessing`."""
METRICS: dict[Task, dict[str, bool]] = {
    "regression": {"mae": False, "rmse": False, "r2": True},
    "binary": {
        "log_loss": False, "brier": False, "roc_auc": True, "average_precision": True, "accuracy": True, "f1": True,
    },
    "multiclass": {"log_loss": False, "accuracy": True, "macro_f1": True, "macro_roc_auc": True},
}  # fmt: skip
"""What a task is measured by, the default first, and whether more of it is better."""


class Split(Definition):
    """Which rows are learnt from and which, later ones, judge."""

    holdout: Length
    """Length of the latest stretch of event time, kept for evaluation."""
    backtests: int = Field(default=2, ge=0, le=20)
    """How many earlier stretches of that length each candidate is also tried on, learning from what was before each."""


class Space(Definition):
    """What a search may choose for a parameter: a range or a list."""

    low: FiniteFloat | None = None
    """Smallest value; a range between whole numbers is one of whole numbers, unless ``real``."""
    high: FiniteFloat | None = None
    """Largest value."""
    log: bool = False
    """Whether small values are tried as often as large ones: even in the logarithm."""
    real: bool = False
    """Whether a range between whole numbers holds the numbers between them as well."""
    choices: tuple[Scalar, ...] = ()
    """The values themselves."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Space:
        if self.choices:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("choices stand alone, without low, high and log")
            return self
        if self.low is None or self.high is None or self.low >= self.high:
            raise ValueError("write low and a larger high, or choices")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 where log is true, not {self.low:g}")
        return self

    @property
    def whole(self) -> bool:
        """Whether the values are whole numbers."""
        return not self.real and all(end is not None and end.is_integer() for end in (self.low, self.high))


class Candidate(Definition):
    """One way to learn the model; all candidates are judged on the same held-out rows."""

    name: Name
    """What reports call it."""
    algorithm: Literal["ridge", "logistic_regression", "hist_gradient_boosting", "random_forest", "custom"]
    """The estimator; ``ridge`` is for regression, ``logistic_regression`` for classes."""
    estimator: str | None = Field(default=None, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    """Of ``custom``: import path of a scikit-learn estimator, such as ``estimators.fares:FareModel``, from the
    definitions folder or an installed package."""
    history: Length | None = None
    """How far before the holdout its training rows reach; None means all of them."""
    windows: tuple[Window, ...] = ()
    """Instead of ``history``, several ways how far they reach: ``"all"``, ``"since change"``, or lengths. The one that
    would have done best on the latest stretch before the holdout is taken."""
    parameters: dict[str, Scalar] = Field(default_factory=dict)
    """Arguments of the scikit-learn estimator."""
    space: dict[str, Space] = Field(default_factory=dict)
    """Arguments that a search chooses."""

    @model_validator(mode="after")
    def _estimator_is_custom(self) -> Candidate:
        if (self.algorithm == "custom") != (self.estimator is not None):
            raise ValueError('estimator goes with algorithm = "custom", and only with it')
        if self.windows and self.history is not None:
            raise ValueError("write history or windows, not both")
        if len(set(self.windows)) < len(self.windows):
            raise ValueError("windows must be different from one another")
        both = sorted(self.parameters.keys() & self.space.keys())
        if both:
            raise ValueError(f"{both[0]} stands in parameters and in space; leave one out")
        return self

    @property
    def longest(self) -> timedelta | None:
        """How far before the holdout its training rows may reach at most; None means no limit."""
        if not self.windows:
            return self.history
        lengths = [window for window in self.windows if isinstance(window, timedelta)]
        return max(lengths) if len(lengths) == len(self.windows) else None


class Search(Definition):
    """How the candidates that have a space are searched; judged on backtests, never on the held-out rows."""

    trials: int = Field(default=32, ge=1, le=10_000)
    """Most parameter sets that are tried for a candidate; the candidate's own defaults are the first."""
    parallel: int = Field(default=8, ge=1, le=1000)
    """Trials of a round, which run side by side and are all judged before the next round is chosen."""
    method: Literal["tpe", "random"] = "tpe"
    """How the next parameter sets are chosen."""
    halving: bool = True
    """Whether a round's trials see a part of the rows first, and the better half goes on to more of them."""
    folds: int = Field(default=2, ge=1, le=10)
    """Backtests that a trial is judged on."""
    max_failed: FiniteFloat = Field(default=0.5, ge=0, le=1)
    """Largest share of trials that may fail before the run does."""
    time: Length | None = None
    """Time after which no further round begins."""
    cost: FiniteFloat | None = Field(default=None, gt=0)
    """Dollars, at AWS's list price of the jobs, after which no further round begins."""


class Limit(Definition):
    """Where a metric must lie."""

    min: FiniteFloat | None = None
    """Smallest value."""
    max: FiniteFloat | None = None
    """Largest value."""

    @model_validator(mode="after")
    def _limits_something(self) -> Limit:
        if self.min is None and self.max is None:
            raise ValueError("write min, max or both")
        return self


class Gate(Definition):
    """What a candidate must fulfil to become champion; every rule that is set must hold."""

    max_error: FiniteFloat | None = Field(default=None, gt=0)
    """Largest value of the model's metric on the held-out rows, if less of it is better."""
    min_score: FiniteFloat | None = None
    """Smallest value of the model's metric on the held-out rows, if more of it is better."""
    limits: dict[str, Limit] = Field(default_factory=dict)
    """Other metrics, and where they must lie on the held-out rows."""
    beat_baseline: bool = True
    """Whether the model's metric must be better than that of the best constant guess and of the previous value."""
    min_improvement: FiniteFloat = Field(default=0.0, lt=1)
    """Smallest relative improvement over the champion on the same rows: 0.02 means 2 % better."""
    confidence: FiniteFloat | None = Field(default=None, gt=0.5, lt=1)
    """How sure it must be that the candidate is better than the champion at all, such as 0.95; by block bootstrap."""
    max_slice_worsening: FiniteFloat | None = Field(default=None, ge=0)
    """Largest relative worsening against the champion on any slice: 0.1 means 10 % worse."""
    slice_rows: int = Field(default=200, ge=1)
    """Held-out rows below which a slice is shown, but judges nothing."""
    max_parity_error: FiniteFloat = Field(default=1e-6, gt=0)
    """Largest relative difference between the ONNX artifact and the scikit-learn estimator on any held-out row."""
    max_bytes: int | None = Field(default=None, ge=1)
    """Largest size of the ONNX file."""
    max_milliseconds: FiniteFloat | None = Field(default=None, gt=0)
    """Longest time that the ONNX file takes for one row: the median of a hundred."""
    max_rejected: FiniteFloat | None = Field(default=None, ge=0, le=1)
    """Largest share of quarantined rows among all rows of the uploads that are learnt from."""
