"""The prediction log on the local cloud: each prediction is there once, in seconds, without what is masked."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.deployment import Deployment
from infra.local.cloud import LocalCloud
from infra.waiting import wait_until
from perennial import keys
from perennial.data.prediction_columns import read_columns
from perennial.errors import TransientError
from perennial.serving.ids import parse_prediction_id
from perennial.serving.log_reading import is_line, read_line
from perennial.steps.prediction_log import find_prediction
from tests.e2e.shell import Shell

pytestmark = pytest.mark.e2e

DATASET = """event_time = "signed_at"
[columns]
signed_at = { type = "timestamp" }
email = { type = "string", tags = ["pii"] }
income = { type = "double", tags = ["pii"] }
area = { type = "double", min = 0 }
rent = { type = "double", nullable = true }
"""
VIEW = """-- kind: request
-- dataset: leases
SELECT area, income, length(email) AS letters, ln(1 + income) AS wealth FROM leases
"""
MODEL = """dataset = "leases"
target = "rent"
[features]
lease = ["area", "income", "letters", "wealth"]
[split]
holdout = "10 days"
[[candidates]]
name = "ridge"
algorithm = "ridge"
[retrain]
min_rows = 100
"""
REQUESTS = 300
SECONDS = 60
"""Time for all of them to come to the log, on a machine that does other things."""


def leases(count: int = 960) -> str:
    dice = random.Random(1)
    lines = ["signed_at,email,income,area,rent"]
    for number in range(count):
        area, income = dice.uniform(20, 150), dice.uniform(1000, 9000)
        at = datetime(2019, 1, 1) + timedelta(hours=number)
        lines.append(f"{at},{'x' * (number % 9 + 1)}@example.org,{income},{area},{12 * area + income / 100}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("log")
    texts = {"datasets/leases.toml": DATASET, "features/lease.sql": VIEW, "models/rent.toml": MODEL}
    for name, text in texts.items():
        (folder / "definitions" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "definitions" / name).write_text(text)
    (folder / "leases.csv").write_text(leases())
    shell = Shell(folder)
    try:
        shell.json("up", "--definitions", "definitions")
        shell.json("upload", "leases", "leases.csv")
        yield shell
    finally:
        LocalCloud(folder / ".perennial").stop()


@pytest.fixture(scope="module")
def deployment(shell: Shell) -> Deployment:
    deployment = Deployment.connect("local", state=shell.folder / ".perennial")
    wait_until(lambda: deployment.ports.catalog.champion("rent"), 120, "a champion")
    return deployment


def lease(number: int) -> dict[str, Any]:
    return {
        "signed_at": "2019-03-01 08:30:00",
        "email": f"secret-{number}@example.org",
        "income": 6_543_210.0 + number,
        "area": 20.0 + number,
        "rent": None,
    }


def asked(deployment: Deployment, number: int) -> dict[str, Any]:
    """Have a lease predicted; a busy API is asked again."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return deployment.api.predict("rent", [lease(number)])["predictions"][0]
        except TransientError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def logged(deployment: Deployment) -> Counter[str]:
    store = deployment.ports.artifacts
    parts = [store.get(key) for key in store.keys(keys.predictions("rent", 1))]
    return Counter(name for table in read_columns(parts) for name in table.request_ids)


def test_of_many_predictions_at_once_each_is_in_the_log_once_and_nothing_masked_is(deployment: Deployment) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: asked(deployment, number), range(REQUESTS)))
    wanted = {parse_prediction_id(answer["prediction_id"]).request_id for answer in answers}
    assert len(wanted) == REQUESTS
    wait_until(lambda: wanted <= logged(deployment).keys() or None, SECONDS, "the log")
    assert {name: count for name, count in logged(deployment).items() if name in wanted} == dict.fromkeys(wanted, 1)

    store = deployment.ports.artifacts
    found = find_prediction(store, "rent", parse_prediction_id(answers[7]["prediction_id"]))
    assert found is not None
    assert (found.value, found.route) == (answers[7]["value"], "champion")
    assert found.inputs["area"] == 27.0
    assert not {"email", "income"} & found.inputs.keys()
    assert found.features["lease__income"] is None
    assert found.features["lease__letters"] == len("secret-7@example.org")
    content = b"".join(store.get(key) for key in store.keys("predictions/"))
    assert b"example.org" not in content
    lines = log_lines(deployment)
    assert not any("example.org" in line or "65432" in line for line in lines)
    told = [read_line(line) for line in lines if is_line(line)]
    assert wanted <= {line.request_id for line in told}
    for process in {line.process for line in told}:
        numbers = [line.sequence for line in told if line.process == process]
        assert sorted(numbers) == list(range(len(numbers)))


def log_lines(deployment: Deployment) -> list[str]:
    """Return all that ``predict`` has printed."""
    client, group = deployment.client("logs"), f"{deployment.outputs['LogGroups']}predict"
    pages = client.get_paginator("filter_log_events").paginate(logGroupName=group)
    return [event["message"] for page in pages for event in page["events"]]


def test_a_label_may_come_before_its_prediction_is_in_the_log_and_is_joined_then(deployment: Deployment) -> None:
    answer = asked(deployment, 1)
    label = {"prediction_id": answer["prediction_id"], "label": answer["value"] + 3}
    receipt = deployment.api.feedback("rent", [label])
    assert (receipt["accepted"], receipt["duplicates"]) == (1, 0)

    def seen() -> bool | None:
        return any(found.labelled == 1 for found in deployment.ports.catalog.assessments("rent", 100)) or None

    wait_until(seen, SECONDS, "the monitor's look at the label")


def test_nothing_is_lost_and_the_monitor_says_so(deployment: Deployment) -> None:
    called = deployment.client("lambda").invoke(
        FunctionName=function_of(deployment, "monitor"), Payload=json.dumps({"model": None})
    )
    found = json.loads(called["Payload"].read())["assessed"]["rent"]
    assert found["lost"] == 0
    assert datetime.fromisoformat(found["at"]) <= datetime.now(UTC)


def function_of(deployment: Deployment, verb: str) -> str:
    pages = deployment.client("lambda").get_paginator("list_functions").paginate()
    (name,) = [
        function["FunctionName"]
        for page in pages
        for function in page["Functions"]
        if function["Handler"] == f"{verb}.handler"
    ]
    return str(name)
