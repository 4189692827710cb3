"""The step ``log_predictions``: lines become parts, once, whatever the delivery."""

from __future__ import annotations

import json
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from perennial import keys
from perennial.data.prediction_columns import join, read_columns
from perennial.errors import TransientError
from perennial.fakes import FakeObjectStore
from perennial.ports import Ports
from perennial.serving.ids import PredictionId, make_request_id
from perennial.serving.logged import LoggedRequest
from perennial.steps import log_predictions
from perennial.steps.prediction_log import find_prediction
from tests.support.artifacts import MODEL, a_manifest, register
from tests.support.prediction_logs import a_request, lines_of
from tests.support.records import AT


def put(ports: Ports, *lines: str) -> log_predictions.Logged:
    return log_predictions.run(log_predictions.Request(lines=list(lines)), ports)


def requests(count: int, seconds: float = 1.0) -> list[LoggedRequest]:
    moments = [AT + timedelta(seconds=seconds * number) for number in range(count)]
    return [
        a_request(request_id=make_request_id(at, number.to_bytes(10)), at=at, inputs={"trip_distance": [float(number)]})
        for number, at in enumerate(moments)
    ]


def logged(ports: Ports, version: int = 1) -> Counter[str]:
    """Return the requests that readers find, with how often they do."""
    parts = [ports.artifacts.get(key) for key in ports.artifacts.keys(keys.predictions(MODEL, version))]
    return Counter(join(read_columns(parts)).request_ids.tolist())


@pytest.fixture(autouse=True)
def _registered(ports: Ports) -> None:
    register(ports)


def test_a_part_holds_one_version_and_half_a_minute_and_its_key_tells_both(ports: Ports) -> None:
    register(ports, a_manifest(version=2))
    twice = [*requests(100), *(replace(one, version=2) for one in requests(1))]
    found = put(ports, *lines_of(twice))
    # 32.768 seconds to a window: those of 100 seconds, from where the clock stands, begin in four.
    assert found.rows == 101
    assert [key.split("/")[2:4] for key in found.parts] == [["version=1", "date=2019-03-01"]] * 4 + [
        ["version=2", "date=2019-03-01"]
    ]
    assert sum(int(key.rpartition("/")[2].split("-")[1]) for key in found.parts) == 101
    for one in twice:
        window = keys.prediction_window(MODEL, one.version, one.request_id, one.at)
        assert [key for key in found.parts if key.startswith(window)]


def test_the_same_delivery_again_writes_nothing_new(ports: Ports) -> None:
    lines = lines_of(requests(10))
    first = put(ports, *lines)
    assert put(ports, *reversed(lines)) == first
    assert ports.artifacts.keys("predictions/") == first.parts


def test_however_lines_are_cut_into_deliveries_and_repeated_each_prediction_counts_once(ports: Ports) -> None:
    dice, made = random.Random(1), requests(200)
    lines = lines_of(made)
    for _ in range(3):
        rest = dice.sample(lines, len(lines))
        while rest:
            size = dice.randint(1, 60)
            put(ports, *rest[:size])
            rest = rest[size:]
    assert logged(ports) == Counter(one.request_id for one in made)


def test_deliveries_that_race_leave_one_object(ports: Ports) -> None:
    lines = lines_of(requests(10, seconds=0.1))
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: put(ports, *lines), range(8)))
    assert {tuple(result.parts) for result in results} == {tuple(ports.artifacts.keys("predictions/"))}
    assert logged(ports) == Counter(one.request_id for one in requests(10, seconds=0.1))


def test_a_delivery_that_was_interrupted_is_completed_by_the_next(ports: Ports) -> None:
    class Failing(FakeObjectStore):
        left = 2

        def put_new(self, key: str, content: bytes, content_type: str = "application/octet-stream") -> bool:
            if not self.left:
                raise TransientError("the bucket is busy")
            self.left -= 1
            return super().put_new(key, content, content_type)

    store = Failing()
    ports = replace(ports, artifacts=store)
    register(ports, a_manifest(version=3), champion=False)
    made = [replace(one, version=3) for one in requests(100)]
    with pytest.raises(TransientError):
        put(ports, *lines_of(made))
    assert 0 < len(logged(ports, 3)) < 100
    store.left = 100
    put(ports, *lines_of(made))
    assert logged(ports, 3) == Counter(one.request_id for one in made)


def test_lines_that_cannot_be_read_or_fit_no_version_are_counted_and_the_others_are_kept(ports: Ports) -> None:
    good, other = requests(2)
    unknown = replace(other, version=9)
    short = replace(other, features=[[1.0]])
    torn = lines_of([other])[0][:-20]
    found = put(ports, "START RequestId: 1", *lines_of([good, unknown, short]), torn, json.dumps({"message": torn}))
    assert (found.rows, found.unreadable) == (1, 3)
    assert found.faults[0].startswith("a line of the prediction log cannot be read")
    assert sorted(found.faults[1:]) == [f"version {n} of {MODEL} has no such features" for n in (1, 9)]
    assert logged(ports) == Counter([good.request_id])


def test_a_request_of_many_rows_is_found_row_by_row_wherever_it_was_cut(ports: Ports) -> None:
    rows = 500
    note = {"note": ["x" * 1000] * rows, "number": list(range(rows))}
    request = a_request(inputs=note, features=[[float(n), 1.0, 1.0, 1.0] for n in range(rows)], values=[1.0] * rows)
    lines = lines_of([request])
    assert len(lines) > 1
    for line in lines:
        put(ports, line)
    for row in (0, 77, rows - 1):
        found = find_prediction(ports.artifacts, MODEL, PredictionId(1, request.request_id, row))
        assert found is not None
        assert found.inputs["number"] == row
        assert found.features["trip_context__distance"] == float(row)
    assert find_prediction(ports.artifacts, MODEL, PredictionId(1, request.request_id, rows)) is None


def test_a_request_across_midnight_stands_under_its_own_day(ports: Ports) -> None:
    at = AT - timedelta(milliseconds=1)
    before = a_request(request_id=make_request_id(at, bytes(10)), at=at)
    found = put(ports, *lines_of([before, a_request()]))
    assert sorted(key.split("/")[3] for key in found.parts) == ["date=2019-02-28", "date=2019-03-01"]
