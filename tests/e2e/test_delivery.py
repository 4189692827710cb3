"""A version's way to serve on the local cloud: what is bad is taken back by the system, what is good comes to serve."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from infra.deployment import Deployment
from infra.local.cloud import LocalCloud
from infra.waiting import wait_until
from perennial import keys
from perennial.errors import NotFoundError, TransientError
from perennial.records import Challenger, Champion, Run
from tests.e2e.shell import Shell

pytestmark = pytest.mark.e2e

MODEL = "rent"
DATASET = """event_time = "signed_at"
[columns]
signed_at = { type = "timestamp" }
area = { type = "double", min = 0 }
floor = { type = "integer" }
rent = { type = "double", nullable = true }
"""
VIEW = """-- kind: request
-- dataset: leases
SELECT area, floor FROM leases
"""
DEFINITION = """dataset = "leases"
target = "rent"
[features]
lease = ["area", "floor"]
[split]
holdout = "10 days"
[[candidates]]
name = "one"
%s
[gate]
beat_baseline = false
min_improvement = 0.9
[retrain]
min_rows = 100
[delivery]
%s
"""
GOOD = 'algorithm = "ridge"'
WRONG = 'algorithm = "ridge"\nparameters = { alpha = 1e9 }'
"""It says the mean of all rents."""
SLOW_VIEW = """-- kind: request
-- dataset: leases
SELECT
    area,
    floor + CASE
        WHEN minute(signed_at) = 30 THEN 0 * len(list_filter(range(500000 + floor), x -> x % 7 = 0)) ELSE 0
    END AS floor
FROM leases
"""
"""The same values, with tens of milliseconds of work for each lease that is signed at half past."""
QUICK = 'canary = [0.3, 0.6]\nbake = "4 seconds"\nmin_rows = 20\npatience = "3 minutes"'
PATIENT = 'canary = [0.5]\nbake = "10 minutes"\nmin_rows = 20\nmin_labelled = 100'
"""It goes on for longer than a test waits: whatever ends it is not that its time is up."""
SECONDS = 150
"""For a decision, on a machine that does other things."""


def rent_of(area: float, floor: int) -> float:
    return 12 * area + 5 * floor


def leases(count: int = 960) -> str:
    dice = random.Random(1)
    lines = ["signed_at,area,floor,rent"]
    for number in range(count):
        area, floor = dice.uniform(20, 150), dice.randrange(9)
        at = datetime(2019, 1, 1) + timedelta(hours=number)
        lines.append(f"{at},{area},{floor},{rent_of(area, floor) + dice.gauss(0, 5)}")
    return "\n".join(lines) + "\n"


class Landlord(Shell):
    """The commands of whoever runs the model."""

    def define(self, candidate: str, delivery: str) -> None:
        """Deploy the model with another candidate and another way to serve."""
        (self.folder / "definitions" / "models" / f"{MODEL}.toml").write_text(DEFINITION % (candidate, delivery))
        self.json("up", "--definitions", "definitions")

    def view(self, sql: str) -> None:
        """Write the request view, which the next deployment brings."""
        path = self.folder / "definitions" / "features" / "lease.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(sql)

    def train(self) -> int:
        """Train a version that the gate refuses, as it is no better than the champion; return its number."""
        done = self.run("retrain", MODEL, "--no-cache", "--json")
        run = json.loads(done.stdout)
        assert not run["outputs"]["passed"], run
        return int(run["outputs"]["version"])

    def promote(self, version: int) -> str:
        """Send a version on its way although the gate refused it; return the run's id."""
        words = ("--reason", "a trial", "--override-gate", "--no-wait")
        return str(self.json("promote", MODEL, str(version), *words)["run_id"])


@pytest.fixture(scope="module")
def landlord(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Landlord]:
    folder = tmp_path_factory.mktemp("delivery")
    for name in ("datasets", "models"):
        (folder / "definitions" / name).mkdir(parents=True)
    (folder / "definitions" / "datasets" / "leases.toml").write_text(DATASET)
    (folder / "leases.csv").write_text(leases())
    landlord = Landlord(folder)
    landlord.view(VIEW)
    try:
        landlord.define(GOOD, QUICK)
        landlord.json("upload", "leases", "leases.csv")
        yield landlord
    finally:
        LocalCloud(folder / ".perennial").stop()


@pytest.fixture(scope="module")
def deployment(landlord: Landlord) -> Deployment:
    """Return the deployment once version 1 serves."""
    return landlord.served(MODEL)


def pointer(deployment: Deployment) -> Champion:
    champion = deployment.ports.catalog.champion(MODEL)
    assert champion is not None
    return champion


def challenged(deployment: Deployment, version: int) -> Challenger:
    """Wait until a version stands beside the champion."""

    def there() -> Challenger | None:
        challenger = pointer(deployment).challenger
        return challenger if challenger is not None and challenger.version == version else None

    return wait_until(there, 60, f"version {version} beside the champion")


def ended(deployment: Deployment, run_id: str) -> Run | None:
    """Return a run once it has ended; its record is there soon after its execution has begun."""
    try:
        run = deployment.ports.catalog.run(run_id)
    except NotFoundError:
        return None
    return None if run.status == "running" else run


def lease(number: int) -> dict[str, Any]:
    return {"signed_at": "2019-03-01 08:30:00", "area": 20.0 + number % 130, "floor": number % 9, "rent": None}


def asked(deployment: Deployment, number: int) -> tuple[int, dict[str, Any]]:
    """Have a lease predicted; return which version answered, and what. A busy API is asked again."""
    deadline = time.monotonic() + 30
    while True:
        try:
            answer = deployment.api.predict(MODEL, [lease(number)])
            return int(answer["version"]), {**answer["predictions"][0], "number": number}
        except TransientError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def asked_often(deployment: Deployment, requests: int = 40) -> list[tuple[int, dict[str, Any]]]:
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda number: asked(deployment, number), range(requests)))


