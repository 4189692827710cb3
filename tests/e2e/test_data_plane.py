"""Data on the local cloud: names of any kind, files of any size, many at once, and rows that must go. IAM enforced."""

from __future__ import annotations

import io
import json
import random
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.code import FUNCTIONS
from infra.deployment import Deployment
from infra.local.cloud import LocalCloud
from infra.stage import STAGES
from infra.waiting import find_run, follow_run, wait_until
from perennial import keys
from perennial.records import Run
from tests.e2e.shell import Shell

pytestmark = pytest.mark.e2e

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
START = datetime(2019, 1, 1)
RIDES = """event_time = "began"
key = ["ride"]
[columns]
ride = { type = "string" }
rider = { type = "integer" }
began = { type = "timestamp" }
miles = { type = "double", min = 0 }
note = { type = "string", nullable = true }
"""
VIEW = """-- kind: stored
-- dataset: rides
-- entity: rider
-- feature_time: known_at
SELECT rider, date_trunc('day', began) + INTERVAL 1 DAY AS known_at, avg(miles) AS mean_miles
FROM rides
GROUP BY ALL
"""
# What S3 allows in a key and a careless program breaks on.
NAMES = [
    "a b+c%2Fd.csv",
    "../up.csv",
    "/double.csv",
    "漢字 ü 😀 'single' \"double\" \\ back.csv",
    "#hash?query=1&more {} $.path States.Format('{}').csv",
    f"{'long' * 250}.csv",
]


