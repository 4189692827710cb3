"""The online feature store on DynamoDB."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from perennial import keys
from perennial.aws.errors import refused, translated
from perennial.aws.online_reads import WITHDRAWN, batched, is_withdrawn, read_many
from perennial.errors import DataError
from perennial.ports import Lookup, OnlineRow
from perennial.utc import aware_utc

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient

WRITERS = 16
"""Threads that write at a time; the client's pool should hold as many connections."""
WITHDRAWN_SECONDS = 7 * 24 * 3600
"""How long a withdrawn row's place is kept, in seconds: longer than any run that may still write to it."""
_LATER = "attribute_not_exists(pk) OR revision < :revision OR (revision = :revision AND feature_time < :feature_time)"


class DynamoOnlineStore:
    """The latest values of stored views, one item per view version and entity.

    A value is kept as JSON text in an attribute of its own (``v.<column>``), not as a DynamoDB number: those have
    38 decimal digits between 1E-130 and 9.99E+125 and neither NaN nor infinity, whereas the shortest decimal
    text of a float64 gives every bit back. An attribute per column is what lets a read ask for some of them. The row
    before it lies in the same item (``previous_time``), so both are read, and replaced, at once. It seldom counts: all
    its values are one text (``previous``), which costs a read next to nothing until it is needed.

    An item that is taken away is not deleted, as it would take its revision with it, and a writer of an older revision
    who comes late would bring its row back. An item without values, ranking above all rows of its revision, stands
    in its place until it expires.

    Parameters
    ----------
    client : DynamoDBClient
        The DynamoDB client.
    table : str
        Name of the table: string key ``pk``, time to live ``expires_at``.
    now : callable
        Returns the time in seconds since 1970.
    """

    def __init__(self, client: DynamoDBClient, table: str, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._table = table
        self._now = now
        # botocore walks through an answer value by value, in Python: half of a client's CPU time (bench/online.py).
        client.meta.events.register("before-parse.dynamodb.BatchGetItem", _take_as_it_is, unique_id="perennial-online")

    def write(self, view: str, version: str, rows: Iterable[OnlineRow], revision: int) -> int:
        """Write each row that is later, by ``(revision, feature_time)``, than what is there; return how many.

        Raises
        ------
        DataError
            A value is not a number, text, boolean or None.
        """
        items = (_item(view, version, row, revision) for row in rows)
        return sum(before is not None for before in self._replace_all(items))

    def withdraw(self, view: str, version: str, entities: Iterable[tuple[Any, ...]], revision: int) -> int:
        """Take away the rows of entities that a revision no longer has; return how many were there."""
        expires = {"expires_at": {"N": str(int(self._now()) + WITHDRAWN_SECONDS)}}
        items = ({**_place(view, version, entity, revision, WITHDRAWN), **expires} for entity in entities)
        return sum(1 for before in self._replace_all(items) if before and not is_withdrawn(before))

    def read_many(self, lookups: Sequence[Lookup]) -> list[dict[tuple[Any, ...], OnlineRow]]:
        """Return, for each lookup, the rows of those entities that exist, with the named columns only."""
        return read_many(lookups, self._table, self._answer)

    def _answer(self, request: Mapping[str, Any], what: str) -> Mapping[str, Any]:
        with translated(what):
            return self._client.batch_get_item(RequestItems=dict(request))

    def _replace_all(self, items: Iterable[dict[str, Any]]) -> Iterator[Mapping[str, Any] | None]:
        """Put items where they rank higher; yield for each what stood there, None if it was refused."""
        with ThreadPoolExecutor(WRITERS) as threads:
            for batch in batched(iter(items), WRITERS * 16):
                yield from threads.map(self._replace, batch)

    def _replace(self, item: dict[str, Any]) -> Mapping[str, Any] | None:
        with translated(f"{self._table} {item['pk']['S']}"):
            try:
                answer = self._client.put_item(
                    TableName=self._table,
                    Item=item,
                    ConditionExpression=_LATER,
                    ExpressionAttributeValues={
                        ":feature_time": item["feature_time"],
                        ":revision": item["revision"],
                    },
                    ReturnValues="ALL_OLD" if item["feature_time"]["S"] == WITHDRAWN else "NONE",
                )
            except ClientError as error:
                if refused(error):
                    return None
                raise
        return answer.get("Attributes", {})


def _take_as_it_is(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Put DynamoDB's JSON in the place of what botocore would make of it: the same but for binary values and sets."""
    if response_dict["status_code"] != 200:
        return
    try:
        content = json.loads(response_dict["body"])
    except ValueError:
        return  # a broken answer is botocore's to find and to ask for again
    customized_response_dict.update(content)
    response_dict["body"] = b"{}"


def _place(view: str, version: str, entity: tuple[Any, ...], revision: int, feature_time: str) -> dict[str, Any]:
    return {
        "pk": {"S": keys.online(view, version, entity)},
        "feature_time": {"S": feature_time},
        "revision": {"N": str(revision)},
    }


def _item(view: str, version: str, row: OnlineRow, revision: int) -> dict[str, Any]:
    item = _place(view, version, row.entity, revision, keys.moment(row.feature_time))
    if row.expires_at is not None:
        item["expires_at"] = {"N": str(math.ceil(aware_utc(row.expires_at).timestamp()))}
    item |= {f"v.{column}": {"S": json.dumps(value)} for column, value in _plain(view, row).items()}
    if row.previous is not None:
        item["previous_time"] = {"S": keys.moment(row.previous.feature_time)}
        item["previous"] = {"S": json.dumps(_plain(view, row.previous))}
    return item


def _plain(view: str, row: OnlineRow) -> dict[str, Any]:
    for column, value in row.values.items():
        if not isinstance(value, float | int | str | None):
            raise DataError(
                f"view {view}: column {column} of entity {row.entity} holds a {type(value).__name__}; "
                "cast it to a number, text or boolean in the SELECT"
            )
    return dict(row.values)
