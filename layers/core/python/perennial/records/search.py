"""What a search plans, tries and finds."""

from __future__ import annotations

from pydantic import Field

from perennial.definitions import Scalar
from perennial.records.base import Moment, Record


class TrialTask(Record):
    """One trial on one rung: what a child of a round's array job does."""

    candidate: str
    number: int
    """Which of the candidate's parameter sets: 0 is what it has without a search."""
    rung: int
    """Place in the round's ``shares``."""
    share: float
    """Of the rows of each fold that are learnt from."""
    parameters: dict[str, Scalar]
    """What is tried; of trial 0 nothing."""


class FoldScore(Record):
    """The checkpoint of a trial: one backtest of it, done."""

    value: float | None
    """The model's metric; None if it cannot be measured there."""
    error: str | None = None
    """Why not."""
    rows: int = 0
    """Rows that were learnt from."""
    seconds: float
    defaults: dict[str, Scalar | None] = Field(default_factory=dict)
    """Of trial 0: what the estimator has for the parameters that are searched."""


class TrialResult(Record):
    """What came of a task."""

    value: float | None
    """Mean of the model's metric over the folds; None if the trial failed."""
    folds: tuple[float, ...] = ()
    """The metric on each fold, the latest stretch first."""
    error: str | None = None
    """Why it failed."""
    seconds: float
    """Of all folds, whatever number of attempts they took."""
    ended_at: Moment
    defaults: dict[str, Scalar | None] = Field(default_factory=dict)
    """As in `FoldScore`."""


class Trial(Record):
    """A parameter set, and what is known of it."""

    number: int
    round: int
    """The round in which it was chosen."""
    parameters: dict[str, Scalar]
    values: dict[int, float] = Field(default_factory=dict)
    """Rung to the mean of the metric over the folds."""
    folds: tuple[float, ...] = ()
    """The metric on each fold, on the highest rung."""
    error: str | None = None
    """Why it failed."""
    seconds: float = 0.0
    defaults: dict[str, Scalar | None] = Field(default_factory=dict)
    """As in `FoldScore`."""


class CandidateSearch(Record):
    """A candidate's search so far: all its trials, in the order of their numbers."""

    trials: tuple[Trial, ...] = ()
    stopped: str = ""
    """Why no further parameter set is tried; empty while some are."""
    best: int | None = None
    """Number of the best trial on all rows; None while there is none."""


class Round(Record):
    """One round's plan, and all that the rounds before it found (an object of ``keys.search_round``)."""

    number: int
    """1, 2, 3, …"""
    began_at: Moment
    """When the search began: when its first round was planned."""
    seconds: float = 0.0
    """From then until the last trial of the round before this one ended."""
    dollars: float = 0.0
    """List price of all trials so far."""
    shares: tuple[float, ...]
    """The rungs: shares of the rows, the last of them 1."""
    tasks: tuple[TrialTask, ...]
    """What is to be tried now; empty when the search is over."""
    candidates: dict[str, CandidateSearch]
    reason: str = ""
    """What ended the search; empty while it goes on."""
