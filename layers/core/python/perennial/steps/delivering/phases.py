"""The phases that a version goes through beside the champion, and how often each is looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from perennial.definitions import Delivery
from perennial.records import Challenger, ModelVersion

LONGEST_PAUSE = timedelta(minutes=30)
"""Between two looks."""
_SHARE = 0.1
"""Of the time that a phase has taken: what goes wrong at once is seen at once, and a long phase is looked at seldom."""


@dataclass(frozen=True)
class Phase:
    """A stretch of time beside the champion."""

    weight: float
    """Share of the callers; 0 of the shadow phase."""
    length: timedelta

    @property
    def shadow(self) -> bool:
        """Whether the version answers nobody."""
        return self.weight == 0

    def challenger(self, version: ModelVersion, run_id: str, since: datetime) -> Challenger:
        """Return what stands beside the champion in this phase."""
        return Challenger(
            version=version.version,
            manifest_key=version.manifest_key,
            manifest_sha256=version.manifest_sha256,
            weight=self.weight,
            shadow=self.shadow,
            run_id=run_id,
            since=since,
        )


def phases(limits: Delivery) -> list[Phase]:
    """Return the phases before a version serves, in order; none if it serves at once."""
    shadow = [Phase(0.0, limits.shadow)] if limits.shadow else []
    return shadow + [Phase(weight, limits.bake) for weight in limits.canary]


def phase_after(limits: Delivery, there: Challenger) -> Phase | None:
    """Return the phase that follows, or None if the version is to serve.

    The shares may have been changed since: what follows is the next larger one of those that there are.
    """
    return next((phase for phase in phases(limits) if phase.weight > there.weight), None)


def length_of(limits: Delivery, there: Challenger) -> timedelta:
    """Return how long the phase is in which a version stands."""
    return limits.shadow if there.shadow else limits.bake


def seconds_until_next_look(elapsed: timedelta, length: timedelta, least: float) -> int:
    """Return how long to wait before a phase is looked at again, in whole seconds.

    Parameters
    ----------
    elapsed, length : timedelta
        What has passed of the phase, and how long it is to be.
    least : float
        Seconds between two looks at least.
    """
    pause = min(max(_SHARE * elapsed.total_seconds(), least), LONGEST_PAUSE.total_seconds())
    left = (length - elapsed).total_seconds()
    return max(1, math.ceil(min(pause, left) if left > 0 else pause))
