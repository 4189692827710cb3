"""docs/registry.md on the local cloud: a model whose versions people approve, reject, promote and label."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from infra.deployment import Deployment
from infra.local.cloud import LocalCloud
from infra.waiting import wait_until
from tests.e2e.shell import Shell

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "registry.md"
MODEL = "flat_rent"


class Flats(Shell):
    """The page's commands, and waiting for what they bring about."""

    def of_page(self, block: str) -> list[Any]:
        """Run a block of the page and return what each command printed."""
        [text] = re.findall(rf"<!-- run: {block} -->\n```console\n(.*?)```", PAGE.read_text(), re.DOTALL)
        lines = [line.removeprefix("uv run perennial ") for line in text.splitlines()]
        return [self.json(*shlex.split(line)) for line in lines]

    @cached_property
    def deployment(self) -> Deployment:
        """The deployment, read without the command line where a test waits."""
        return Deployment.connect("local", state=self.folder / ".perennial")

    def waiting(self, version: int) -> None:
        """Wait until a version waits for approval."""
        catalog = self.deployment.ports.catalog
        wait_until(lambda: catalog.approval(MODEL, version), 120, f"version {version}")

    def champion(self, version: int) -> None:
        """Wait until a version serves."""
        catalog = self.deployment.ports.catalog

        def serves() -> bool | None:
            champion = catalog.champion(MODEL)
            return (champion is not None and champion.version == version) or None

        wait_until(serves, 60, f"champion {version}")

    def shown(self) -> dict[str, Any]:
        """Return the model as it is shown."""
        shown: dict[str, Any] = self.json("models", MODEL)
        return shown


@pytest.fixture(scope="module")
def flats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flats]:
    """Deploy the flats with one candidate and people who approve, and upload what it learns from."""
    folder = tmp_path_factory.mktemp("approvals")
    shutil.copytree(ROOT / "docs" / "examples" / "flats", folder / "flats")
    (folder / "docs").symlink_to(ROOT / "docs")
    model = folder / "flats" / "models" / f"{MODEL}.toml"
    one = re.sub(r'\[\[candidates\]\]\nname = "trees".*?\n\n', "", model.read_text(), flags=re.DOTALL)
    model.write_text(f'approval = "manual"\napproval_timeout = "2 hours"\n{one}')
    flats = Flats(folder)
    try:
        flats.json("up", "--definitions", "flats")
        flats.json("upload", "flats", "flats/uploads/flats.csv")
        yield flats
    finally:
        LocalCloud(folder / ".perennial").stop()


@pytest.fixture(scope="module")
def deployment(flats: Flats) -> Deployment:
    return flats.deployment


def execution(deployment: Deployment, run_id: str) -> str:
    arn = deployment.outputs["TrainMachineArn"].replace(":stateMachine:", ":execution:")
    return f"{arn}:{run_id}"


def end_of(deployment: Deployment, run_id: str) -> str:
    """Wait until an execution of the train machine has ended, and return how."""
    machines = deployment.client("stepfunctions")

    def look() -> str | None:
        status = machines.describe_execution(executionArn=execution(deployment, run_id))["status"]
        return None if status == "RUNNING" else str(status)

    return wait_until(look, 60, f"the end of {run_id}")


def test_people_decide_what_serves(flats: Flats, deployment: Deployment) -> None:
    flats.waiting(1)
    shown = flats.shown()
    assert [approval["version"] for approval in shown["approvals"]] == [1]
    [one] = shown["versions"]
    run_id = one["run_id"]
    assert (one["stage"], shown["champion"]) == ("staging", None)
    request = (ROOT / "docs" / "examples" / "flats" / "request.json").read_text()
    assert "no champion" in flats.json("predict", MODEL, stdin=request, code=1)["error"]
    early = flats.json("promote", MODEL, "1", "--reason", "now", "--override-gate", code=1)
    assert "version 1 of flat_rent waits for approval" in early["error"]

    # The page decides on two versions at once; the second is yet to be trained.
    approved = flats.json("approve", MODEL, "1", "--reason", "the errors in the north are small")
    assert (approved["status"], approved["execution_told"]) == ("approved", True)
    flats.champion(1)
    assert end_of(deployment, run_id) == "SUCCEEDED"
    again = flats.json("approve", MODEL, "1")
    assert (again["reason"], again["execution_told"]) == ("the errors in the north are small", False)

    second = flats.json("retrain", MODEL)
    assert second["outputs"]["passed"]
    flats.waiting(2)
    _, repeated, rejected = flats.of_page("decide")
    assert (repeated["version"], repeated["status"]) == (1, "approved")
    assert (rejected["version"], rejected["status"], rejected["execution_told"]) == (2, "rejected", True)
    assert end_of(deployment, second["run_id"]) == "SUCCEEDED"
    shown = flats.shown()
    assert (shown["champion"]["version"], shown["approvals"]) == (1, [])
    assert shown["versions"][0]["stage"] == "refused"
    assert "rents of 2020 are not in the data" in shown["versions"][0]["reason"]
    assert "which stands" in flats.json("promote", MODEL, "2", "--reason", "now", "--override-gate", code=1)["error"]


def test_a_version_whose_execution_is_gone_is_promoted_by_hand_and_rolled_back(
    flats: Flats, deployment: Deployment
) -> None:
    third = flats.json("retrain", MODEL)
    flats.waiting(3)
    machines = deployment.client("stepfunctions")
    machines.stop_execution(executionArn=execution(deployment, third["run_id"]))
    assert flats.json("approve", MODEL, "3")["execution_told"] is False
    promoted, back = flats.of_page("promote")
    outputs = {"model": MODEL, "version": 3, "previous": 1, "serves": True}
    assert (promoted["status"], promoted["outputs"]) == ("succeeded", outputs)
    assert (back["version"], back["previous"]) == (1, 3)
    told = [(entry["action"], entry["version"]) for entry in flats.shown()["audit"][:3]]
    assert told == [("rollback", 1), ("promote", 3), ("approve", 3)]


def test_versions_bear_names_and_labels(flats: Flats) -> None:
    flats.champion(1)  # since the rollback
    alias, answers, tags, _, gone = flats.of_page("label")
    assert (alias["name"], alias["version"]) == ("shadow", 1)
    assert {answer["version"] for answer in answers} == {1}
    assert tags == {"owner": "ada", "season": "spring"}
    assert gone["deleted"]
    shown = flats.shown()
    assert shown["aliases"] == {}
    assert [note["text"] for note in shown["notes"]] == ["made with the contracts of four months"]
    request = (ROOT / "docs" / "examples" / "flats" / "request.json").read_text()
    assert "404" in flats.json("predict", MODEL, "--version", "dusk", stdin=request, code=1)["error"]


def test_the_token_is_in_no_log_and_in_nothing_that_is_shown(flats: Flats, deployment: Deployment) -> None:
    tokens = [deployment.ports.catalog.approval_token(MODEL, version) for version in (1, 2, 3)]
    shown = json.dumps([flats.shown(), flats.json("logs", "--minutes", "60"), flats.json("runs", "--limit", "50")])
    assert "ask_approval" in shown
    assert [token for token in tokens if token in shown] == []
