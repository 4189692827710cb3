"""What the online store does when DynamoDB answers only in part."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.hooks import HierarchicalEmitter
from moto import mock_aws

from perennial.aws import retrying
from perennial.aws.online import DynamoOnlineStore
from perennial.errors import PerennialError, TransientError
from perennial.ports import Lookup, OnlineRow
from tests.support.tables import ONLINE, create_tables


class HesitantDynamo:
    """Answers at most ``pace`` keys of a batch and leaves the rest unprocessed."""

    def __init__(self, pace: int) -> None:
        self.pace = pace
        self.asked: list[int] = []
        self.projections: list[str] = []
        self.meta = SimpleNamespace(events=HierarchicalEmitter())

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 - as boto3 has it
        ((table, request),) = RequestItems.items()
        now, later = request["Keys"][: self.pace], request["Keys"][self.pace :]
        self.asked.append(len(request["Keys"]))
        self.projections.append(request["ProjectionExpression"])
        found = [
            {"pk": key["pk"], "feature_time": {"S": "2019-03-01T00:00:00.000000Z"}, "v.mean": {"S": "1.5"}}
            for key in now
        ]
        unprocessed = {table: {**request, "Keys": later}} if later else {}
        return {"Responses": {table: found}, "UnprocessedKeys": unprocessed}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying.time, "sleep", lambda _: None)


def read(dynamo: HesitantDynamo, entities: int) -> dict[tuple[Any, ...], Any]:
    store = DynamoOnlineStore(dynamo, "online")  # type: ignore[arg-type]
    (found,) = store.read_many([Lookup("zone_stats", "f" * 64, [(zone,) for zone in range(entities)], ["mean"])])
    return found


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
    assert sorted(dynamo.asked) == [50, 100, 100]


def test_many_short_answers_are_no_failure_as_long_as_each_brings_something() -> None:
    dynamo = HesitantDynamo(pace=1)
    assert len(read(dynamo, 40)) == 40


def test_views_share_a_round_trip_and_no_row_is_asked_for_twice() -> None:
    dynamo = HesitantDynamo(pace=100)
    store = DynamoOnlineStore(dynamo, "online")  # type: ignore[arg-type]
    zones = [(zone,) for zone in range(30)]
    store.read_many([Lookup("zone_stats", "f" * 64, zones, ["mean"]), Lookup("hours", "f" * 64, zones * 2, ["most"])])
    assert dynamo.asked == [60]
    assert dynamo.projections == ["pk, feature_time, previous_time, previous, #0, #1"]


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("dynamodb")
        create_tables(client)
        yield client


def test_an_answer_is_taken_as_dynamodb_writes_it(dynamodb: Any) -> None:
    keys = {ONLINE: {"Keys": [{"pk": {"S": "a"}}]}}
    dynamodb.put_item(TableName=ONLINE, Item={"pk": {"S": "a"}, "n": {"N": "1.50"}, "b": {"BOOL": True}})
    parsed = dynamodb.batch_get_item(RequestItems=keys)
    DynamoOnlineStore(dynamodb, ONLINE)
    taken = dynamodb.batch_get_item(RequestItems=keys)
    assert (taken["Responses"], taken["UnprocessedKeys"]) == (parsed["Responses"], parsed["UnprocessedKeys"])
    assert taken["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_an_error_is_still_an_error(dynamodb: Any) -> None:
    store = DynamoOnlineStore(dynamodb, "nowhere")
    with pytest.raises(PerennialError, match="ResourceNotFound"):
        store.read_many([Lookup("zone_stats", "f" * 64, [(1,)], ["mean"])])


def test_rows_say_when_dynamodb_may_delete_them(dynamodb: Any) -> None:
    store = DynamoOnlineStore(dynamodb, ONLINE, now=lambda: 1_000.5)
    moment = datetime(2019, 3, 1, 0, 0, 0, 1)
    store.write("zone_stats", "f" * 64, [OnlineRow((1,), moment, {"mean": 1.0}, expires_at=moment)], 1)
    store.write("zone_stats", "f" * 64, [OnlineRow((2,), moment, {"mean": 1.0})], 1)
    store.withdraw("zone_stats", "f" * 64, [(3,)], 1)
    expire = {
        item["pk"]["S"][-1]: item.get("expires_at", {}).get("N") for item in dynamodb.scan(TableName=ONLINE)["Items"]
    }
    # 2019-03-01T00:00:00Z is 1,551,398,400 seconds after 1970; a part of a second counts as one.
    assert expire == {"1": "1551398401", "2": None, "3": str(1_000 + 7 * 86_400)}
