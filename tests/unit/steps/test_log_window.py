"""Stretches of the log: which rows count, and labels joined to them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from perennial import keys
from perennial.ports import Ports
from perennial.serving.ids import PredictionId, make_request_id
from perennial.serving.logged import LoggedRequest, LogPolicy
from perennial.steps import log_predictions
from perennial.steps.log_window import Labelled, LogReader, latest_labelled, predictions_between
from perennial.steps.prediction_log import StoredLabel, find_prediction, write_labels
from tests.support.artifacts import MODEL, register
from tests.support.prediction_logs import a_request, lines_of, logged
from tests.support.records import AT

DAY = AT.date()


def request(number: int, minutes: float = 0, **changes: Any) -> LoggedRequest:
    at = AT + timedelta(minutes=minutes)
    example: dict[str, Any] = {"request_id": make_request_id(at, number.to_bytes(10)), "at": at, "values": [number]}
    return a_request(**{**example, **changes})


def put(ports: Ports, *requests: LoggedRequest) -> None:
    for one in requests:
        assert log_predictions.run(log_predictions.Request(lines=lines_of([one])), ports).rows == one.rows


def label(ports: Ports, number: int, value: float, minutes: float = 0) -> None:
    at = AT + timedelta(minutes=minutes)
    name = make_request_id(at, number.to_bytes(10))
    key = keys.labels(MODEL, 1, name, f"{number}", at)
    write_labels(ports.artifacts, key, [StoredLabel(f"1-{name}-0", value, at)])


def labelled(ports: Ports, rows: int = 100, policy: LogPolicy | None = None) -> Labelled:
    return latest_labelled(LogReader(ports.artifacts), MODEL, 1, DAY, DAY, rows, policy or LogPolicy())


@pytest.fixture(autouse=True)
def _registered(ports: Ports) -> None:
    register(ports)


def test_what_nobody_was_answered_is_not_in_the_window(ports: Ports) -> None:
    routes = {"champion": 1, "canary": 2, "named": 3, "shadow": 4}
    put(ports, *(request(number, route=route) for route, number in routes.items()))
    put(ports, request(5, error="DefinitionError", values=[], features=[]))
    assert logged(ports, DAY).predictions.tolist() == [3, 2, 1]
    assert logged(ports, DAY, routes=("shadow",)).predictions.tolist() == [4]


def test_a_stretch_holds_all_routes_and_failures_within_its_moments(ports: Ports) -> None:
    put(ports, *(request(number, minutes=number) for number in range(10)))
    put(
        ports, request(10, minutes=5, route="shadow"), request(11, minutes=5, error="DataError", values=[], features=[])
    )
    reader = LogReader(ports.artifacts)
    found = predictions_between(reader, MODEL, 1, AT + timedelta(minutes=3), AT + timedelta(minutes=7))
    assert found is not None
    told = sorted(zip(found.answered_at.tolist(), found.routes.tolist(), found.errors.tolist(), strict=True))
    assert [(at.minute, route, error) for at, route, error in told] == [
        (3, "champion", ""),
        (4, "champion", ""),
        (5, "champion", ""),
        (5, "champion", "DataError"),
        (5, "shadow", ""),
        (6, "champion", ""),
    ]
    assert predictions_between(reader, MODEL, 1, AT + timedelta(hours=1), AT + timedelta(hours=2)) is None
    assert predictions_between(reader, MODEL, 2, AT, AT + timedelta(hours=2)) is None


def test_labels_without_a_prediction_are_passed_over_and_counted(ports: Ports) -> None:
    put(ports, request(1), request(2, minutes=1))
    for number, minutes in ((1, 0), (2, 1), (3, 0), (4, 2)):
        label(ports, number, 10.0 * number, minutes)
    found = labelled(ports)
    assert found.predictions is not None
    assert list(zip(found.labels, found.predictions.predictions.tolist(), strict=True)) == [(20, 2), (10, 1)]
    assert (found.unmatched, found.until) == (2, AT + timedelta(minutes=1))
    nothing = latest_labelled(LogReader(ports.artifacts), MODEL, 2, DAY, DAY, 100, LogPolicy())
    assert (nothing.labels, nothing.predictions, nothing.until, nothing.unmatched) == ([], None, None, 0)


def test_the_latest_rows_that_have_both_make_the_window(ports: Ports) -> None:
    put(ports, *(request(number, minutes=number) for number in range(20)))
    for number in range(20):
        label(ports, number, float(number), number)
    for number in range(20, 30):
        label(ports, number, 0.0, number)  # later, and not in the log
    found = labelled(ports, rows=5)
    assert found.labels == [19, 18, 17, 16, 15]
    assert found.predictions is not None
    assert found.predictions.predictions.tolist() == found.labels


def test_labels_of_requests_that_are_not_kept_are_not_read(ports: Ports) -> None:
    policy = LogPolicy(sample=0.5)
    kept = [n for n in range(40) if policy.keeps(request(n).request_id)]
    for number in range(40):
        label(ports, number, 1.0)
    found = labelled(ports, policy=policy)
    assert found.unmatched == len(kept) < 40


def test_objects_of_the_log_of_earlier_releases_are_passed_over(ports: Ports) -> None:
    put(ports, request(1))
    old = f"{keys.predictions(MODEL, 1)}date=2019-03-01/{request(2).request_id}.jsonl"
    ports.artifacts.put(old, b"{}\n")
    assert len(logged(ports, DAY)) == 1
    assert predictions_between(LogReader(ports.artifacts), MODEL, 1, AT, AT + timedelta(hours=1)) is not None


def test_a_redelivered_part_changes_no_window(ports: Ports) -> None:
    made = [request(number) for number in range(10)]
    put(ports, *made)
    log_predictions.run(log_predictions.Request(lines=lines_of(made)), ports)
    assert logged(ports, DAY).predictions.tolist() == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]


def test_a_prediction_is_found_by_its_id_with_the_part_that_holds_it(ports: Ports) -> None:
    put(ports, request(1), request(2, route="named"))
    found = find_prediction(ports.artifacts, MODEL, PredictionId(1, request(2).request_id, 0))
    assert found is not None
    assert (found.version, found.route, found.value, found.at) == (1, "named", 2.0, AT)
    assert found.part in ports.artifacts.keys("predictions/")
    assert find_prediction(ports.artifacts, MODEL, PredictionId(2, request(2).request_id, 0)) is None
