"""How the served model is watched: which rows are looked at, and when what they show is an alarm."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import Field, FiniteFloat, model_validator

from perennial.definitions.base import Definition, Length

ROWS = 5000
"""Rows of a window that no definition limits otherwise."""
MOST_ROWS = 1_000_000
"""Rows of a window that is limited by time alone: the latest."""
_REPLACED = {"feature_drift": "min_psi", "prediction_drift": "min_psi"}


class Monitor(Definition):
    """What is looked at, and when it counts as not as it was: unlikely by chance, and large enough to matter."""

    window_rows: int | None = Field(default=None, ge=1)
    """How many of the champion's latest predictions are looked at, `ROWS` by default, `MOST_ROWS` with ``window``."""
    window: Length | None = None
    """How far back they reach at most, to half a minute; None: as far as there are fewer than ``window_rows``."""
    min_rows: int = Field(default=1000, ge=1)
    """How many there must be (for performance: with a label) before anything is said."""
    level: FiniteFloat = Field(default=0.01, gt=0, le=0.2)
    """False-alarm rate of one look: the chance that any signal alarms though nothing has moved."""
    min_psi: FiniteFloat = Field(default=0.1, gt=0)
    """Least population stability index of a feature, of the predictions, or of how features go together."""
    min_shift: FiniteFloat = Field(default=0.1, gt=0)
    """Least distance that values moved along their axis, in standard deviations of the training rows."""
    min_share: FiniteFloat = Field(default=0.01, gt=0, le=1)
    """Least change of the share of missing values, of unknown categories and of values beyond the learnt range."""
    min_worsening: FiniteFloat = Field(default=0.05, gt=0)
    """Least worsening of the estimated quality, relative to the held-out rows'."""
    min_volume: FiniteFloat = Field(default=0.5, gt=0)
    """Least change of the rows of a day, relative to the mean of earlier days: 0.5 is half as many, or 1.5 times."""
    performance_ratio: FiniteFloat = Field(default=1.25, gt=1)
    """Threshold on the metric over labelled predictions, divided by the metric on the held-out rows. Of a metric that
    is to be large, what is missing to 1 is divided: an accuracy of 0.8 after one of 0.9 makes 2."""
    labels_watermark: Length = timedelta(days=7)
    """How late labels are expected at most: then the quality of a day is final, unless later ones come all the same."""

    @model_validator(mode="before")
    @classmethod
    def _no_key_of_before(cls, given: Any) -> Any:
        for old, new in _REPLACED.items() if isinstance(given, dict) else ():
            if old in given:
                raise ValueError(f"{old} is now {new}, the least size of what must be more than chance, too")
        return given

    @model_validator(mode="after")
    def _the_window_holds_enough(self) -> Monitor:
        if self.min_rows > self.rows:
            raise ValueError(
                f"min_rows {self.min_rows} is above window_rows {self.rows}, so nothing would be published"
            )
        return self

    @property
    def rows(self) -> int:
        """Most rows of a window."""
        return self.window_rows or (ROWS if self.window is None else MOST_ROWS)
