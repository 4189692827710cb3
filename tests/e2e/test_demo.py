"""The demo, and what a deployment that has lived through it answers. One cloud for the whole module, IAM enforced."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from infra.deployment import Deployment
from infra.local.cloud import LocalCloud
from infra.waiting import follow_run, wait_until
from perennial.records import Run
from tests.e2e.shell import Shell

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
UPLOADS = ROOT / "events" / "uploads"
PAGE = ROOT / "docs" / "data.md"
TRIP = {
    "pickup_datetime": "2019-04-10 08:30:00",
    "passenger_count": 1,
    "trip_distance": 2.4,
    "rate_code_id": 1,
    "pickup_location_id": 161,
    "dropoff_location_id": 236,
}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("demo")
    yield Shell(folder)
    LocalCloud(folder / ".perennial").stop()


@pytest.fixture(scope="module")
def demo(shell: Shell) -> dict[str, Any]:
    result: dict[str, Any] = shell.json("demo")
    return result


@pytest.fixture(scope="module")
def deployment(shell: Shell, demo: dict[str, Any]) -> Deployment:
    return Deployment.connect("local", state=shell.folder / ".perennial")


def test_the_world_drifts_in_february_and_the_system_follows(demo: dict[str, Any]) -> None:
    months = {month["month"]: month for month in demo["months"]}
    causes = [run["cause"]["kind"] for run in demo["training_runs"]]

    assert causes[0] == "data"
    assert causes[1] == "alarm"
    assert len(causes) <= 3
    assert months["2019-01"]["happened"] == ["quiet"]
    assert any(event.startswith("retrained") for event in months["2019-02"]["happened"])
    assert months["2019-01"]["versions"] == {"1": months["2019-01"]["trips"]}
    assert months["2019-04"]["mae_frozen"] >= 2.2
    assert months["2019-04"]["mae_served"] <= 1.75
    assert all(month["trips"] > 9500 for month in months.values())


def test_the_demo_draws_its_picture(demo: dict[str, Any]) -> None:
    assert Path(demo["picture"]).read_bytes().startswith(b"\x89PNG")


def test_the_restarted_execution_names_the_alarm(deployment: Deployment, demo: dict[str, Any]) -> None:
    run_id = demo["training_runs"][1]["run_id"]
    arn = deployment.outputs["TrainMachineArn"].replace(":stateMachine:", ":execution:") + f":{run_id}"
    execution = deployment.client("stepfunctions").describe_execution(executionArn=arn)
    trigger = json.loads(execution["input"])["trigger"]

    assert trigger["kind"] == "alarm"
    assert "PerformanceRatio" in trigger["source"]
    assert trigger["reason"]


def test_the_run_that_the_alarm_started_says_what_moved_and_names_the_report_that_it_reacts_to(
    shell: Shell, deployment: Deployment, demo: dict[str, Any]
) -> None:
    run = deployment.ports.catalog.run(demo["training_runs"][1]["run_id"])
    report = json.loads(deployment.ports.artifacts.get(run.inputs["monitoring_report"]))

    assert "The monitor says: " in run.trigger.reason
    assert "mae is " in run.trigger.reason
    assert report["assessment"]["attention"]
    assert report["assessment"]["figures"]["performance"] > 1
    assert report["assessment"]["baseline"] == "file"
    assert report["causes"]["measured"] > report["causes"]["reference"]


def test_what_the_monitor_saw_is_shown_and_its_report_saved_as_a_page(shell: Shell, demo: dict[str, Any]) -> None:
    seen = shell.json("monitor", "taxi_fare")
    shell.json("monitor", "taxi_fare", "--report", "watched.html")
    page = (shell.folder / "watched.html").read_text()

    assert seen["latest"]["sentence"]
    assert seen["latest"]["figures"].keys() >= {"features", "predictions", "multivariate", "quality", "estimated"}
    assert len(seen["history"]) > 1
    assert page.startswith("<!DOCTYPE html>")
    assert "Which features explain it" in page


def test_a_dirty_file_gives_a_snapshot_and_a_quarantine_with_lines_and_reasons(
    shell: Shell, deployment: Deployment, demo: dict[str, Any]
) -> None:
    [done] = shell.json("upload", "taxi_trips", str(UPLOADS / "dirty.csv"))
    outputs = done["run"]["outputs"]
    [snapshot] = [s for s in deployment.ports.catalog.snapshots("taxi_trips")[0] if s.source.endswith("/dirty.csv")]
    assert snapshot.quarantine_key is not None
    bad = [json.loads(line) for line in deployment.ports.artifacts.get(snapshot.quarantine_key).splitlines()]
    source = (UPLOADS / "dirty.csv").read_text().splitlines()

    assert outputs["rows"] == snapshot.rows > 0
    assert snapshot.rows + len(bad) == len(source) - 1
    assert all(source[row["line"] - 1] == row["raw"] for row in bad)
    assert all(row["reason"] for row in bad)
    assert {"fare_amount", "trip_distance", "pickup_datetime"} <= {row["column"] for row in bad}


@pytest.mark.parametrize(
    ("file", "sentence"),
    [("missing_column.csv", "lacks the column"), ("header_only.csv", "has a header and no rows")],
)
def test_a_file_that_breaks_as_a_whole_is_refused_with_a_sentence_on_the_run(
    shell: Shell, demo: dict[str, Any], file: str, sentence: str
) -> None:
    [done] = shell.json("upload", "taxi_trips", str(UPLOADS / file), code=1)

    assert done["run"]["status"] == "failed"
    assert sentence in done["run"]["error"]
    assert "\n" not in done["run"]["error"]


def test_the_same_upload_twice_makes_one_snapshot(shell: Shell, deployment: Deployment, demo: dict[str, Any]) -> None:
    before, revision = deployment.ports.catalog.snapshots("taxi_trips")
    again = str(UPLOADS / "taxi_trips" / "yellow_2018-07.csv.gz")
    [done] = shell.json("upload", "taxi_trips", again)

    assert done["run"]["status"] == "succeeded"
    assert deployment.ports.catalog.snapshots("taxi_trips") == (before, revision)


def test_the_client_and_the_command_line_tell_the_features_that_were_known_at_a_moment(
    shell: Shell, deployment: Deployment, demo: dict[str, Any]
) -> None:
    """The notebook of docs/data.md, run as it stands there."""
    [snippet] = re.findall(r"<!-- run: client -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    last = "frame.assign(at=frame['pickup_datetime'].astype(str)).iloc[-1].to_json()"
    told = f"print(len(trips), len(frame), len(learnt), sep='\\n')\nprint({last})\n"
    (shell.folder / "notebook.py").write_text(snippet + told)
    command = [sys.executable, "notebook.py"]
    done = subprocess.run(command, cwd=shell.folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    rows, framed, learnt, trip = map(json.loads, done.stdout.splitlines())
    champion = deployment.ports.catalog.champion("taxi_fare")
    assert champion is not None
    made = deployment.ports.catalog.version("taxi_fare", champion.version).training_set
    zone = str(trip["pickup_location_id"])
    [then] = shell.json("features", "get", "zone_stats", zone, "--at", trip["at"], "--columns", "mean_speed")
    [now] = shell.json("features", "get", "zone_stats", zone)
    views = {view["view"]: view for view in shell.json("features", "list")}

    assert rows == framed > 40_000
    assert learnt == made.rows_train + made.rows_holdout
    assert trip["zone_stats__mean_speed"] == then["values"]["mean_speed"]
    assert then["feature_time"] <= trip["at"].replace(" ", "T") < "2019-05" <= now["feature_time"]
    assert set(now["values"]) == {"mean_distance", "mean_minutes", "mean_speed"}
    assert views["zone_stats"]["rows"] > 0


def test_the_report_of_a_snapshot_is_saved_as_a_page(shell: Shell, demo: dict[str, Any]) -> None:
    listed = {one["source"].rpartition("/")[2]: one for one in shell.json("snapshots", "taxi_trips")}
    february = listed["yellow_2019-02.csv.gz"]
    shell.json("snapshots", "taxi_trips", february["snapshot_id"][:12], "--report", "february.html")
    page = (shell.folder / "february.html").read_text()

    assert page.startswith("<!DOCTYPE html>")
    assert "congestion_surcharge" in page
    assert "<svg" in page


def test_an_unsigned_call_is_forbidden(deployment: Deployment, demo: dict[str, Any]) -> None:
    answer = urllib3.request("POST", f"{deployment.api.url}/models/taxi_fare/predict", json={"instances": [TRIP]})

    assert answer.status == 403


def test_a_malformed_body_names_its_field_and_an_unknown_model_is_not_found(shell: Shell, demo: dict[str, Any]) -> None:
    rows = json.dumps([TRIP, {**TRIP, "trip_distance": "far"}])
    wrong = shell.json("predict", "taxi_fare", stdin=rows, code=1)
    unknown = shell.json("predict", "taxi_fair", stdin=json.dumps([TRIP]), code=1)

    assert "400" in wrong["error"]
    assert "instances[1].trip_distance" in wrong["error"]
    assert "404" in unknown["error"]


def test_a_prediction_names_its_version_and_the_same_trip_always_has_the_same_price(
    shell: Shell, demo: dict[str, Any]
) -> None:
    rows = json.dumps({"instances": [TRIP, TRIP]})
    one, other = shell.json("predict", "taxi_fare", stdin=rows)
    [old] = shell.json("predict", "taxi_fare", "--version", "1", stdin=json.dumps([TRIP]))

    assert one["value"] == other["value"]
    assert one["prediction_id"] != other["prediction_id"]
    assert (old["version"], one["version"]) == (1, 2)
    assert old["value"] != one["value"]


def test_a_csv_file_is_predicted_as_its_rows_sent_as_json_are(
    shell: Shell, deployment: Deployment, demo: dict[str, Any]
) -> None:
    lines = gzip.decompress((UPLOADS / "taxi_trips" / "yellow_2019-04.csv.gz").read_bytes()).decode().splitlines()
    file = shell.folder / "trips.csv"
    file.write_text("\n".join(lines[:4]))
    answers = shell.json("predict", "taxi_fare", str(file))
    names = lines[0].split(",")
    row = dict(zip(names, lines[1].split(","), strict=True))
    typed = {name: type(TRIP[name])(row[name]) for name in TRIP}  # type: ignore[operator]
    [same] = shell.json("predict", "taxi_fare", stdin=json.dumps([typed]))

    assert len(answers) == 3
    assert answers[0]["value"] == same["value"]


def test_retraining_on_request_is_judged_and_recorded(
    shell: Shell, deployment: Deployment, demo: dict[str, Any]
) -> None:
    done = shell.run("retrain", "taxi_fare", "--reason", "to see what happens", "--json")
    run = json.loads(done.stdout)

    assert run["trigger"]["kind"] == "person"
    assert run["trigger"]["reason"] == "to see what happens"
    assert run["status"] == "succeeded"
    version = deployment.ports.catalog.version("taxi_fare", run["outputs"]["version"])
    assert version.verdict.champion_metrics is not None
    assert (version.stage == "refused") is not run["outputs"]["passed"]
    assert all(rating.sentence for rating in version.verdict.ratings)


def test_a_training_run_that_is_stopped_is_closed_and_the_next_one_is_admitted(
    shell: Shell, deployment: Deployment, demo: dict[str, Any]
) -> None:
    machine, catalog = deployment.outputs["TrainMachineArn"], deployment.ports.catalog
    executions = machine.replace(":stateMachine:", ":execution:")

    def stopped_at(step: str) -> Run:
        run_id = shell.json("retrain", "taxi_fare", "--no-wait")["run_id"]
        wait_until(lambda: step in {one.step for one in catalog.steps(run_id)} or None, 30, f"step {step} of {run_id}")
        deployment.client("stepfunctions").stop_execution(executionArn=f"{executions}:{run_id}")
        return follow_run(catalog, run_id, 30, lambda run, step: None)

    ends = [stopped_at("admit"), stopped_at("training_set")]  # which only a run has that was admitted

    assert {(run.status, run.error) for run in ends} == {("failed", "the execution was stopped before it was done")}


def test_rollback_lets_the_version_before_serve_and_says_so_in_the_audit_trail(
    shell: Shell, demo: dict[str, Any]
) -> None:
    before = shell.json("models", "taxi_fare")["champion"]
    moved = shell.json("rollback", "taxi_fare", "--reason", "a test")
    after = shell.json("models", "taxi_fare")

    assert moved["version"] == after["champion"]["version"] == before["previous"]
    assert after["audit"][0]["action"] == "rollback"
    assert after["audit"][0]["reason"] == "a test"


def test_runs_and_logs_tell_what_happened(shell: Shell, demo: dict[str, Any]) -> None:
    run_id = demo["training_runs"][0]["run_id"]
    run = shell.json("runs", run_id[:10])
    steps = {step["step"] for step in run["steps"]}
    refused = [r for r in shell.json("runs", "--kind", "train", "--limit", "100") if r["status"] == "refused"]
    logs = shell.json("logs", "register", "--minutes", "60")

    assert {"admit", "training_set", "train#ridge", "train#trees_long", "evaluate", "register"} <= steps
    assert refused
    assert all(r["error"] for r in refused)
    assert any(run_id in line["message"] for line in logs)
