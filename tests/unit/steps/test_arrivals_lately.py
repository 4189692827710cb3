"""How predictions come, told from the log's keys."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from perennial import keys
from perennial.definitions import Monitor
from perennial.ports import Ports
from perennial.records import Champion
from perennial.serving.ids import make_request_id
from perennial.steps.arrivals_lately import Arrivals, arrivals_lately
from perennial.steps.prediction_log import SETTLED
from tests.support.artifacts import MODEL, register
from tests.support.records import AT

NOW = AT + timedelta(days=20) + SETTLED
LIMITS = Monitor()


def put(ports: Ports, at: datetime, rows: int, version: int = 1) -> None:
    """Put a part of so many rows into the log: only its key is read."""
    request_id = make_request_id(at, bytes(10))
    ports.artifacts.put(keys.prediction_part(MODEL, version, request_id, at, rows, "a" * 64), b"")


def found(ports: Ports, now: datetime = NOW) -> Arrivals:
    champion = ports.catalog.champion(MODEL)
    assert champion is not None
    return arrivals_lately(ports.artifacts, champion, now)


@pytest.fixture(autouse=True)
def _registered(ports: Ports) -> None:
    register(ports)


def test_a_day_with_a_quarter_of_the_usual_rows_is_above_the_limit(ports: Ports) -> None:
    for day in range(20):
        put(ports, AT + timedelta(days=day, hours=1), 100 if day < 19 else 25)
    arrivals = found(ports)
    assert arrivals.days[:3] == (25, 100, 100)
    assert arrivals.volume is not None
    # |25 / 100 - 1| = 0.75, over the least change of 0.5
    assert arrivals.figures(LIMITS, None)["volume"] == pytest.approx(1.5)


def test_days_that_differ_no_more_than_they_always_did_are_within_the_limit(ports: Ports) -> None:
    for day in range(20):
        put(ports, AT + timedelta(days=day, hours=1), (10, 400)[day % 2])
    assert found(ports).figures(LIMITS, None)["volume"] <= 1


def test_silence_of_twice_the_longest_gap_of_earlier_days_is_the_limit(ports: Ports) -> None:
    for hour in range(0, 20 * 24 - 6, 2):
        put(ports, AT + timedelta(hours=hour), 10)
    last = AT + timedelta(hours=20 * 24 - 8)
    arrivals = found(ports)
    assert arrivals.silence == pytest.approx(8 * 3600, abs=33)
    assert arrivals.figures(LIMITS, None)["freshness"] == pytest.approx(8 / 4, rel=0.01)
    assert found(ports, last + timedelta(hours=1) + SETTLED).figures(LIMITS, None)["freshness"] < 0.3


def test_where_the_definition_says_how_often_it_is_called_that_is_the_limit_from_the_first_day_on(ports: Ports) -> None:
    put(ports, NOW - SETTLED - timedelta(hours=3), 10)
    figures = found(ports).figures(LIMITS, timedelta(hours=2))
    assert figures["freshness"] == pytest.approx(1.5, rel=0.01)
    assert figures["volume"] == 0  # published, for silence of the monitor is an alarm of such a model
    assert found(ports).figures(LIMITS, None) == {}


def test_the_version_before_counts_too_and_a_model_that_nobody_called_has_no_figures(ports: Ports) -> None:
    assert found(ports).figures(LIMITS, timedelta(hours=1)) == {}
    for day in range(20):
        put(ports, AT + timedelta(days=day, hours=1), 100, version=1 if day < 10 else 2)
    champion = Champion(
        model=MODEL, version=2, previous=1, manifest_key="m", manifest_sha256="s", by="test", promoted_at=AT
    )
    assert set(arrivals_lately(ports.artifacts, champion, NOW).days) == {100}