def rides(first: int, count: int = 20, riders: int = 5, note: int = 0) -> bytes:
    """Return a file of rides, one an hour; notes of so many random characters make it large."""
    dice = random.Random(first)
    lines = ["ride,rider,began,miles,note"]
    for number in range(first, first + count):
        began = START + timedelta(hours=number % 8760)
        noise = b64encode(dice.randbytes(note * 3 // 4)).decode()
        lines.append(f"r{number},{number % riders},{began},{number % 7},{noise}")
    return "\n".join(lines).encode() + b"\n"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("data")
    for name, text in (("datasets/rides.toml", RIDES), ("features/rider_history.sql", VIEW)):
        (folder / "definitions" / name).parent.mkdir(parents=True)
        (folder / "definitions" / name).write_text(text)
    (folder / "definitions" / "models").mkdir()
    shell = Shell(folder)
    try:
        shell.json("up", "--definitions", "definitions")
        yield shell
    finally:
        LocalCloud(folder / ".perennial").stop()


@pytest.fixture(scope="module")
def deployment(shell: Shell) -> Deployment:
    return Deployment.connect("local", state=shell.folder / ".perennial")


def put(deployment: Deployment, key: str, content: bytes) -> None:
    deployment.client("s3").put_object(Bucket=deployment.outputs["RawBucket"], Key=key, Body=content)


def ended(deployment: Deployment, key: str) -> Run:
    """Wait for the run of an upload."""
    catalog = deployment.ports.catalog
    source = f"s3://{deployment.outputs['RawBucket']}/{key}"
    found = wait_until(
        lambda: find_run(catalog, "ingest", "rides", LONG_AGO, lambda run: run.trigger.source == source), 30, key[:50]
    )
    return follow_run(catalog, found.run_id, 30, lambda run, step: None)


def live_rows(deployment: Deployment) -> int:
    return sum(snapshot.rows for snapshot in deployment.ports.catalog.snapshots("rides")[0])


def test_a_key_may_be_named_as_s3_allows_it_and_a_folder_is_no_upload(shell: Shell, deployment: Deployment) -> None:
    put(deployment, "rides/folder/", b"")
    for number, name in enumerate(NAMES):
        put(deployment, f"rides/{name}", rides(1000 + 20 * number))
    ends = {name: ended(deployment, f"rides/{name}") for name in NAMES}

    assert {name: (run.status, run.error) for name, run in ends.items() if run.status != "succeeded"} == {}
    live, _ = deployment.ports.catalog.snapshots("rides")
    sources = {snapshot.source for snapshot in live}
    assert sources == {f"s3://{deployment.outputs['RawBucket']}/rides/{name}" for name in NAMES}
    assert live_rows(deployment) == 20 * len(NAMES)
    assert len(deployment.ports.catalog.runs(kind="ingest")) == len(NAMES)


def test_a_large_file_is_ingested_by_a_job_and_its_views_too(shell: Shell, deployment: Deployment) -> None:
    before = live_rows(deployment)
    content = rides(100_000, count=100_000, riders=1000, note=120)
    assert len(content) > STAGES["local"].batch_bytes
    (shell.folder / "large.csv").write_bytes(content)
    [done] = shell.json("upload", "rides", "large.csv")

    assert done["run"]["status"] == "succeeded", done["run"]["error"]
    assert done["run"]["outputs"]["rows"] == 100_000
    assert live_rows(deployment) == before + 100_000
    jobs = jobs_of(deployment)
    [ingest] = [job for job in jobs if job["jobName"] == "ingest"]
    assert "features" in [job["jobName"] for job in jobs]
    assert json.loads(ingest["parameters"]["input"])["key"] == "rides/large.csv"
    execution = deployment.outputs["IngestMachineArn"].replace(":stateMachine:", ":execution:")
    states = deployment.client("stepfunctions")

    def status() -> str | None:
        found = states.describe_execution(executionArn=f"{execution}:{done['run']['run_id']}")["status"]
        return None if found == "RUNNING" else str(found)

    assert wait_until(status, 30, "the end of the execution") == "SUCCEEDED"  # it has told the news


def online_mean(deployment: Deployment, rider: int) -> Any:
    """Return what the online store knows of a rider."""
    items = deployment.client("dynamodb").scan(TableName=deployment.outputs["OnlineTable"])["Items"]
    rows = [item for item in items if item["pk"]["S"].endswith(f"#{rider}")]
    return next((row for row in rows if "mean_miles" in json.dumps(row)), None)


def jobs_of(deployment: Deployment) -> list[dict[str, Any]]:
    """Return the jobs that succeeded; each has the name of the step that it ran."""
    client = deployment.client("batch")
    queue = client.describe_job_queues()["jobQueues"][0]["jobQueueName"]
    ids = [job["jobId"] for job in client.list_jobs(jobQueue=queue, jobStatus="SUCCEEDED")["jobSummaryList"]]
    return client.describe_jobs(jobs=ids)["jobs"] if ids else []


def give_code(deployment: Deployment, function: str, files: dict[str, str]) -> None:
    """Let a step's function have other code."""
    client, archive = deployment.client("lambda"), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        for name, text in files.items():
            content.writestr(name, text)
    found = [one["FunctionName"] for one in client.list_functions()["Functions"] if one["Handler"].startswith(function)]
    client.update_function_code(FunctionName=found[0], ZipFile=archive.getvalue())


def test_a_small_file_of_which_a_function_dies_is_ingested_by_a_job(shell: Shell, deployment: Deployment) -> None:
    (shell.folder / "packed.csv").write_bytes(rides(900_000))
    try:
        give_code(deployment, "ingest.", {"ingest.py": "import os\n\ndef handler(event, context): os._exit(137)\n"})
        [done] = shell.json("upload", "rides", "packed.csv")
    finally:
        give_code(deployment, "ingest.", {path.name: path.read_text() for path in FUNCTIONS.glob("*.py")})

    assert (done["run"]["status"], done["run"]["outputs"]["rows"]) == ("succeeded", 20), done["run"]["error"]
    inputs = [json.loads(job["parameters"]["input"]) for job in jobs_of(deployment) if job["jobName"] == "ingest"]
    assert "rides/packed.csv" in [given["key"] for given in inputs]


def test_a_file_that_a_job_refuses_says_why_on_its_run(shell: Shell, deployment: Deployment) -> None:
    content = rides(0, count=95_000, note=60).replace(b"ride,rider,began", b"ride,walker,began", 1)
    (shell.folder / "wrong.csv").write_bytes(content)
    [done] = shell.json("upload", "rides", "wrong.csv", code=1)

    assert done["run"]["status"] == "failed"
    assert "lacks the column" in done["run"]["error"]
    assert "rider" in done["run"]["error"]


def test_a_backfill_ingests_what_is_in_the_bucket_and_refuses_only_what_is_wrong(
    shell: Shell, deployment: Deployment
) -> None:
    before, events = live_rows(deployment), deployment.client("events")
    [rule] = [rule["Name"] for rule in events.list_rules()["Rules"] if "IngestUploads" in rule["Name"]]
    events.disable_rule(Name=rule)
    for number in range(6):
        put(deployment, f"rides/old/{number}.csv", rides(500_000 + 20 * number))
    put(deployment, "rides/old/broken.csv", b"nothing\nuseful\n")
    done = shell.json("backfill", "rides", "--reason", "these were here before", code=1)
    events.enable_rule(Name=rule)

    files = len(NAMES) + 3 + 7
    assert (done["kind"], done["status"]) == ("backfill", "succeeded")
    assert (done["outputs"]["uploads"], done["outputs"]["refused"]) == (files, 2)
    assert live_rows(deployment) == before + 6 * 20
    steps = {step["step"]: step for step in shell.json("runs", done["run_id"])["steps"]}
    assert "lacks the column" in steps["ingest#old/broken.csv"]["error"]
    assert [steps[f"ingest#old/{number}.csv"]["status"] for number in range(6)] == ["succeeded"] * 6
    assert steps["features"]["status"] == "succeeded"
    own = shell.json("runs", steps["ingest#old/0.csv"]["output"]["run_id"])
    assert (own["kind"], own["status"], own["outputs"]["rows"]) == ("ingest", "succeeded", 20)
    failed = [
        run for run in deployment.ports.catalog.runs(200, "ingest", "rides") if run.run_id.endswith(done["run_id"])
    ]
    assert sorted(run.status for run in failed) == ["failed"] * 2 + ["succeeded"] * (files - 2)


def test_snapshots_are_listed_and_each_has_a_report(shell: Shell, deployment: Deployment) -> None:
    listed = shell.json("snapshots", "rides")
    assert len(listed) == len(NAMES) + 2 + 6
    [large] = [one for one in listed if one["source"].endswith("/large.csv")]
    assert (large["rows"], large["rejected"], large["contract_is"]) == (100_000, 0, "same")
    shown = shell.json("snapshots", "rides", large["snapshot_id"][:10])
    assert shown["snapshot"]["snapshot_id"] == large["snapshot_id"]
    assert "miles" in json.dumps(shown["report"])
    shell.json("snapshots", "rides", large["snapshot_id"], "--report", "report.html")
    page = (shell.folder / "report.html").read_text()
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "<svg" in page
    assert "miles" in shell.run("snapshots", "rides", large["snapshot_id"]).stdout


def test_what_is_forgotten_is_gone_and_does_not_come_back(shell: Shell, deployment: Deployment) -> None:
    before = live_rows(deployment)
    artifacts = deployment.ports.artifacts
    assert online_mean(deployment, 999) is not None
    # Of rider 999, one of 1000 in the large file alone.
    done = shell.json("forget", "rides", "rider=999", "--reason", "asked to", "--yes")

    assert (done["kind"], done["status"]) == ("forget", "succeeded"), done["error"]
    assert live_rows(deployment) == before - 100
    assert (online_mean(deployment, 999), online_mean(deployment, 998) is None) == (None, False)
    assert not artifacts.exists(keys.forget_request(done["run_id"]))
    [erasure] = deployment.ports.catalog.erasures("rides")
    assert (erasure.columns, erasure.reason) == (("rider",), "asked to")
    assert "999" not in json.dumps(done["inputs"])
    (shell.folder / "again.csv").write_bytes((shell.folder / "large.csv").read_bytes())
    [again] = shell.json("upload", "rides", "again.csv")
    assert again["run"]["status"] == "succeeded", again["run"]["error"]
    assert live_rows(deployment) == before - 100


def test_a_request_to_forget_without_a_value_or_a_column_is_refused_in_a_sentence(shell: Shell) -> None:
    wrong = shell.json("forget", "rides", "rider", "--yes", code=1)
    unknown = shell.json("forget", "rides", "walker=1", "--yes", code=1)

    assert "COLUMN=VALUE" in wrong["error"]
    assert "walker" in unknown["error"]
    assert unknown["status"] == "failed"


def test_files_of_one_name_are_not_sent(shell: Shell, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.csv").write_bytes(rides(0))
    found = shell.json("upload", "rides", str(tmp_path / "a" / "same.csv"), str(tmp_path / "b" / "same.csv"), code=1)

    assert "has the same name" in found["error"]


def test_a_demo_in_a_folder_with_somebodys_work_is_refused(shell: Shell, deployment: Deployment) -> None:
    done = shell.run("demo")

    assert done.returncode == 1
    assert "perennial down" in done.stderr
    assert "Traceback" not in done.stderr
