"""What a team must be able to rely on: kills, races and flipped bits change no result and stop no champion."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from infra.deployment import Deployment
from infra.local.cloud import LocalCloud
from infra.local.jobs import RECORDS, process_of
from infra.operations import follow_started, read_logs
from perennial import keys
from perennial.errors import PerennialError
from perennial.records import Run, Trigger
from perennial.serving.scorer import FLAT_FILE
from tests.e2e.executions import wait_for
from tests.e2e.shell import Shell

pytestmark = pytest.mark.e2e

FLATS = Path(__file__).resolve().parents[2] / "docs" / "examples" / "flats"
MODEL, CANDIDATE = "flat_rent", "trees"
ROWS = json.loads((FLATS / "request.json").read_text())["instances"]
PERSON = Trigger(kind="person", source="ada", reason="an audit", no_cache=True)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """Deploy the flats with one candidate."""
    folder = tmp_path_factory.mktemp("trust")
    shutil.copytree(FLATS, folder / "flats")
    model = folder / "flats" / "models" / f"{MODEL}.toml"
    one = re.sub(r'\[\[candidates\]\]\nname = "ridge".*?\n\n', "", model.read_text(), flags=re.DOTALL)
    model.write_text(one)
    try:
        Shell(folder).json("up", "--definitions", "flats")
        yield Shell(folder)
    finally:
        LocalCloud(folder / ".perennial").stop()


@pytest.fixture(scope="module")
def deployment(shell: Shell) -> Deployment:
    return Deployment.connect("local", state=shell.folder / ".perennial")


def job_processes(state: Path) -> dict[int, str]:
    """Return the running processes of jobs that train, each with its command."""
    found = {}
    for record in (state / RECORDS).glob("[0-9]*"):
        if record.name.isdigit() and f'"candidate":"{CANDIDATE}"' in process_of(int(record.name))[1]:
            found[int(record.name)] = process_of(int(record.name))[1]
    return found


def kill_next(state: Path, killed: set[int], ready: Callable[[], Any]) -> None:
    """Kill the next process of a training job that was not killed yet, once it is ready."""

    def running() -> int | None:
        return next(iter(job_processes(state).keys() - killed), None)

    pid = wait_for(running, 90)
    wait_for(lambda: ready() or None, 30)
    assert pid in job_processes(state), "it ended before it could be killed"
    os.kill(pid, signal.SIGKILL)
    killed.add(pid)


def train_run(deployment: Deployment) -> Run | None:
    return next(iter(deployment.ports.catalog.runs(5, kind="train", subject=MODEL)), None)


def closed(deployment: Deployment, run_id: str) -> Run:
    return follow_started(deployment, run_id, 90, lambda *_: None)


def champion(deployment: Deployment) -> int | None:
    serving = deployment.ports.catalog.champion(MODEL)
    return serving.version if serving else None


def onnx_of(deployment: Deployment, version: int) -> str:
    manifest = deployment.ports.artifacts.get(deployment.ports.catalog.version(MODEL, version).manifest_key)
    return str(json.loads(manifest)["files"]["model.onnx"])


def answered_by(deployment: Deployment, version: int | None = None) -> int:
    return int(deployment.api.predict(MODEL, ROWS, version)["version"])


def flip(deployment: Deployment, version: int, file: str) -> bytes:
    """Flip one bit of a version's file; return the file as it was."""
    store, key = deployment.ports.artifacts, keys.artifact(MODEL, version, file)
    before = store.get(key)
    store.put(key, before[:-9] + bytes([before[-9] ^ 4]) + before[-8:])
    return before


