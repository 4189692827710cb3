"""What two versions did, read from the prediction log and from the labels beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from perennial import keys
from perennial.data.prediction_columns import LoggedRows
from perennial.manifest import Manifest
from perennial.ports import ObjectStore, Ports
from perennial.records import Challenger
from perennial.serving.ids import moment_of, parse_prediction_id
from perennial.steps.delivering.observed import Labelled, Observed
from perennial.steps.log_window import LogReader, keys_between, predictions_between
from perennial.steps.prediction_log import (
    StoredLabel,
    latest_labels,
    newest_first,
    parse_labels,
    request_id_of,
    rows_in,
    window_of,
)

MOST_ROWS = 200_000
"""Rows of either version that one look reads at most, the latest ones: more would tell hardly more."""
Place = tuple[str, int]
"""A request id and a row of the request."""


def observed_in_log(
    ports: Ports,
    champion: Manifest,
    challenger: Manifest,
    there: Challenger,
    until: datetime,
    most_rows: int = MOST_ROWS,
) -> tuple[Observed, Observed]:
    """Return what champion and challenger did since the challenger's phase began.

    What comes to the log later counts at the next look, for both alike. Requests for which a caller named the version
    do not count: it was not chance that chose who asks it.
    """
    reader = LogReader(ports.artifacts)
    since = _since(ports.artifacts, (champion, challenger), there.since, until, most_rows)
    theirs = _logged(reader, champion, since, until, "champion")
    ours = _logged(reader, challenger, since, until, "shadow" if there.shadow else "canary")
    known = _labels(reader, champion, since, until)
    # A shadow answers nobody, so the labels are those of the answers that it stood beside.
    of_ours = known if there.shadow else _labels(reader, challenger, since, until)
    return _observed(champion, theirs, known), _observed(challenger, ours, of_ours)


def _since(
    store: ObjectStore, versions: Sequence[Manifest], since: datetime, until: datetime, most_rows: int
) -> datetime:
    """Return from when on both are looked at, so that there are no more rows of either than may be read."""
    for of in versions:
        rows = 0
        for key in reversed(keys_between(store, of.model, of.version, since, until)):
            rows += rows_in(key)
            if rows > most_rows:
                # The first seven of the ten characters that tell a request's time: the end of that window.
                since = max(since, moment_of(f"{window_of(key)[1]}ZZZ") + timedelta(milliseconds=1))
                break
    return since


def _logged(reader: LogReader, of: Manifest, since: datetime, until: datetime, route: str) -> LoggedRows | None:
    rows = predictions_between(reader, of.model, of.version, since, until)
    return None if rows is None else rows.take(rows.routes.astype(str) == route)


def _labels(reader: LogReader, of: Manifest, since: datetime, until: datetime) -> dict[Place, float]:
    """Return the label that counts of each labelled row of the version's answers to requests of that time."""
    found = newest_first(reader.store, keys.labels_prefix(of.model, of.version), since.date(), until.date())
    wanted = [key for key in found if since <= moment_of(request_id_of(key)) <= until]
    latest = latest_labels(label for labels in reader.read(wanted, _parsed) for label in labels)
    ids = {text: parse_prediction_id(text) for text in latest}
    return {(ids[text].request_id, ids[text].row): label.label for text, label in latest.items()}


def _parsed(objects: Sequence[bytes]) -> list[list[StoredLabel]]:
    return list(map(parse_labels, objects))


def _observed(of: Manifest, rows: LoggedRows | None, labels: Mapping[Place, float]) -> Observed:
    if rows is None or not len(rows):
        return Observed(of.version)
    _, first, count = np.unique(rows.request_ids.astype(str), return_index=True, return_counts=True)
    return Observed(
        version=of.version,
        rows=count.astype(np.int64),
        milliseconds=rows.milliseconds[first],
        failed=rows.errors[first].astype(str) != "",
        labelled=_labelled(rows, labels),
    )


def _labelled(rows: LoggedRows, labels: Mapping[Place, float]) -> Labelled:
    places = zip(rows.request_ids.tolist(), rows.places.tolist(), strict=True)
    told = np.array([labels.get(place, np.nan) for place in places])
    known = ~np.isnan(told) & (rows.errors.astype(str) == "")
    said = rows.predictions if rows.probabilities is None else rows.probabilities
    return Labelled(rows.answered_at[known], told[known], said[known])
