"""What a look reads of the prediction log and of the labels."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from perennial.manifest import Manifest
from perennial.ports import Ports
from perennial.records import Challenger
from perennial.serving.ids import PredictionId, make_request_id
from perennial.serving.logged import LoggedRequest
from perennial.steps import feedback, log_predictions
from perennial.steps.delivering.log import observed_in_log
from perennial.steps.delivering.observed import Observed
from tests.support.artifacts import MODEL, PRICE_GRAPH, a_classifier, a_manifest, linear_graph, register
from tests.support.prediction_logs import a_request, lines_of
from tests.support.records import AT, a_challenger

SINCE = AT + timedelta(hours=1)
UNTIL = SINCE + timedelta(hours=1)


@pytest.fixture
def versions(ports: Ports) -> tuple[Manifest, Manifest]:
    """Return the manifests of version 1, which serves, and of version 2."""
    graph = linear_graph(bias=5.0)
    return register(ports), register(ports, a_manifest(graph, version=2), graph, champion=False)


def asked(seconds: float, **changes: Any) -> LoggedRequest:
    """Return a request so many seconds after the phase began."""
    at = SINCE + timedelta(seconds=seconds)
    return a_request(at=at, request_id=make_request_id(at, os.urandom(10)), **changes)


def log(ports: Ports, *requests: LoggedRequest) -> None:
    log_predictions.run(log_predictions.Request(lines=lines_of(requests)), ports)


def look(
    ports: Ports, versions: tuple[Manifest, Manifest], until: datetime = UNTIL, **changes: Any
) -> tuple[Observed, Observed]:
    most = {"most_rows": changes.pop("most_rows")} if "most_rows" in changes else {}
    there: Challenger = a_challenger(2, MODEL, **{"since": SINCE, **changes})
    return observed_in_log(ports, *versions, there, until, **most)


def of_rows(number: int) -> dict[str, Any]:
    return {
        "inputs": {"trip_distance": [1.0] * number},
        "features": [[10.0, 8.0, 1.0, 1.0]] * number,
        "values": [28.0] * number,
    }


def test_requests_of_the_phase_are_counted_by_version_with_their_rows_and_time(
    ports: Ports, versions: tuple[Manifest, Manifest]
) -> None:
    log(
        ports,
        asked(1, milliseconds=2.0),
        asked(2, milliseconds=3.0, **of_rows(4)),
        asked(3, version=2, route="canary", milliseconds=7.0),
    )
    champion, challenger = look(ports, versions)
    assert (champion.version, champion.rows.tolist(), champion.milliseconds.tolist()) == (1, [1, 4], [2.0, 3.0])
    assert (challenger.version, challenger.rows.tolist(), challenger.milliseconds.tolist()) == (2, [1], [7.0])
    assert champion.failures == challenger.failures == 0


def test_what_was_before_the_phase_and_who_named_a_version_does_not_count(
    ports: Ports, versions: tuple[Manifest, Manifest]
) -> None:
    log(
        ports,
        asked(-1),
        asked(-1, version=2, route="canary"),
        asked(1, route="named"),
        asked(1, version=2, route="named"),
        asked(1, version=2, route="shadow"),
    )
    champion, challenger = look(ports, versions)
    assert (champion.requests, challenger.requests) == (0, 0)
    assert look(ports, versions, shadow=True, weight=0)[1].requests == 1


def test_failures_count_as_requests_that_failed(ports: Ports, versions: tuple[Manifest, Manifest]) -> None:
    failed = {"error": "DataError", "values": [], "features": [], "version": 2, "route": "canary"}
    log(ports, asked(1, **failed), asked(2, **failed), asked(3, version=2, route="canary"))
    _, challenger = look(ports, versions)
    assert (challenger.requests, challenger.failures, challenger.all_rows) == (3, 2, 3)


def tell(ports: Ports, request: LoggedRequest, label: float | str, row: int = 0, version: int | None = None) -> None:
    name = str(PredictionId(version or request.version, request.request_id, row))
    told = feedback.LabelledPrediction(prediction_id=name, label=label)
    feedback.run(feedback.Request(model=MODEL, labels=[told]), ports)


def test_labels_meet_what_was_said_and_the_latest_counts(ports: Ports, versions: tuple[Manifest, Manifest]) -> None:
    champions = asked(1, **of_rows(2) | {"values": [20.0, 30.0]})
    canary = asked(2, version=2, route="canary", values=[40.0])
    log(ports, champions, canary, asked(3))
    tell(ports, champions, 25.0)
    tell(ports, champions, 26.0)
    tell(ports, canary, 44.0)
    champion, challenger = look(ports, versions)
    assert (champion.labelled.labels.tolist(), champion.labelled.predictions.tolist()) == ([26.0], [20.0])
    assert (challenger.labelled.labels.tolist(), challenger.labelled.predictions.tolist()) == ([44.0], [40.0])
    assert challenger.labelled.at.tolist() == [canary.at.replace(tzinfo=None)]


def test_a_shadow_is_judged_by_the_labels_of_the_answers_that_it_stood_beside(
    ports: Ports, versions: tuple[Manifest, Manifest]
) -> None:
    answered = asked(1, values=[20.0])
    shadow = LoggedRequest(**{**vars(answered), "version": 2, "route": "shadow", "values": [24.0]})
    log(ports, answered, shadow)
    tell(ports, answered, 25.0)
    champion, challenger = look(ports, versions, shadow=True, weight=0)
    assert champion.labelled.predictions.tolist() == [20.0]
    assert (challenger.labelled.labels.tolist(), challenger.labelled.predictions.tolist()) == ([25.0], [24.0])


def test_of_several_classes_the_probabilities_are_compared(ports: Ports) -> None:
    graph = PRICE_GRAPH
    first = register(ports, a_classifier("multiclass", graph), graph)
    second = register(ports, a_classifier("multiclass", graph, version=2), graph, champion=False)
    chances = [[0.5, 0.3, 0.2]]
    request = asked(1, values=[0.0], probabilities=chances, features=[[0.0, 1.0]])
    log(ports, request)
    tell(ports, request, "price")
    champion, challenger = look(ports, (first, second))
    assert champion.labelled.predictions.tolist() == chances
    assert champion.labelled.labels.tolist() == [1.0]
    assert challenger.requests == 0


def test_of_a_long_log_the_latest_rows_are_read_for_the_same_time_of_both(
    ports: Ports, versions: tuple[Manifest, Manifest]
) -> None:
    # One request a minute, each in a window of its own: of the champion 10 rows, of the canary 1.
    for minute in range(10):
        log(ports, asked(60 * minute, **of_rows(10)), asked(60 * minute + 1, version=2, route="canary"))
    champion, challenger = look(ports, versions, most_rows=45)
    assert (champion.all_rows, challenger.all_rows) == (40, 4)
    assert np.array_equal(look(ports, versions)[0].rows, np.full(10, 10))
