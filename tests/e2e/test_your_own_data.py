"""docs/your-own-data.md, command by command, and docs/notebook.md, snippet by snippet: a model of somebody else's."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.local.cloud import LocalCloud
from perennial.client.deployment import Deployment
from tests.e2e.shell import Shell

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "your-own-data.md"
NOTEBOOK = ROOT / "docs" / "notebook.md"
TOLD = """
import json
print(json.dumps({
    "better": [outcome.version, outcome.passed, outcome.reason],
    "refused": [refused.version, refused.passed, refused.reason],
    "champion": client.champion("flat_rent"),
    "values": len(client.metrics(client.experiments("flat_rent").query("name == '4 leaves'")["run_id"].item())),
    "again": Path("again.csv").read_text() == Path("judged.csv").read_text(),
}))
"""


def test_the_commands_of_the_page_serve_the_model(tmp_path: Path) -> None:
    [block] = re.findall(r"```console\n(.*?)```", PAGE.read_text(), re.DOTALL)
    commands = [shlex.split(line.removeprefix("uv run perennial ")) for line in block.splitlines()]
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    shell = Shell(tmp_path)
    try:
        for command in commands[:-1]:
            shell.json(*command)
        shell.served("flat_rent")
        answers = shell.json(*commands[-1])
        [run] = shell.json("runs", "--kind", "train")
        views = {view["view"]: view["rows"] for view in shell.json("features", "list")}
        told = in_a_notebook(tmp_path)
        tried, runs = shell.json("experiments", "flat_rent"), shell.json("runs", "--kind", "experiment")
        shown = shell.json("runs", next(each["run_id"] for each in tried if each["name"] == "4 leaves"))
        later = shell.json(*commands[-1])
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
    assert_judged(told, tried, runs, shown, later)
    assert down == {"stopped": True}
    assert not (tmp_path / ".perennial").exists()


def in_a_notebook(folder: Path) -> Any:
    """Run the snippets of the page as one program in a folder; return what it tells in the end."""
    snippets = re.findall(r"<!-- run: notebook -->\n```python\n(.*?)```", NOTEBOOK.read_text(), re.DOTALL)
    assert len(snippets) == NOTEBOOK.read_text().count("```python")
    (folder / "notebook.py").write_text("\n".join([*snippets, TOLD]))
    command = [sys.executable, "notebook.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def assert_judged(told: Any, tried: Any, runs: Any, shown: Any, later: Any) -> None:
    """Compare what the notebook and the command line tell of the experiments with what the page says of them."""
    # The gate let the one through that knows how the rents were made up, and not the other.
    assert told["better"] == [2, True, ""]
    version, passed, reason = told["refused"]
    assert (version, passed) == (3, False)
    assert "above champion version 2's" in reason
    assert told["champion"] == 2
    assert [answer["version"] for answer in later] == [2, 2]
    assert abs(later[0]["value"] - (72.5 * 16 + 60)) < 60
    assert abs(later[1]["value"] - 40 * 11) < 60
    assert (told["values"], told["again"]) == (100, True)
    assert {each["name"] for each in tried} == {"4 leaves", "16 leaves", "rent by area", "one tree"}
    assert [each["version"] for each in tried if each["version"]] in ([2, 3], [3, 2])
    assert {(each["status"], each["trigger"]["kind"]) for each in runs} == {("succeeded", "person")}
    assert shown["parameters"]["max_leaf_nodes"] == 4
    assert [file["name"] for file in shown["artifacts"]] == ["judged.csv"]


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
