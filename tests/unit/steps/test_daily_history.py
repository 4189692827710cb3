"""Days by event time: the same figures however late, often and in whatever order labels come."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perennial.definitions import Monitor
from perennial.definitions.files import load_definitions
from perennial.fakes import FixedClock, fake_ports
from perennial.ports import Ports
from perennial.steps import daily_history as module
from perennial.steps.daily_history import History, daily_history
from perennial.steps.log_window import LogReader
from perennial.steps.looking import look
from tests.support.artifacts import FEATURES, MODEL, a_manifest
from tests.support.records import AT
from tests.support.watched import a_baseline, days, label, register_watched, rows, said, serve, watched_by

EXAMPLES = Path(__file__).parents[3] / "layers" / "definitions"
WEEK = timedelta(days=7)
BASELINE = a_baseline(np.random.default_rng(1))
SERVED = [rows(np.random.default_rng(day), 30) for day in range(3)]
UNKNOWN = "1-01D4WDBG00ZZZZZZZZZZZZZZZZ-0"  # a prediction of the first day that nobody made


def history(ports: Ports) -> History:
    champion = ports.catalog.champion(MODEL)
    assert champion is not None
    manifest = a_manifest(baseline_sha256="b" * 64)
    return daily_history(LogReader(ports.artifacts), manifest, BASELINE, ports.clock.now(), WEEK)


def three_days(ports: Ports) -> list[list[str]]:
    """Serve 30 rows on each of three days; return their prediction ids."""
    register_watched(ports, BASELINE)
    return [serve(ports, one, at, day) for day, (one, at) in enumerate(zip(SERVED, days(AT, 3), strict=True))]


def test_a_day_has_what_was_asked_on_it_and_labels_whenever_they_come(ports: Ports, clock: FixedClock) -> None:
    ids = three_days(ports)
    off = [(said(one) + miss).tolist() for one, miss in zip(SERVED, (1.0, 2.0, 3.0), strict=True)]
    label(ports, ids[0], off[0], AT + timedelta(days=9))  # after its watermark: it counts all the same
    label(ports, ids[1][:25], off[1][:25], AT + timedelta(days=2))
    clock.set("2019-03-09T12:00:00Z")
    found = history(ports)
    assert [(one.day, one.rows, one.labelled) for one in found.days] == [
        (date(2019, 3, 1), 30, 30),
        (date(2019, 3, 2), 30, 25),
        (date(2019, 3, 3), 30, 0),
    ]
    assert [one.performance for one in found.days] == [pytest.approx(1.0), pytest.approx(2.0), None]
    assert [one.final for one in found.days] == [True, False, False]  # the second day ended 6.5 days ago
    assert all(one.estimated is not None for one in found.days)


def test_a_feature_that_rose_lies_high_among_the_learnt_values(ports: Ports, clock: FixedClock) -> None:
    register_watched(ports, BASELINE)
    high = rows(np.random.default_rng(5), 200)
    high[:, 1] += 10
    serve(ports, high, AT)
    (day,) = history(ports).days
    assert day.places[FEATURES[1]] > 0.97
    assert day.places[FEATURES[2]] == pytest.approx(0.5, abs=0.06)


def test_of_more_rows_than_are_read_whole_days_are_left(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    three_days(ports)
    monkeypatch.setattr(module, "MOST_ROWS", 45)
    ports.clock.set("2019-03-03T18:00:00Z")  # type: ignore[attr-defined]
    assert [one.day for one in history(ports).days] == [date(2019, 3, 3)]


def _deliveries() -> st.SearchStrategy[list[tuple[int, int, int]]]:
    """Return deliveries: which day's predictions, which part of them, and how many days late; each at least once."""
    every = [(day, part, 0) for day in range(3) for part in range(3)]
    more = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 20)), max_size=6)
    late = st.lists(st.integers(0, 20), min_size=9, max_size=9)
    whole = st.builds(
        lambda lateness, again: [(d, p, n) for (d, p, _), n in zip(every, lateness, strict=True)] + again, late, more
    )
    return whole.flatmap(st.permutations)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_deliveries())
def test_labels_late_twice_and_in_any_order_end_in_the_same_figures(deliveries: list[tuple[int, int, int]]) -> None:
    def end(order: list[tuple[int, int, int]]) -> tuple[Any, Any]:
        clock = FixedClock("2019-03-25T00:00:00Z")
        ports = fake_ports(load_definitions(EXAMPLES), clock=clock)
        ids = three_days(ports)
        label(ports, [UNKNOWN], [1e9], AT, "unknown")
        for number, (day, part, late) in enumerate(order):
            some, one = slice(10 * part, 10 * part + 10), SERVED[day]
            at = AT + timedelta(days=day + late, seconds=number)
            label(ports, ids[day][some], (said(one)[some] + day + 1.0).tolist(), at, f"{number}")
        watched = watched_by(ports, Monitor(window_rows=80, min_rows=80))
        champion = watched.catalog.champion(MODEL)
        assert champion is not None
        seen = look(watched, champion, LogReader(watched.artifacts), hourly=False).assessment
        return history(ports).days, (seen.performance, seen.labelled, seen.unknown_labels)

    in_time = [(day, part, 0) for day in range(3) for part in range(3)]
    days_in_time, figures_in_time = end(in_time)
    days_found, figures = end(deliveries)
    assert days_found == days_in_time
    assert figures == figures_in_time
    assert [one.performance for one in days_found] == [pytest.approx(1), pytest.approx(2), pytest.approx(3)]
    assert figures[1:] == (80, 0)  # the unknown one lies before the latest 80
