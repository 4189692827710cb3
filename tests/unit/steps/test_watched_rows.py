"""Rows of the log as counts: the same however they are read, and never many at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest

from perennial.data.prediction_columns import LoggedRows
from perennial.monitoring.manifest_baseline import manifest_baseline
from perennial.monitoring.window import PREDICTION, count
from perennial.ports import Ports
from perennial.serving.ids import make_request_id
from perennial.steps import log_predictions
from perennial.steps import watched_rows as module
from perennial.steps.log_window import LogReader
from perennial.steps.watched_rows import Counted, watched_rows
from tests.support.artifacts import MODEL, a_classifier, logistic_graph, register
from tests.support.prediction_logs import a_request, lines_of
from tests.support.records import AT
from tests.support.watched import a_baseline, register_watched, rows, said, serve

DRAW = np.random.default_rng(2)
BASELINE = a_baseline(DRAW)
ROWS = rows(DRAW, 600)


class Watching(LogReader):
    """A reader that remembers how many rows it held at a time."""

    def __init__(self, ports: Ports) -> None:
        super().__init__(ports.artifacts)
        self.held: list[int] = []

    def tables(self, groups: Sequence[tuple[str, ...]]) -> list[LoggedRows]:
        """Return the rows of groups of parts."""
        found = super().tables(groups)
        self.held.append(sum(map(len, found)))
        return found


def counted(ports: Ports, reader: LogReader | None = None, most: int = 10_000) -> Counted:
    manifest = register_watched(ports, BASELINE)
    found, _ = watched_rows(reader or LogReader(ports.artifacts), manifest, BASELINE, AT.date(), most, None)
    assert found is not None
    return found


def served(ports: Ports) -> None:
    """Log the rows as twelve requests, a minute apart."""
    for number in range(12):
        serve(ports, ROWS[50 * number : 50 * number + 50], AT + timedelta(minutes=number), number)


@pytest.mark.parametrize("at_once", [1, 120, 10_000])
def test_parts_add_up_to_the_whole_and_few_are_held_at_once(
    ports: Ports, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", at_once)
    register_watched(ports, BASELINE)
    served(ports)
    reader = Watching(ports)
    found, whole = counted(ports, reader), count(BASELINE, ROWS, said(ROWS))
    assert found.rows == 600
    assert {name: cells.tolist() for name, cells in found.window.counts.items()} == {
        name: cells.tolist() for name, cells in whole.counts.items()
    }
    assert max(reader.held) <= at_once + 49  # a request is not divided


def test_a_second_look_holds_no_rows_of_what_it_has_counted(ports: Ports) -> None:
    register_watched(ports, BASELINE)
    served(ports)
    reader = Watching(ports)
    counted(ports, reader)
    reader.held.clear()
    assert counted(ports, reader).rows == 600
    assert sum(reader.held) == 0


def test_of_what_is_more_than_wanted_the_latest_count(ports: Ports) -> None:
    register_watched(ports, BASELINE)
    served(ports)
    expected = count(BASELINE, ROWS[-120:], said(ROWS[-120:]))
    found = counted(ports, most=120)
    assert found.rows == 120
    assert found.window.counts[PREDICTION].tolist() == expected.counts[PREDICTION].tolist()
    assert (found.since, found.until) == (AT + timedelta(minutes=9), AT + timedelta(minutes=11))


def test_what_is_delivered_again_counts_once(ports: Ports) -> None:
    register_watched(ports, BASELINE)
    request = a_request(features=ROWS[:3].tolist(), values=said(ROWS[:3]).tolist(), inputs={})
    other = a_request(features=ROWS[:3].tolist(), values=said(ROWS[:3]).tolist(), inputs={}, milliseconds=2.5)
    for one in (request, other):
        log_predictions.run(log_predictions.Request(lines=lines_of([one])), ports)
    assert counted(ports).rows == 3


def test_of_a_classifier_the_latest_probabilities_are_kept(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SCORED", 2)
    monkeypatch.setattr(module, "_AT_ONCE", 1)
    manifest = a_classifier("binary", logistic_graph())
    register(ports, manifest)
    for number in range(4):
        at = AT + timedelta(minutes=number)
        made = a_request(
            model=MODEL, request_id=make_request_id(at, bytes(10)), at=at, features=[[0, 1]], values=[number / 10]
        )
        log_predictions.run(log_predictions.Request(lines=lines_of([made])), ports)
    baseline = manifest_baseline(manifest)
    found, _ = watched_rows(LogReader(ports.artifacts), manifest, baseline, AT.date(), 100, None)
    assert found is not None
    assert found.rows == 4
    assert found.scores is not None
    assert found.scores.tolist() == [0.3, 0.2]
