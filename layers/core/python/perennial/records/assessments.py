"""What the monitor found about a champion."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from perennial.records.base import Moment, Record


class Moved(Record):
    """One figure of a window that is not as it was: more than chance allows, and enough to matter."""

    subject: str
    """The feature, ``prediction``, or ``reconstruction``: whether the features go together as they did."""
    kind: Literal["distribution", "shift", "missing", "unseen", "beyond"]
    value: float
    """Population stability index, distance in standard deviations, or share of the window's rows."""
    reference: float
    """The share of the training rows; 0 of a distance."""
    threshold: float
    """What chance alone exceeds seldom."""
    chance: float
    """How likely so much is where nothing has moved."""


class Assessment(Record):
    """What the monitor found about a champion's latest predictions."""

    model: str
    version: int
    at: Moment
    """When the monitor began to read: what was logged before is in the figures."""
    rows: int
    """Predictions in the window."""
    since: Moment | None = None
    """When the first of them was asked for; None if there are none."""
    until: Moment | None = None
    """When the last of them was."""
    first_window: bool = False
    """Whether these are all there are of the version: what moved then is likely skew between training and serving."""
    labelled: int
    """Labelled predictions that ``performance`` is measured on: the latest ones that have a label."""
    labelled_until: Moment | None = None
    """When the latest of these labels came; None if there are none."""
    unknown_labels: int = 0
    """Labels met on the way whose predictions are not in the log: not yet, or lost. They count for nothing."""
    feature_drift: float | None
    """Largest population stability index of any feature; None below the model's ``min_rows``."""
    drifted_feature: str | None
    """The feature of that index."""
    prediction_drift: float | None
    """Population stability index of the predictions."""
    performance: float | None
    """The model's metric over labelled predictions; an error is in the target's unit."""
    performance_ratio: float | None
    """How many times worse ``performance`` is than the metric on the held-out rows; None without either. Of an error
    the one divided by the other, of a score (more of it is better) what each lacks to 1."""
    estimated: float | None = None
    """The metric over the window as it is estimated without labels."""
    estimated_low: float | None = None
    """With ``estimated_high``, where labels will put it 19 times of 20 unless the features' meaning changed."""
    estimated_high: float | None = None
    estimated_ratio: float | None = None
    """How many times worse that is than on the held-out rows."""
    lost: int | None = None
    """What did not come to the prediction log in the two hours before: lines of one row at least, of any version that
    answers; None where nobody counted, which is done once an hour."""
    figures: dict[str, float] = Field(default_factory=dict)
    """Signal (as in `perennial.monitoring.published.METRICS`) to its value over its limit: above 1 is too much."""
    moved: tuple[Moved, ...] = ()
    """What of the window is not as it was, the largest first; no more than ten, all are in the report."""
    baseline: Literal["file", "manifest"] = "file"
    """Whether the version has a baseline of its own, or only its manifest's histograms: these measure no dependence of
    rows, and tell nothing of features together and of estimated quality."""
    attention: bool = False
    """Whether any figure is above 1 of a signal that the definition has an alarm of."""
    sentence: str = ""
    """What moved, for people."""
    report_key: str | None = None
    """The latest report of this version, JSON; the page for people stands beside it, with the suffix ``html``."""
    reported_at: Moment | None = None
    """When that was written."""
    report_of_attention: bool = False
    """Whether it is of a look that found that attention is needed."""
