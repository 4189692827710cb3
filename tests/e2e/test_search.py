"""A model whose parameters are searched, from its definition to the champion, on the local cloud."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from infra.local.cloud import LocalCloud
from tests.e2e.shell import Shell

pytestmark = pytest.mark.e2e

FLATS = Path(__file__).resolve().parents[2] / "docs" / "examples" / "flats"
SPACE = """
[candidates.space]
learning_rate = { low = 0.02, high = 0.5, log = true }
max_leaf_nodes = { low = 4, high = 64 }

[search]
trials = 4
parallel = 3

[gate]"""


def test_a_model_with_a_space_is_searched_in_rounds_and_what_is_found_is_trained(tmp_path: Path) -> None:
    shutil.copytree(FLATS, tmp_path / "flats")
    model = tmp_path / "flats" / "models" / "flat_rent.toml"
    model.write_text(model.read_text().replace("\n[gate]", SPACE))
    shell = Shell(tmp_path)
    try:
        shell.json("up", "--definitions", "flats")
        shell.json("upload", "flats", "flats/uploads/flats.csv")
        shell.served("flat_rent", seconds=240)
        [run] = shell.json("runs", "--kind", "train")
        shown = shell.run("runs", run["run_id"]).stdout
        steps = {step["step"]: step for step in shell.json("runs", run["run_id"])["steps"]}
        shell.json("down")
    finally:
        LocalCloud(tmp_path / ".perennial").stop()

    assert run["status"] == "succeeded", run["error"]
    found = steps["search"]["output"]
    # Three sets side by side, then a single one, which is no array job.
    assert (found["done"], found["round"]) == (True, 3)
    trees = found["candidates"]["trees"]
    assert (trees["trials"], trees["failed"]) == (4, 0)
    assert trees["value"] <= trees["default"]
    assert "all 4 parameter sets were tried (search.trials)" in shown