def asked_until_it_ends(
    deployment: Deployment, run_id: str, after: Callable[[list[tuple[int, dict[str, Any]]]], None] = lambda _: None
) -> tuple[Run, Counter[int]]:
    """Ask, and do something with the answers, until a run has ended; return it, and who answered how often."""
    answered: Counter[int] = Counter()
    deadline = time.monotonic() + SECONDS
    while (run := ended(deployment, run_id)) is None:
        assert time.monotonic() < deadline, (answered, deployment.ports.catalog.steps(run_id)[-1:])
        answers = asked_often(deployment)
        answered.update(version for version, _ in answers)
        after(answers)
    return run, answered


def answered_only_by(deployment: Deployment, version: int) -> None:
    """Assert that callers see one version alone, from the moment on at which every process reads the pointer anew."""
    time.sleep(2)  # the stage's pointer_ttl_seconds is 1
    assert {found for found, _ in asked_often(deployment)} == {version}


def test_a_person_rolls_a_canary_back_and_its_run_ends_as_overtaken(landlord: Landlord, deployment: Deployment) -> None:
    version = landlord.train()
    assert version == 2
    run_id = landlord.promote(version)
    challenged(deployment, version)
    rolled_back = landlord.json("rollback", MODEL, "--reason", "not on a Friday")
    assert (rolled_back["version"], rolled_back["challenger"]) == (1, None)
    run = wait_until(lambda: ended(deployment, run_id), 60, "the end of the run")
    assert (run.status, run.outputs["serves"]) == ("refused", False)
    assert f"version 2 of rent was withdrawn by {deployment.person}: not on a Friday" in str(run.error)
    answered_only_by(deployment, 1)


def test_a_good_version_goes_through_its_shares_to_the_champions_place(
    landlord: Landlord, deployment: Deployment
) -> None:
    run_id = landlord.promote(2)
    run, answered = asked_until_it_ends(deployment, run_id)
    assert (run.status, run.outputs["version"], run.outputs["previous"]) == ("succeeded", 2, 1), run.error
    assert set(answered) == {1, 2}
    way = [(entry.action, entry.detail) for entry in deployment.ports.catalog.audit(MODEL)[:3]]
    assert way == [("promote", ""), ("challenge", "canary 60 %"), ("challenge", "canary 30 %")]
    answered_only_by(deployment, 2)
    shown = landlord.json("runs", run_id)
    looks = {step["step"]: step["output"] for step in shown["steps"]}
    assert looks["advance#0.3"]["challenger"]["rows"] >= 20
    assert looks["advance#0.6"]["outcome"] == "good"
    report = json.loads(deployment.ports.artifacts.get(keys.delivery_report(MODEL, run_id)))
    assert (report["outcome"], len(report["phases"])) == ("promoted", 2)


def test_a_canary_that_errs_is_taken_back_and_its_callers_hear_from_the_champion(
    landlord: Landlord, deployment: Deployment
) -> None:
    serving, version = pointer(deployment).version, landlord.train()
    run_id = landlord.promote(version)
    challenged(deployment, version)
    # Behind all checks of the deployment, and before anybody asks: what serving loads is not what was registered.
    store = deployment.ports.artifacts
    for key in store.keys(keys.artifact(MODEL, version, "")):
        if "manifest" not in key and "card" not in key:
            store.put(key, b"altered")
    run, answered = asked_until_it_ends(deployment, run_id)
    assert set(answered) == {serving}, "whoever the canary failed was answered by the champion"
    assert run.status == "refused"
    assert "requests failed; of the champion's 0 of" in str(run.error)
    taken_back = deployment.ports.catalog.version(MODEL, version)
    assert (taken_back.stage, taken_back.reason) == ("refused", run.error)
    assert (pointer(deployment).version, pointer(deployment).challenger) == (serving, None)
    answered_only_by(deployment, serving)


def test_a_canary_that_is_worse_on_fed_back_labels_is_taken_back(landlord: Landlord, deployment: Deployment) -> None:
    landlord.define(WRONG, PATIENT)
    serving, version = pointer(deployment).version, landlord.train()
    run_id = landlord.promote(version)
    challenged(deployment, version)

    def tell(answers: list[tuple[int, dict[str, Any]]]) -> None:
        """Feed back what the rents were, which is the same for whoever answered."""
        told = [lease(one["number"]) for _, one in answers]
        labels = [
            {"prediction_id": one["prediction_id"], "label": rent_of(of["area"], of["floor"])}
            for (_, one), of in zip(answers, told, strict=True)
        ]
        assert deployment.api.feedback(MODEL, labels)["accepted"] == len(labels)

    run, answered = asked_until_it_ends(deployment, run_id, tell)
    assert set(answered) == {serving, version}
    assert run.status == "refused"
    assert "credibly more than max_quality_ratio 1.1 times as bad" in str(run.error)
    answered_only_by(deployment, serving)


def test_a_canary_that_is_slower_is_taken_back(landlord: Landlord, deployment: Deployment) -> None:
    landlord.view(SLOW_VIEW)
    landlord.define(GOOD, PATIENT)
    serving, version = pointer(deployment).version, landlord.train()
    run_id = landlord.promote(version)
    challenged(deployment, version)
    run, answered = asked_until_it_ends(deployment, run_id)
    assert set(answered) == {serving, version}
    assert run.status == "refused"
    assert "credibly more than max_latency_ratio 2 times as long" in str(run.error)
    answered_only_by(deployment, serving)
