"""docs/bulk.md, command by command, on the local cloud: whole files, by hand and by upload, whole and interrupted."""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.deployment import Deployment
from infra.local.cloud import LocalCloud
from infra.stage import STAGES
from infra.waiting import wait_until
from perennial import keys
from perennial.records import Run
from tests.e2e.shell import Shell

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "flats"
FLATS = EXAMPLE / "uploads" / "flats.csv"
COPIES = 100
"""Of the example's rows in a large file: some 50 MB, which are four chunks."""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("bulk")
    (folder / "docs").symlink_to(ROOT / "docs")
    shell = Shell(folder)
    try:
        shell.json("up", "--definitions", "docs/examples/flats")
        shell.json("upload", "flats", "docs/examples/flats/uploads/flats.csv")
        yield shell
    finally:
        LocalCloud(folder / ".perennial").stop()


@pytest.fixture(scope="module")
def deployment(shell: Shell) -> Deployment:
    return shell.served("flat_rent")


def large(path: Path) -> int:
    """Write a file that is several jobs' work; return how many rows it has."""
    header, *lines = FLATS.read_text().splitlines()
    note = "x" * 200  # bytes that are read and not looked at
    with path.open("w") as file:
        file.write(f"{header},note\n")
        for _ in range(COPIES):
            file.writelines(f"{line},{note}\n" for line in lines)
    assert path.stat().st_size > 2 * STAGES["local"].bulk_job_bytes
    return COPIES * len(lines)


def test_the_commands_of_the_page_predict_a_file_as_the_api_does(shell: Shell, deployment: Deployment) -> None:
    page = (ROOT / "docs" / "bulk.md").read_text()
    [block] = re.findall(r"<!-- run: bulk -->\n```console\n(.*?)```", page, re.DOTALL)
    first, second, listed = [
        shell.json(*shlex.split(line.removeprefix("uv run perennial "))) for line in block.splitlines()
    ]
    assert (first["status"], first["result"]["rows"], first["result"]["rejected"]) == ("succeeded", 2000, 0)
    assert {run["run_id"] for run in listed} == {first["run_id"], second["run_id"]}
    # By the same version and tables: the same bytes. (The runs may differ in when a row without a time would happen.)
    assert sorted(first["result"]["sha256"].values()) == sorted(second["result"]["sha256"].values())
    assert json.loads((shell.folder / "rents" / "result.json").read_text()) == second["result"]
    rows = list(csv.DictReader((shell.folder / "rents.csv").read_text().splitlines()))
    assert [int(row["row"]) for row in rows] == list(range(2, 2002))
    # The latest day's rows: the API has forgotten what was known before.
    lines = list(csv.DictReader(FLATS.read_text().splitlines()))
    latest = max(line["signed_at"][:10] for line in lines)
    places = [place for place, line in enumerate(lines) if line["signed_at"].startswith(latest)]
    asked = [
        {
            "signed_at": lines[place]["signed_at"],
            "district": lines[place]["district"],
            "area": float(lines[place]["area"]),
            "rooms": int(lines[place]["rooms"]),
            "balcony": lines[place]["balcony"] == "true",
        }
        for place in places
    ]
    answers = shell.json("predict", "flat_rent", "-", stdin=json.dumps(asked))
    assert len(answers) > 5
    assert [float(rows[place]["value"]) for place in places] == [answer["value"] for answer in answers]


def test_an_upload_below_predict_is_predicted_and_is_no_dataset_s(shell: Shell, deployment: Deployment) -> None:
    bucket, client = deployment.outputs["RawBucket"], deployment.client("s3")
    client.put_object(Bucket=bucket, Key="predict/flat_rent/", Body=b"")
    ingested = len(deployment.ports.catalog.runs(kind="ingest"))
    key = "predict/flat_rent/of june/a b+c.csv"
    bad = FLATS.read_bytes() + b"2024-04-30T00:00:00,moon,50,2,true,1\n"
    client.put_object(Bucket=bucket, Key=key, Body=bad)

    def closed() -> Run | None:
        runs = deployment.ports.catalog.runs(kind="batch_predict", subject="flat_rent")
        return next((run for run in runs if run.trigger.source == key and run.status != "running"), None)

    run = wait_until(closed, 60, "the run of the upload")
    assert (run.status, run.error, run.outputs["rows"], run.outputs["rejected"]) == ("succeeded", None, 2000, 1)
    assert len(deployment.ports.catalog.runs(kind="ingest")) == ingested


def test_a_file_for_an_unknown_model_fails_with_a_sentence(shell: Shell, deployment: Deployment) -> None:
    client, key = deployment.client("s3"), "predict/castles/a.csv"
    client.put_object(Bucket=deployment.outputs["RawBucket"], Key=key, Body=FLATS.read_bytes())

    def closed() -> Run | None:
        runs = deployment.ports.catalog.runs(kind="batch_predict", subject="castles")
        return next((run for run in runs if run.status != "running"), None)

    run = wait_until(closed, 60, "the run of the upload")
    assert run.status == "failed"
    assert "castles" in str(run.error)


def test_a_large_file_is_shared_by_jobs_and_a_stopped_run_is_gone_on_with(shell: Shell, deployment: Deployment) -> None:
    rows = large(shell.folder / "large.csv")
    started = shell.json("batch-predict", "flat_rent", "large.csv", "--no-wait")
    store = deployment.ports.artifacts

    def begun() -> list[str] | None:
        known = deployment.ports.catalog.steps(started["run_id"])
        made = next((step.output["bulk_id"] for step in known if "bulk_id" in step.output), None)
        chunks = store.keys(keys.bulk_chunks("flat_rent", made)) if made else []
        return [key for key in chunks if "end" not in key] or None

    wait_until(begun, 120, "the first chunk")
    arn = deployment.outputs["BatchPredictMachineArn"].replace(":stateMachine:", ":execution:")
    client = deployment.client("stepfunctions")
    client.stop_execution(executionArn=f"{arn}:{started['run_id']}")
    wait_until(lambda: _ended(deployment, started["run_id"]), 60, "the end of the stopped run")

    written = {key: store.written_at(key) for key in store.keys("bulk/flat_rent/") if "/chunks/" in key}
    done: Any = shell.json("batch-predict", "flat_rent", "--resume", started["run_id"])
    assert (done["status"], done["result"]["rows"]) == ("succeeded", rows)
    assert {key: store.written_at(key) for key in written} == written
    steps = [step.step for step in deployment.ports.catalog.steps(done["run_id"])]
    assert {"score#0000", "score#0001"} <= set(steps)
    assert store.exists(keys.bulk_result("flat_rent", done["outputs"]["bulk_id"]))


def _ended(deployment: Deployment, run_id: str) -> Run | None:
    run = deployment.ports.catalog.run(run_id)
    return run if run.status != "running" else None
