"""Trainings from their rows to the registered version: worse on a slice, and killed on the way."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from perennial import keys
from perennial.definitions import Model
from perennial.errors import DataError
from perennial.fakes import fake_ports
from perennial.ports import Ports
from perennial.serving.ids import make_request_id
from perennial.steps import evaluate, features, ingest, predict, promote, register, smoke, train
from tests.support.interruptions import Fuse, Killed, copied, mortal
from tests.support.rebuilds import ride_definitions
from tests.support.searches import LINE, TREES, search_all, searching, try_one
from tests.support.whole_runs import ADA, trained

DAYS = 15


def fare_model(**keys: Any) -> Model:
    """Return a model that knows the miles alone, of the rides of the last days alone."""
    example = {
        "name": "fare",
        "dataset": "rides",
        "target": "fare",
        "features": {"now": ["miles"]},
        "slices": {"zone": "zone"},
        "split": {"holdout": "5 days", "backtests": 0},
        "candidates": [{"name": "line", "algorithm": "ridge", "history": "10 days"}],
        "gate": {"slice_rows": 10},
        "retrain": {"min_rows": 1},
    }
    return Model.model_validate({**example, **keys})


def upload(ports: Ports, name: str, first: datetime, dollars: dict[str, float]) -> None:
    """Ingest rides of 15 days, one an hour, at so many dollars a mile in each zone; a fifth of them in the south."""
    draw, lines = random.Random(name), ["began,zone,miles,fare"]
    for hour in range(24 * DAYS):
        zone = "south" if hour % 5 == 0 else "north"
        miles = draw.uniform(1, 9)
        fare = dollars[zone] * miles + draw.gauss(0, 0.5)
        lines.append(f"{first + timedelta(hours=hour)},{zone},{miles:.3f},{fare:.3f}")
    ports.raw.put(f"rides/{name}", "\n".join(lines).encode())
    ingest.run(ingest.Request(run_id=name, bucket="raw", key=f"rides/{name}"), ports)
    features.run(features.Request(run_id=name, dataset="rides"), ports)


def deploy(ports: Ports, run_id: str, version: int) -> None:
    smoke.run(smoke.Request(run_id=run_id, model="fare", version=version, trigger=ADA), ports)
    promote.run(promote.Request(run_id=run_id, model="fare", version=version), ports)


def raised_in_the_north() -> Ports:
    """Return fakes whose champion learnt two dollars a mile, before the north became twice as dear."""
    ports = fake_ports(ride_definitions(fare=fare_model()))
    upload(ports, "january.csv", datetime(2019, 1, 1), {"north": 2.0, "south": 2.0})
    assert trained(ports) == 1
    deploy(ports, "deploy-1", 1)
    upload(ports, "february.csv", datetime(2019, 2, 1), {"north": 4.0, "south": 2.0})
    return ports


@pytest.mark.parametrize("limit", [0.1, None])
def test_what_is_better_on_average_and_worse_on_a_slice_is_refused_by_the_slice_s_name(limit: float | None) -> None:
    ports = raised_in_the_north()
    champion = ports.catalog.champion("fare")
    judged = fare_model(gate={"slice_rows": 10, "max_slice_worsening": limit})
    ports = replace(ports, definitions=ride_definitions(fare=judged))
    assert trained(ports, "train-2") == 2

    version = ports.catalog.version("fare", 2)
    theirs = version.verdict.champion_metrics
    assert theirs is not None
    # Of 120 held-out rides 96 became dearer by two dollars a mile; the candidate is wrong about the other 24.
    assert theirs["mae"] > 7
    assert version.metrics["mae"] < theirs["mae"] / 2
    if limit is None:
        assert (version.stage, version.reason) == ("candidate", "")
        return
    assert [rating.rule for rating in version.verdict.ratings if not rating.passed] == ["max_slice_worsening"]
    assert version.stage == "refused"
    assert version.reason.startswith("On the slice zone = south (24 rows), mae is ")
    assert "worse than champion version 1's" in version.reason
    assert version.reason.endswith("the most of 2 slices; 10.0% are allowed.")
    run = ports.catalog.run("train-2")
    assert (run.status, run.outputs["passed"]) == ("succeeded", False)
    assert ports.catalog.champion("fare") == champion


@pytest.mark.parametrize("file", ["model.onnx", "model.flat", "manifest.json"])
def test_a_candidate_with_a_flipped_bit_is_neither_tried_nor_promoted_and_the_champion_answers(file: str) -> None:
    ports = raised_in_the_north()
    assert trained(ports, "train-2") == 2
    assert ports.catalog.version("fare", 2).stage == "candidate"
    champion, store, key = ports.catalog.champion("fare"), ports.artifacts, keys.artifact("fare", 2, file)
    intact = store.get(key)
    for at in random.Random(file).sample(range(len(intact)), 5):
        store.put(key, intact[:at] + bytes([intact[at] ^ 16]) + intact[at + 1 :])
        with pytest.raises(DataError, match=f"{file}: has SHA-256"):
            deploy(ports, f"deploy-2-{at}", 2)
        with pytest.raises(DataError, match=f"version 2 of fare is not intact: {file}"):
            promote.run(promote.Request(run_id=f"deploy-2-{at}", model="fare", version=2), ports)
        assert ports.catalog.champion("fare") == champion
    now = ports.clock.now()
    row = {"zone": "north", "miles": 3.0}
    asked = predict.Request(model="fare", instances=[row], request_id=make_request_id(now, bytes(10)), at=now)
    answer = predict.run(asked, ports)
    assert answer.version == 1
    assert answer.predictions[0]["value"] == pytest.approx(6.0, abs=0.5)  # two dollars a mile

    store.put(key, intact)
    deploy(ports, "deploy-3", 2)
    assert predict.run(asked, ports).version == 2


def killed_twice(ports: Ports, rng: random.Random, step: Callable[[Ports], Any]) -> Any:
    """Kill a step at a random call, kill its repetition, and let it end; return what it then answers."""
    count = Fuse(10**6)
    step(mortal(copied(ports), count))
    for attempt in range(2):
        try:
            step(mortal(ports, Fuse(rng.randrange(count.made), after=rng.random() < 0.5)))
        except Killed:
            continue
        assert attempt == 1, "only what was repeated may need fewer calls"
    return step(ports)


def whole(ports: Ports, run: Callable[[Callable[[Ports], Any]], Any]) -> int:
    """Search, train, evaluate and register, each step by ``run``; return the version."""
    search_all(ports, run=lambda _, planned, index: run(lambda ports: try_one(ports, planned, index)))
    for name in ("line", "trees"):
        run(lambda ports, name=name: train.run(train.Request(run_id="run-1", model="fare", candidate=name), ports))
    run(lambda ports: evaluate.run(evaluate.Request(run_id="run-1", model="fare"), ports))
    registered = run(lambda ports: register.run(register.Request(run_id="run-1", model="fare"), ports))
    assert isinstance(registered, register.Registered)
    return registered.version


def searched() -> Ports:
    return searching(LINE, TREES, trials=3, parallel=3, halving=False, folds=1)


def files(ports: Ports) -> dict[str, bytes]:
    return {
        key: ports.artifacts.get(key)
        for key in ports.artifacts.keys("models/fare/")
        if key.endswith((".onnx", "manifest.json"))
    }


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, bytes]:
    """Return the files of version 1 of a training that nothing disturbed."""
    ports = searched()
    assert whole(ports, lambda step: step(ports)) == 1
    assert len(files(ports)) == 2
    return files(ports)


@pytest.mark.parametrize("seed", range(4))
def test_killed_twice_in_each_step_a_training_ends_in_the_same_version_with_the_same_bytes(
    seed: int, undisturbed: dict[str, bytes]
) -> None:
    ports, rng = searched(), random.Random(seed)
    assert whole(ports, lambda step: killed_twice(ports, rng, step)) == 1
    assert [version.version for version in ports.catalog.versions("fare")] == [1]
    assert files(ports) == undisturbed
    assert ports.catalog.run("run-1").status == "succeeded"
