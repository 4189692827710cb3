"""What the CLI does with a deployment."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from infra.operations import predictions_table, start_training
from perennial.client import deployment
from perennial.records import Trigger


@pytest.mark.parametrize(
    ("answer", "columns"),
    [
        ({"value": 12.5}, {"value": "12.500"}),
        ({"value": 0.25, "label": False}, {"label": "false", "probability of true": "0.250"}),
        (
            {"value": 0.75, "label": "price", "probabilities": {"moved": 0.25, "price": 0.75}},
            {"label": "price", "probability": "0.750"},
        ),
    ],
)
def test_predictions_are_shown_with_their_labels(answer: dict[str, Any], columns: dict[str, str]) -> None:
    shown = predictions_table("churn", [{"prediction_id": "1-x-0", "version": 1, **answer}])
    cells = {str(column.header): list(column.cells) for column in shown.columns}
    assert cells == {"prediction": ["1-x-0"], "version": ["1"], **{name: [cell] for name, cell in columns.items()}}


@pytest.mark.parametrize("no_cache", [False, True])
def test_a_person_s_training_says_whether_all_work_is_to_be_done_anew(no_cache: bool) -> None:
    started: list[dict[str, str]] = []

    class Deployment:
        person = "arn:aws:iam::000000000000:user/ada"
        outputs: ClassVar = {"TrainMachineArn": "arn:train"}
        start = deployment.Deployment.start

        def client(self, _: str) -> Any:
            return SimpleNamespace(start_execution=lambda **asked: started.append(asked))

    run = start_training(cast(Any, Deployment()), "fare", "why not", None, lambda *_: None, no_cache=no_cache)

    [asked] = started
    content = json.loads(asked["input"])
    assert (asked["stateMachineArn"], asked["name"]) == ("arn:train", cast(dict[str, str], run)["run_id"])
    assert content["model"] == "fare"
    assert Trigger.model_validate(content["trigger"]).no_cache is no_cache
