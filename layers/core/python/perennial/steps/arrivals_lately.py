"""Whether a model is called as it used to be: how much within a day, and how long ago; the log's keys alone tell it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from perennial import keys
from perennial.definitions import Monitor
from perennial.monitoring.arrivals import Arrival, freshness, volume
from perennial.ports import ObjectStore
from perennial.records import Champion, Record
from perennial.serving.ids import moment_of
from perennial.steps.prediction_log import SETTLED, parts_of, rows_in, window_of

DAY = timedelta(days=1)
DAYS = 28
"""Earlier days that a day is compared with at most."""
_SHORTEST = 60.0
"""Seconds that a gap counts as at least: keys tell the time to half a minute."""
_OUTLASTS = 2.0
"""How many times as long as the longest gap of earlier days a silence may be."""


class Arrivals(Record):
    """How a model's predictions came lately."""

    days: tuple[int, ...] = ()
    """Rows of each 24 hours, the latest first; it is complete but for what is still on its way to the log."""
    silence: float | None = None
    """Seconds since the last prediction; None without one in all that time."""
    volume: Arrival | None = None
    """The latest day against the others; None with too few of them."""
    freshness: Arrival | None = None
    """``silence`` against the longest gap of each earlier day."""

    def figures(self, limits: Monitor, called_every: timedelta | None) -> dict[str, float]:
        """Return both, divided by their limits.

        Parameters
        ----------
        limits : Monitor
            How unlikely, and how large a change of a day's rows must be.
        called_every : timedelta or None
            How long nobody may call; None: twice as long as the longest gap of the earlier days.
        """
        found: dict[str, float] = {}
        if self.volume is not None:
            size = abs(self.volume.value / self.volume.expected - 1) / limits.min_volume
            found["volume"] = size if self.volume.chance <= limits.level else min(size, 1.0)
        elif called_every is not None and self.silence is not None:
            found["volume"] = 0.0  # said, though nothing is known yet: of such a model silence is an alarm
        if called_every is not None and self.silence is not None:
            found["freshness"] = self.silence / called_every.total_seconds()
        elif self.freshness is not None:
            found["freshness"] = self.freshness.value / (_OUTLASTS * max(self.freshness.expected, _SHORTEST))
        return found


def arrivals_lately(store: ObjectStore, champion: Champion, now: datetime) -> Arrivals:
    """Tell how the predictions of a model came, by whichever of the champion and the version before it gave them."""
    end = now - SETTLED
    parts = sorted(_parts(store, champion, end - (DAYS + 1) * DAY, end))
    if not parts:
        return Arrivals()
    whole = min((end - parts[0][0]) // DAY, DAYS + 1)  # days of which the beginning was seen
    rows = [0] * (whole + 1)
    for at, number in parts:
        rows[min((end - at) // DAY, whole)] += number
    days = rows[:whole]
    moments = [at for at, _ in parts]
    silence = (end - moments[-1]).total_seconds()
    return Arrivals(
        days=tuple(days),
        silence=silence,
        volume=volume(days[1:], days[0]) if days else None,
        freshness=freshness(_longest_gaps(moments, end, whole), silence),
    )


def _parts(store: ObjectStore, champion: Champion, since: datetime, until: datetime) -> Iterator[tuple[datetime, int]]:
    """Give the beginning and the rows of each part of the log in a stretch of time."""
    for version in {champion.version, champion.previous} - {None}:
        assert version is not None
        prefix = keys.predictions(champion.model, version)
        for day in range((until.date() - since.date()).days + 1):
            date = since.date() + timedelta(days=day)
            for key in parts_of(store.keys(f"{prefix}date={date.isoformat()}/")):
                at = moment_of(window_of(key)[1] + "000")
                if since <= at <= until:
                    yield at, rows_in(key)


def _longest_gaps(moments: Sequence[datetime], end: datetime, days: int) -> list[float]:
    """Return the longest gap, in seconds, that ended in each of the earlier days; a day without an end is as long."""
    longest = [DAY.total_seconds()] * days
    ended: dict[int, float] = {}
    for before, after in pairwise(moments):
        day = (end - after) // DAY
        ended[day] = max(ended.get(day, 0.0), (after - before).total_seconds())
    return [ended.get(day, longest[day]) for day in range(1, days)]
