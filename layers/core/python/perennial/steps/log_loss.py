"""What of a model's prediction log was lost lately."""

from __future__ import annotations

from datetime import datetime, timedelta

from perennial.data.prediction_runs import LineRun, read_runs
from perennial.monitoring.losses import Stretch, count_lost
from perennial.records import Champion
from perennial.serving.ids import RANDOM_BYTES, make_request_id
from perennial.steps.log_window import LogReader, keys_between
from perennial.steps.prediction_log import SETTLED
from perennial.utc import aware_utc

LOOKED_AT = timedelta(hours=2)
"""How far back gaps are looked for: twice as far as the time from one look to the next."""


def lost_lately(reader: LogReader, champion: Champion, now: datetime) -> int:
    """Count what did not come to the log, of the versions that answer a model's requests or try to.

    Returns
    -------
    int
        Lines that are missing, and rows that could not be written: at least as many predictions are lost. A version's
        gaps show within its own lines, so that versions which nobody looks at hide none.
    """
    since = now - LOOKED_AT
    challenger = champion.challenger.version if champion.challenger else None
    lost = 0
    for version in {champion.version, champion.previous, challenger}:
        if version is None:
            continue
        parts = keys_between(reader.store, champion.model, version, since, now)
        runs = [run for part in reader.read(parts, read_runs) for run in part]
        oldest = make_request_id(since, bytes(RANDOM_BYTES))
        loss = count_lost(map(_stretch, runs), oldest, now - SETTLED)
        lost += loss.lines + loss.rows
    return lost


def _stretch(run: LineRun) -> Stretch:
    return Stretch(**{**run._asdict(), "at": aware_utc(run.at)})
