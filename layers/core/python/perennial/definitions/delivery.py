"""How a version comes to serve: at once, or step by step beside the champion, with limits that take it back."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Literal

from pydantic import Field, FiniteFloat, model_validator

from perennial.definitions.base import Definition, Duration, Length

LONGEST_DELIVERY = timedelta(days=30)
"""A delivery is looked at every half an hour at least, and an execution of Step Functions has 25,000 events at most."""


class Delivery(Definition):
    """The way of a version to the champion's place; by default it is promoted as soon as it has passed its smoke test.

    A version that replaces no champion has nothing to be compared with, and is promoted at once.
    """

    shadow: Duration = timedelta(0)
    """How long it scores the champion's requests, for nobody to see but the log; nothing means no shadow phase."""
    canary: tuple[FiniteFloat, ...] = ()
    """Shares of the callers that it answers, one after the other, rising and below 1, such as ``[0.1, 0.5]``; none
    means no canary phase."""
    bake: Length = timedelta(hours=1)
    """How long it stays at each of these shares."""
    min_rows: int = Field(default=100, ge=1)
    """Rows that it must have been asked about in a phase before the phase can end well."""
    max_error_rate: FiniteFloat = Field(default=0.01, ge=0, lt=1)
    """Share of requests that it may fail through no fault of the callers. It is taken back when it credibly fails more
    than this, and more than the champion in the same time."""
    max_latency_ratio: FiniteFloat = Field(default=2.0, gt=1)
    """How many times as long as the champion's its 95th percentile may take, over requests of about as many rows."""
    max_quality_ratio: FiniteFloat = Field(default=1.1, ge=1)
    """How many times worse than the champion's its metric may be, on the labels that came for the same time. Of a
    metric that is to be large, what is missing to 1 is divided."""
    min_labelled: int = Field(default=200, ge=1)
    """Labelled rows of each of the two below which nothing is said about quality."""
    on_too_little: Literal["promote", "wait", "rollback"] = "wait"
    """What becomes of it when a phase's time is up and fewer than ``min_rows`` rows came: it goes on as if all were
    well; it waits for more, up to ``patience``; it is taken back."""
    patience: Length = timedelta(days=1)
    """How long beyond a phase's time it waits for traffic, before it is taken back."""

    @model_validator(mode="after")
    def _weights_rise(self) -> Delivery:
        if any(not 0 < weight < 1 for weight in self.canary):
            raise ValueError("canary: a share of the callers is above 0 and below 1; the champion's place comes after")
        if any(later <= earlier for earlier, later in pairwise(self.canary)):
            raise ValueError("canary: each share must be larger than the one before, such as [0.1, 0.5]")
        return self

    @model_validator(mode="after")
    def _ends_in_time(self) -> Delivery:
        if self.longest > LONGEST_DELIVERY:
            raise ValueError(
                f"a delivery may take {LONGEST_DELIVERY.days} days at most with all its phases and its patience in "
                f"each, not {self.longest / timedelta(days=1):.4g}"
            )
        return self

    @property
    def phases(self) -> int:
        """How many phases there are before the version serves."""
        return len(self.canary) + bool(self.shadow)

    @property
    def longest(self) -> timedelta:
        """How long a version may be on its way."""
        waiting = self.patience if self.on_too_little == "wait" else timedelta(0)
        return self.shadow + self.bake * len(self.canary) + waiting * self.phases
