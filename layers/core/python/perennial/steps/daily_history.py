"""The latest days of a version, by event time: what came, where it lay, and how good the answers turned out to be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from perennial import keys
from perennial.data.prediction_columns import LoggedRows, stack
from perennial.manifest import Manifest
from perennial.monitoring.baseline import Baseline
from perennial.monitoring.estimate import estimate
from perennial.monitoring.late_labels import Label, Labelled, labelled_windows
from perennial.monitoring.quality import measure
from perennial.monitoring.report import FEWEST, Day, place_of
from perennial.monitoring.window import PREDICTION, Window, count
from perennial.ports import ObjectStore
from perennial.serving.ids import PredictionId, moment_of
from perennial.serving.logged import policy_of
from perennial.steps.log_window import LogReader, answered, groups_newest_first, some_groups
from perennial.steps.prediction_log import newest_first, read_labels, request_id_of

DAYS = 30
MOST_ROWS = 100_000
"""Rows that the days hold together at most; days before them are left out."""
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class History:
    """The days, and what became of their labels."""

    days: tuple[Day, ...]
    """By rising time."""
    unknown: int
    repeated: int


def daily_history(
    reader: LogReader, manifest: Manifest, baseline: Baseline, now: datetime, watermark: timedelta
) -> History:
    """Read a version's latest days and join their labels, in whatever order and how often these came.

    Parameters
    ----------
    watermark : timedelta
        How long labels are waited for.
    """
    since = max(manifest.created_at.date(), (now - DAYS * _DAY).date())
    table, first = _rows(reader, manifest, since, now.date())
    if table is None:
        return History((), 0, 0)
    said = _predictions(manifest, table)
    labels = _labels(reader.store, manifest, first, now.date())
    joined = labelled_windows({name: at for name, (at, _) in said.items()}, labels, _DAY, watermark, now)
    return History(_days(manifest, baseline, table, said, joined), joined.unknown, joined.repeated)


def _rows(reader: LogReader, manifest: Manifest, since: date, until: date) -> tuple[LoggedRows | None, date]:
    """Return the answers of whole days, and the first of these."""
    groups = groups_newest_first(reader, manifest.model, manifest.version, since, until)
    tables: list[LoggedRows] = []
    missing = MOST_ROWS
    while missing > 0 and (wanted := some_groups(groups, min(missing, 32_768))):
        tables += [table for table in map(answered, reader.tables(wanted)) if len(table)]
        missing = MOST_ROWS - sum(map(len, tables))
    if not tables:
        return None, since
    table = stack(tables)
    first = since
    if missing <= 0:  # the earliest day may have had more
        first = _day_of(table.request_ids[-1]) + _DAY
        table = table.take(np.array([_day_of(name) >= first for name in table.request_ids], dtype=bool))
    return (table if len(table) else None), first


def _predictions(manifest: Manifest, table: LoggedRows) -> dict[str, tuple[datetime, int]]:
    """Return each prediction's id with its event time and its place in the table."""
    return {
        str(PredictionId(manifest.version, request, row)): (moment_of(request), number)
        for number, (request, row) in enumerate(zip(table.request_ids, table.places.tolist(), strict=True))
    }


def _labels(store: ObjectStore, manifest: Manifest, since: date, until: date) -> list[Label]:
    """Return the labels for predictions of these days that the version's log keeps."""
    policy = policy_of(manifest.log.model_dump(), manifest.features)
    found = newest_first(store, keys.labels_prefix(manifest.model, manifest.version), since, until)
    kept = (key for key in found if policy.keeps(request_id_of(key)))
    return [Label(label.prediction_id, label.label, label.at) for key in kept for label in read_labels(store, key)]


def _days(
    manifest: Manifest,
    baseline: Baseline,
    table: LoggedRows,
    said: dict[str, tuple[datetime, int]],
    joined: Labelled,
) -> tuple[Day, ...]:
    of_day: dict[date, list[int]] = {}
    for at, number in said.values():
        of_day.setdefault(at.date(), []).append(number)
    days = []
    for window in joined.windows:
        day = window.start.astimezone(UTC).date()
        rows = table.take(np.array(of_day[day], dtype=np.int64))
        counted = count(baseline, rows.matrix(baseline.features), rows.predictions)
        labelled = [said[name][1] for name in window.prediction_ids]
        days.append(
            Day(
                day=day,
                rows=len(rows),
                labelled=len(labelled),
                final=window.final,
                performance=_performance(manifest, table, labelled, window.labels),
                estimated=_estimated(manifest, baseline, counted, rows),
                places=_places(manifest, baseline, counted),
            )
        )
    return tuple(days)


def _performance(manifest: Manifest, table: LoggedRows, places: list[int], labels: tuple[float, ...]) -> float | None:
    if len(labels) < FEWEST:
        return None
    rows = table.take(np.array(places, dtype=np.int64))
    values = rows.predictions if rows.probabilities is None else rows.probabilities
    return measure(manifest.metric, np.array(labels, dtype=np.float64), values, manifest.task)


def _estimated(manifest: Manifest, baseline: Baseline, counted: Window, rows: LoggedRows) -> float | None:
    estimator = baseline.estimator
    if estimator is None or len(rows) < FEWEST or manifest.log.masked_features:
        return None
    scores = rows.predictions if rows.probabilities is None else rows.probabilities
    found = estimate(estimator, counted.counts, counted.rows, scores)
    return None if found is None else found.value


def _places(manifest: Manifest, baseline: Baseline, counted: Window) -> dict[str, float]:
    columns = {**baseline.columns, PREDICTION: baseline.prediction}
    found = {name: place_of(column, counted.counts[name]) for name, column in columns.items()}
    masked = set(manifest.log.masked_features)
    return {name: place for name, place in found.items() if place is not None and name not in masked}


def _day_of(request_id: str) -> date:
    return moment_of(request_id).date()
