"""What the online store does when DynamoDB answers only in part."""

from __future__ import annotations

from typing import Any

import pytest

from perennial.aws import errors
from perennial.aws.online import DynamoOnlineStore
from perennial.errors import TransientError


class HesitantDynamo:
    """Answers at most ``pace`` keys of a batch and leaves the rest unprocessed."""

    def __init__(self, pace: int) -> None:
        self.pace = pace
        self.asked: list[int] = []

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 - as boto3 has it
        ((table, request),) = RequestItems.items()
        now, later = request["Keys"][: self.pace], request["Keys"][self.pace :]
        self.asked.append(len(request["Keys"]))
        found = [
            {"pk": key["pk"], "feature_time": {"S": "2019-03-01T00:00:00.000000Z"}, "v.mean": {"S": "1.5"}}
            for key in now
        ]
        unprocessed = {table: {**request, "Keys": later}} if later else {}
        return {"Responses": {table: found}, "UnprocessedKeys": unprocessed}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors.time, "sleep", lambda _: None)


def read(dynamo: HesitantDynamo, entities: int) -> dict[tuple[Any, ...], Any]:
    store = DynamoOnlineStore(dynamo, "online")  # type: ignore[arg-type]
    return dict(store.read("zone_stats", "f" * 64, [(zone,) for zone in range(entities)], ["mean"]))


def test_keys_left_unprocessed_are_asked_for_again() -> None:
    dynamo = HesitantDynamo(pace=4)
    assert len(read(dynamo, 10)) == 10
    assert dynamo.asked == [10, 6, 2]


def test_keys_never_processed_are_an_error_and_not_missing() -> None:
    with pytest.raises(TransientError):
        read(HesitantDynamo(pace=0), 3)


def test_each_hundred_entities_are_one_round_trip() -> None:
    dynamo = HesitantDynamo(pace=100)
    assert len(read(dynamo, 250)) == 250
    assert dynamo.asked == [100, 100, 50]
