"""The rows that the monitor looks at, as counts: read part by part, so that memory does not grow with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import reduce
from itertools import takewhile
from operator import add

import numpy as np
import numpy.typing as npt

from perennial.data.prediction_columns import LoggedRows
from perennial.manifest import Manifest
from perennial.monitoring.baseline import Baseline
from perennial.monitoring.window import RECONSTRUCTION, Window, count
from perennial.serving.ids import moment_of
from perennial.steps.log_window import LogReader, answered, groups_newest_first, some_groups
from perennial.steps.prediction_log import rows_in, window_of

_AT_ONCE = 32_768
"""Rows that are read at the same time; what is delivered together is not divided."""
_SCORED = 50_000
"""Latest rows of a classifier whose probabilities are kept for the estimate of its quality: its error falls no more."""


@dataclass(frozen=True)
class Counted:
    """What rows of one window, or of a part of it, came to."""

    window: Window
    since: datetime
    """When the first of them was answered."""
    until: datetime
    scores: npt.NDArray[np.float64] | None
    """Of classes, the latest probabilities."""

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.window.rows


def watched_rows(
    reader: LogReader, manifest: Manifest, baseline: Baseline, until: date, rows: int, back_to: datetime | None
) -> tuple[Counted | None, bool]:
    """Count a version's latest answers, at most ``rows``, and none whose half minute began before ``back_to``.

    Parameters
    ----------
    until : datetime.date
        Last day, in UTC, on which there can be predictions.

    Returns
    -------
    Counted or None, bool
        None if there are none; whether these are all that the version ever gave.
    """
    first = manifest.created_at.date()
    start = first if back_to is None else max(first, back_to.date())
    groups = groups_newest_first(reader, manifest.model, manifest.version, start, until)
    recent = takewhile(lambda group: back_to is None or _began(group) >= back_to, groups)
    parts: list[Counted] = []
    missing, held = rows, 0
    while missing > 0 and (wanted := some_groups(recent, min(missing, _AT_ONCE))):
        held += sum(rows_in(key) for group in wanted for key in group)
        for part in _counted(reader, manifest, baseline, wanted, missing, scored=rows - missing < _SCORED):
            parts.append(part)
            missing -= part.rows
    everything = back_to is None and held <= rows and next(recent, None) is None
    return (_sum(parts) if parts else None), everything


def _counted(
    reader: LogReader,
    manifest: Manifest,
    baseline: Baseline,
    groups: Sequence[tuple[str, ...]],
    most: int,
    *,
    scored: bool,
) -> Iterator[Counted]:
    """Count groups of parts, each once for all looks; of the one that has more rows than are wanted its latest."""
    about = {group: ("counts", manifest.version, scored, *group) for group in groups}
    fresh = [group for group in groups if reader.recall(about[group]) is None]
    tables = dict(zip(fresh, map(answered, reader.tables(fresh)), strict=True))
    for group, table in tables.items():
        reader.keep(about[group], (_count(table, manifest, baseline, scored=scored),))
    for group in groups:
        part = reader.recall(about[group])[0]
        if part is not None and most > 0:
            if part.rows > most:
                table = tables[group] if group in tables else answered(reader.tables([group])[0])
                part = _count(table.take(np.arange(most)), manifest, baseline, scored=scored)
            most -= part.rows
            yield part


def _count(table: LoggedRows, manifest: Manifest, baseline: Baseline, *, scored: bool) -> Counted | None:
    """Count rows; what is masked in the log tells nothing, nor do then the features together."""
    if len(table) == 0:
        return None
    window = count(baseline, table.matrix(baseline.features), table.predictions)
    masked = set(manifest.log.masked_features)
    hidden = masked | ({RECONSTRUCTION} if masked else set())
    seen = {name: counts for name, counts in window.counts.items() if name not in hidden}
    scores = None
    if scored and manifest.task != "regression":
        scores = table.predictions if table.probabilities is None else table.probabilities
    at = table.answered_at
    return Counted(Window(window.rows, seen), _moment(at.min()), _moment(at.max()), scores)


def _sum(parts: Sequence[Counted]) -> Counted:
    scores = [part.scores for part in parts if part.scores is not None]
    return Counted(
        reduce(add, (part.window for part in parts)),
        min(part.since for part in parts),
        max(part.until for part in parts),
        np.concatenate(scores) if scores else None,
    )


def _began(group: tuple[str, ...]) -> datetime:
    """Return the beginning of the half minute that a group's parts are of."""
    return moment_of(window_of(group[0])[1] + "000")


def _moment(at: np.datetime64) -> datetime:
    moment: datetime = at.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)
