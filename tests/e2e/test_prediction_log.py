"""The prediction log on the local cloud: each prediction is there once, in seconds, without what is masked."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.deployment import Deployment
from infra.waiting import wait_until
from perennial import keys
from perennial.data.prediction_columns import read_columns
from perennial.errors import TransientError
from perennial.serving.ids import parse_prediction_id
from perennial.serving.log_reading import is_line, read_line
from perennial.steps.prediction_log import find_prediction
from tests.e2e.leases import INCOME, MODEL, wanted_lease

pytestmark = pytest.mark.e2e

REQUESTS = 300
SECONDS = 60
"""Time for all of them to come to the log, on a machine that does other things."""


def asked(agency: Deployment, number: int) -> dict[str, Any]:
    """Have a lease predicted; a busy API is asked again."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return agency.api.predict(MODEL, [wanted_lease(number)])["predictions"][0]
        except TransientError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def logged(agency: Deployment) -> Counter[str]:
    store = agency.ports.artifacts
    parts = [store.get(key) for key in store.keys(keys.predictions(MODEL, 1))]
    return Counter(name for table in read_columns(parts) for name in table.request_ids)


def test_of_many_predictions_at_once_each_is_in_the_log_once_and_nothing_masked_is(agency: Deployment) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: asked(agency, number), range(REQUESTS)))
    wanted = {parse_prediction_id(answer["prediction_id"]).request_id for answer in answers}
    assert len(wanted) == REQUESTS
    wait_until(lambda: wanted <= logged(agency).keys() or None, SECONDS, "the log")
    assert {name: count for name, count in logged(agency).items() if name in wanted} == dict.fromkeys(wanted, 1)

    store = agency.ports.artifacts
    found = find_prediction(store, MODEL, parse_prediction_id(answers[7]["prediction_id"]))
    assert found is not None
    assert (found.value, found.route) == (answers[7]["value"], "champion")
    assert found.inputs["area"] == wanted_lease(7)["area"]
    assert not {"email", "income"} & found.inputs.keys()
    assert found.features["lease__income"] is None
    assert found.features["lease__letters"] == len("secret-7@example.org")
    content = b"".join(store.get(key) for key in store.keys("predictions/"))
    assert b"example.org" not in content
    lines = log_lines(agency)
    assert not any("example.org" in line or INCOME in line for line in lines)
    told = [read_line(line) for line in lines if is_line(line)]
    assert wanted <= {line.request_id for line in told}
    numbers: dict[tuple[str, int], list[int]] = {}
    for line in told:
        numbers.setdefault((line.process, line.version), []).append(line.sequence)
    assert all(sorted(found) == list(range(len(found))) for found in numbers.values())


def log_lines(agency: Deployment) -> list[str]:
    """Return all that ``predict`` has printed."""
    client, group = agency.client("logs"), f"{agency.outputs['LogGroups']}predict"
    pages = client.get_paginator("filter_log_events").paginate(logGroupName=group)
    return [event["message"] for page in pages for event in page["events"]]


def test_a_label_may_come_before_its_prediction_is_in_the_log_and_is_joined_then(agency: Deployment) -> None:
    answer = asked(agency, 1)
    label = {"prediction_id": answer["prediction_id"], "label": answer["value"] + 3}
    receipt = agency.api.feedback(MODEL, [label])
    assert (receipt["accepted"], receipt["duplicates"]) == (1, 0)

    def seen() -> bool | None:
        return any(found.labelled == 1 for found in agency.ports.catalog.assessments(MODEL, 100)) or None

    wait_until(seen, SECONDS, "the monitor's look at the label")


def test_nothing_is_lost_and_the_monitor_says_so(agency: Deployment) -> None:
    called = agency.client("lambda").invoke(
        FunctionName=function_of(agency, "monitor"), Payload=json.dumps({"model": None})
    )
    found = json.loads(called["Payload"].read())["assessed"][MODEL]
    assert found["lost"] == 0
    assert datetime.fromisoformat(found["at"]) <= datetime.now(UTC)


def function_of(agency: Deployment, verb: str) -> str:
    pages = agency.client("lambda").get_paginator("list_functions").paginate()
    (name,) = [
        function["FunctionName"]
        for page in pages
        for function in page["Functions"]
        if function["Handler"] == f"{verb}.handler"
    ]
    return str(name)
