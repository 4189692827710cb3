"""What two versions did, read from the prediction log and from the labels beside it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from perennial import keys
from perennial.data.prediction_columns import LoggedRows
from perennial.manifest import Manifest
from perennial.ports import Ports
from perennial.records import Challenger
from perennial.serving.ids import parse_prediction_id
from perennial.steps.delivering.observed import Labelled, Observed
from perennial.steps.log_window import LogReader, predictions_between
from perennial.steps.prediction_log import labels_between, latest_labels, read_labels

Place = tuple[str, int]
"""A request id and a row of it."""


def observed_in_log(
    ports: Ports, champion: Manifest, challenger: Manifest, there: Challenger, until: datetime
) -> tuple[Observed, Observed]:
    """Return what champion and challenger did since the challenger's phase began.

    What comes to the log later than that counts at the next look, for both alike. Requests for which a caller named the
    version do not count: nobody chose by chance who asks it.
    """
    reader = LogReader(ports.artifacts)
    route = "shadow" if there.shadow else "canary"
    theirs = _logged(reader, champion, there.since, until, "champion")
    ours = _logged(reader, challenger, there.since, until, route)
    known = _labels(ports, champion, there.since, until)
    # A shadow answers nobody, so the labels are those of the answers that it stood beside.
    for_ours = known if there.shadow else _labels(ports, challenger, there.since, until)
    return _observed(champion, theirs, known), _observed(challenger, ours, for_ours)


def _logged(
    reader: LogReader, manifest: Manifest, since: datetime, until: datetime, route: str
) -> LoggedRows | None:
    rows = predictions_between(reader, manifest.model, manifest.version, since, until)
    return None if rows is None else rows.take(rows.routes == route)


def _labels(ports: Ports, manifest: Manifest, since: datetime, until: datetime) -> dict[Place, float]:
    """Return the label that counts of each labelled row of the version's answers to requests of that time."""
    wanted = labels_between(ports.artifacts, manifest.model, manifest.version, since, until)
    found = latest_labels(label for key in wanted for label in read_labels(ports.artifacts, key))
    ids = {text: parse_prediction_id(text) for text in found}
    return {(ids[text].request_id, ids[text].row): label.label for text, label in found.items()}


def _observed(manifest: Manifest, rows: LoggedRows | None, labels: Mapping[Place, float]) -> Observed:
    if rows is None or not len(rows):
        return Observed(manifest.version)
    _, first, count = np.unique(rows.request_ids.astype(str), return_index=True, return_counts=True)
    return Observed(
        version=manifest.version,
        rows=count.astype(np.int64),
        milliseconds=rows.milliseconds[first],
        failed=rows.errors[first] != "",
        labelled=_labelled(rows, labels),
    )


def _labelled(rows: LoggedRows, labels: Mapping[Place, float]) -> Labelled:
    places = zip(rows.request_ids.tolist(), rows.places.tolist(), strict=True)
    told = np.array([labels.get(place, np.nan) for place in places])
    known = ~np.isnan(told) & (rows.errors == "")
    said = rows.predictions if rows.probabilities is None else rows.probabilities
    return Labelled(rows.answered_at[known], told[known], said[known])