def test_a_training_whose_job_is_killed_twice_makes_the_version_that_an_undisturbed_one_makes(
    shell: Shell, deployment: Deployment
) -> None:
    killed: set[int] = set()
    state = shell.folder / ".perennial"
    shell.json("upload", "flats", "flats/uploads/flats.csv")
    # The first while Python still imports, the second while the step is under way.
    kill_next(state, killed, lambda: True)
    run = train_run(deployment)
    assert run is not None

    def in_the_step() -> bool:
        return any(step.step == f"train#{CANDIDATE}" for step in deployment.ports.catalog.steps(run.run_id))

    kill_next(state, killed, in_the_step)
    done = closed(deployment, run.run_id)
    assert (done.status, done.outputs["version"], done.trigger.kind) == ("succeeded", 1, "data")
    assert len(killed) == 2

    batch = deployment.client("batch")
    queue = batch.describe_job_queues()["jobQueues"][0]["jobQueueArn"]
    [job] = batch.list_jobs(jobQueue=queue, jobStatus="SUCCEEDED")["jobSummaryList"]
    [described] = batch.describe_jobs(jobs=[job["jobId"]])["jobs"]
    assert [attempt["container"]["exitCode"] for attempt in described["attempts"]] == [137, 137, 0]
    wait_for(lambda: champion(deployment) == 1 or None, 60)

    undisturbed = closed(deployment, deployment.start("train", {"model": MODEL}, PERSON))
    assert undisturbed.outputs["version"] == 2
    assert "reused_from" not in deployment.ports.catalog.step(undisturbed.run_id, f"train#{CANDIDATE}").output
    assert onnx_of(deployment, 1) == onnx_of(deployment, 2)
    wait_for(lambda: champion(deployment) == 2 or None, 60)


def test_trainings_that_begin_at_once_skip_no_number_and_make_one_champion(deployment: Deployment) -> None:
    catalog, together = deployment.ports.catalog, Barrier(2)
    before = [version.version for version in catalog.versions(MODEL)]

    def start(number: int) -> str:
        together.wait()
        return deployment.start("train", {"model": MODEL}, f"one of two, {number}")

    succeeded, refused = 0, 0
    for _ in range(3):
        with ThreadPoolExecutor(2) as pool:
            runs = [closed(deployment, run_id) for run_id in pool.map(start, range(2))]
        for run, other in (runs, runs[::-1]):
            if run.status == "refused":
                refused += 1
                assert run.error == f"run {other.run_id} is training model {MODEL}; one run at a time"
            else:
                assert run.status == "succeeded", run.error
                succeeded += 1
        newest = max(version.version for version in catalog.versions(MODEL))
        wait_for(lambda newest=newest: champion(deployment) == newest or None, 60)
        assert [version.version for version in catalog.versions(MODEL) if version.stage == "champion"] == [newest]
    assert refused > 0
    versions = [version.version for version in catalog.versions(MODEL)]
    assert versions == list(range(len(before) + succeeded, 0, -1))


def test_a_flipped_bit_is_served_and_promoted_by_nobody_and_the_last_good_version_serves(
    deployment: Deployment,
) -> None:
    catalog = deployment.ports.catalog
    third = closed(deployment, deployment.start("train", {"model": MODEL}, "another one"))
    newest = int(third.outputs["version"])
    wait_for(lambda: champion(deployment) == newest or None, 60)
    previous = catalog.champion(MODEL)
    assert previous is not None
    assert previous.previous == newest - 1

    # Of an older version, in what it is not served from: it is not deployed, and the champion stays.
    flip(deployment, 1, "model.onnx")
    deploy = closed(deployment, deployment.start("deploy", {"model": MODEL, "version": 1}, "back to it"))
    assert deploy.status == "failed"
    assert "model.onnx: has SHA-256" in str(deploy.error)
    assert champion(deployment) == newest
    assert catalog.version(MODEL, 1).stage == "archived"

    # Of the champion, which no process has loaded yet: what served before answers, and says so.
    intact = flip(deployment, newest, FLAT_FILE)
    flip(deployment, 1, FLAT_FILE)
    assert answered_by(deployment) == newest - 1
    for altered in (newest, 1):
        with pytest.raises(PerennialError, match="the API answered 500"):
            answered_by(deployment, altered)
    told = [json.loads(line["message"]) for line in read_logs(deployment, "predict", third.started_at, "stand_in")]
    assert told
    for line in told:
        assert (line["model"], line["version"], line["serves"]) == (MODEL, newest, newest - 1)
        assert line["sentence"].startswith(f"{FLAT_FILE}: has SHA-256")
    assert champion(deployment) == newest

    deployment.ports.artifacts.put(keys.artifact(MODEL, newest, FLAT_FILE), intact)
    time.sleep(1.1)  # the pointer's time on the local stage
    assert answered_by(deployment) == newest
