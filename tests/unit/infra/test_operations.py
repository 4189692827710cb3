"""What the CLI does with a deployment."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from infra.operations import roll_back, start_training
from perennial.errors import ConflictError
from perennial.fakes import FakeCatalog
from perennial.records import Trigger
from tests.support.records import AT, a_version


def with_versions(*promoted: int) -> FakeCatalog:
    catalog = FakeCatalog()
    for number in (1, 2, 3):
        catalog.publish_version(a_version(number))
    champion = None
    for version in promoted:
        champion = catalog.promote("fare", version, champion.version if champion else None, AT, "run", "better")
    return catalog


def test_rolling_back_twice_goes_there_and_back() -> None:
    catalog = with_versions(1, 2)

    for before, after in ((2, 1), (1, 2)):
        found, champion = roll_back(catalog, "fare", None, "me", "")
        assert (found, champion.version, champion.previous) == (before, after, before)
    assert [(entry.action, entry.reason) for entry in catalog.audit("fare")[:2]] == [("rollback", "rollback")] * 2


@pytest.mark.parametrize(
    ("promoted", "to", "sentence"),
    [((1,), None, "served no version before 1"), ((1, 2), 2, "serves already"), ((1, 2), 3, "has never served")],
)
def test_a_roll_back_that_leads_nowhere_is_refused(promoted: tuple[int, ...], to: int | None, sentence: str) -> None:
    catalog = with_versions(*promoted)

    with pytest.raises(ConflictError, match=sentence):
        roll_back(catalog, "fare", to, "me", "")
    champion = catalog.champion("fare")
    assert champion is not None
    assert champion.version == promoted[-1]


@pytest.mark.parametrize("no_cache", [False, True])
def test_a_person_s_training_says_whether_all_work_is_to_be_done_anew(no_cache: bool) -> None:
    started: list[dict[str, str]] = []

    class Deployment:
        person = "arn:aws:iam::000000000000:user/ada"
        outputs: ClassVar = {"TrainMachineArn": "arn:train"}

        def client(self, _: str) -> Any:
            return SimpleNamespace(start_execution=lambda **asked: started.append(asked))

    run = start_training(cast(Any, Deployment()), "fare", "why not", None, lambda *_: None, no_cache=no_cache)

    [asked] = started
    content = json.loads(asked["input"])
    assert (asked["stateMachineArn"], asked["name"]) == ("arn:train", cast(dict[str, str], run)["run_id"])
    assert content["model"] == "fare"
    assert Trigger.model_validate(content["trigger"]).no_cache is no_cache
