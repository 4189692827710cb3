"""Losses: how much of what processes wrote to the prediction log did not come there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby


@dataclass(frozen=True, order=True)
class Stretch:
    """Lines of one process that came, without a gap between them; of one version, as all that is counted here."""

    process: str
    """Name of the process: names sort by when the processes began."""
    first: int
    """Sequence number of the first line: how many the process wrote before."""
    last: int
    at: datetime
    """Time of the first line."""
    unwritten_before: int
    """Rows that the process had failed to write before the first line."""
    unwritten: int
    """The same before the last line."""


@dataclass(frozen=True)
class Loss:
    """What is missing."""

    lines: int
    """Lines that were written and did not come; each held one row of a request at least."""
    rows: int
    """Rows that could not be written."""


def count_lost(stretches: Iterable[Stretch], since: str, until: datetime) -> Loss:
    """Count the gaps between lines that came.

    What a process wrote last and what did not come shows when a later line has come: the loss of a process's very
    last lines is not seen.

    Parameters
    ----------
    stretches : iterable of Stretch
        What came lately, in any order; the same line may be in several.
    since : str
        The name that a process would have that began when "lately" begins. Of one that began later all lines must have
        come, of another one those between the first and the last that did.
    until : datetime
        A gap counts if the line behind it is older: what is missing before a younger one may be on its way.
    """
    lines = rows = 0
    for process, of_process in groupby(sorted(stretches), key=lambda stretch: stretch.process):
        came = [stretch for stretch in of_process if stretch.at < until]
        if not came:
            continue
        young = process >= since
        covered = -1 if young else came[0].first - 1
        for stretch in came:
            lines += max(0, stretch.first - covered - 1)
            covered = max(covered, stretch.last)
        rows += max(stretch.unwritten for stretch in came)
        rows -= 0 if young else min(stretch.unwritten_before for stretch in came)
    return Loss(lines, rows)
