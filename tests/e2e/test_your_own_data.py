"""docs/your-own-data.md, command by command: a model of somebody else's, in TOML and SQL only."""

from __future__ import annotations

import hashlib
import re
import shlex
import time
from pathlib import Path

import pytest

from infra.local.cloud import LocalCloud
from perennial.client.deployment import Deployment
from tests.e2e.shell import Shell

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "your-own-data.md"


def test_the_commands_of_the_page_serve_the_model(tmp_path: Path) -> None:
    [block] = re.findall(r"```console\n(.*?)```", PAGE.read_text(), re.DOTALL)
    commands = [shlex.split(line.removeprefix("uv run perennial ")) for line in block.splitlines()]
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    shell = Shell(tmp_path)
    try:
        for command in commands[:-1]:
            shell.json(*command)
        deadline = time.monotonic() + 120
        while not any(model["champion"] for model in shell.json("models")) and time.monotonic() < deadline:
            time.sleep(1)
        answers = shell.json(*commands[-1])
        [run] = shell.json("runs", "--kind", "train")
        views = {view["view"]: view["rows"] for view in shell.json("features", "list")}
        check_what_was_recorded(shell, run["run_id"], answers[0]["prediction_id"])
        down = shell.json("down")
    finally:
        LocalCloud(tmp_path / ".perennial").stop()

    assert run["trigger"]["kind"] == "data"
    # The made-up rents are area × 16 + 60 in the south with a balcony and area × 11 in the north, ± 40.
    assert [answer["version"] for answer in answers] == [1, 1]
    assert abs(answers[0]["value"] - (72.5 * 16 + 60)) < 100
    assert abs(answers[1]["value"] - 40 * 11) < 100
    # The views of what was deployed, which is not the folder that `up` takes by default.
    assert set(views) == {"district_rents", "flat"}
    assert views["district_rents"] > 0
    assert down == {"stopped": True}
    assert not (tmp_path / ".perennial").exists()


def check_what_was_recorded(shell: Shell, run_id: str, prediction_id: str) -> None:
    """The same again is reused; a prediction leads to its upload; the version is made again; tampering is told."""
    again = shell.json("retrain", "flat_rent")
    steps = {step["step"]: step for step in shell.json("runs", again["run_id"])["steps"]}
    reused = {"reused_from": run_id, "why": f"reused from run {run_id}: same inputs, definition and code"}
    for name in ("training_set", "train#ridge", "train#trees"):
        assert {field: steps[name][field] for field in reused} == reused

    lineage = shell.json("lineage", prediction_id, "--svg", "lineage.svg")
    files = [node["sha256"] for node in lineage["nodes"] if node["kind"] == "file"]
    assert lineage["thing"] == f"prediction:{prediction_id}"
    assert files == [hashlib.sha256((PAGE.parent / "examples/flats/uploads/flats.csv").read_bytes()).hexdigest()]
    assert (shell.folder / "lineage.svg").read_text().startswith("<svg")
    forward = {node["id"] for node in shell.json("lineage", "flats/flats.csv")["nodes"]}
    assert {"version:flat_rent@1", "predictions:flat_rent@1"} <= forward

    rebuilt = shell.json("rebuild", "flat_rent", "1")["outputs"]
    assert (rebuilt["identical"], rebuilt["findings"]) == (True, [])
    artifacts = Deployment.connect("local", state=shell.folder / ".perennial").ports.artifacts
    part = next(key for key in artifacts.keys("snapshots/flats/") if key.endswith(".parquet"))
    artifacts.put(part, artifacts.get(part) + b" ")
    tampered = shell.json("rebuild", "flat_rent", "1", code=1)["outputs"]
    assert tampered["identical"] is False
    assert part in tampered["findings"][0]
