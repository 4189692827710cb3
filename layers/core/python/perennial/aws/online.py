"""The online feature store on DynamoDB."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from perennial import keys
from perennial.aws.errors import attempts, refused, translated
from perennial.errors import DataError
from perennial.ports import OnlineRow

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient

BATCH = 100
"""Items that one BatchGetItem may ask for."""
WRITERS = 16
"""Threads that write at a time; the client's pool should hold as many connections."""
_LATER = "attribute_not_exists(pk) OR revision < :revision OR (revision = :revision AND feature_time < :feature_time)"


class DynamoOnlineStore:
    """The latest values of stored views, one item per view version and entity.

    A value is kept as JSON text in an attribute of its own (``v.<column>``), not as a DynamoDB number: those have
    38 decimal digits between 1E-130 and 9.99E+125 and neither NaN nor infinity, whereas the shortest decimal
    text of a float64 gives every bit back. An attribute per column is what lets a read ask for some of them.

    Parameters
    ----------
    client : DynamoDBClient
        The DynamoDB client.
    table : str
        Name of the table: string key ``pk``.
    """

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def write(self, view: str, version: str, rows: Iterable[OnlineRow], revision: int) -> int:
        """Write each row that is later, by ``(revision, feature_time)``, than what is there; return how many.

        Raises
        ------
        DataError
            A value is not a number, text, boolean or None.
        """
        items = (_item(view, version, row, revision) for row in rows)
        written = 0
        with ThreadPoolExecutor(WRITERS) as threads:
            for batch in _batches(items, WRITERS * 16):
                written += sum(threads.map(self._write_if_later, batch))
        return written

    def read(
        self, view: str, version: str, entities: Sequence[tuple[Any, ...]], columns: Sequence[str]
    ) -> dict[tuple[Any, ...], OnlineRow]:
        """Return the rows of those entities that exist, with the named columns only; one round trip per 100."""
        wanted = {keys.online(view, version, entity): entity for entity in entities}
        found: dict[str, dict[str, Any]] = {}
        for batch in _batches(iter(wanted), BATCH):
            found.update(self._get(batch, columns))
        rows = ((entity, found.get(keys.online(view, version, entity))) for entity in entities)
        return {entity: _row(entity, item, columns) for entity, item in rows if item is not None}

    def _write_if_later(self, item: dict[str, Any]) -> bool:
        with translated(f"{self._table} {item['pk']['S']}"):
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item=item,
                    ConditionExpression=_LATER,
                    ExpressionAttributeValues={
                        ":feature_time": item["feature_time"],
                        ":revision": item["revision"],
                    },
                )
            except ClientError as error:
                if refused(error):
                    return False
                raise
        return True

    def _get(self, batch: Sequence[str], columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        names = {f"#c{number}": f"v.{column}" for number, column in enumerate(columns)}
        asked: dict[str, Any] = {
            "Keys": [{"pk": {"S": key}} for key in batch],
            "ProjectionExpression": ", ".join(["pk", "feature_time", *names]),
            **({"ExpressionAttributeNames": names} if names else {}),
        }
        unprocessed: Mapping[str, Any] = {self._table: asked}
        # What DynamoDB leaves unprocessed is not missing: it is asked for again until it has been answered.
        for _ in attempts(f"{self._table} {batch[0]}", most=10):
            with translated(f"{self._table} {batch[0]}"):
                answer = self._client.batch_get_item(RequestItems=dict(unprocessed))
            for item in answer["Responses"].get(self._table, []):
                yield str(item["pk"]["S"]), item
            unprocessed = answer.get("UnprocessedKeys") or {}
            if not unprocessed:
                return


def _item(view: str, version: str, row: OnlineRow, revision: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for column, value in row.values.items():
        if not isinstance(value, float | int | str | None):
            raise DataError(
                f"view {view}: column {column} of entity {row.entity} holds a {type(value).__name__}; "
                "cast it to a number, text or boolean in the SELECT"
            )
        values[f"v.{column}"] = {"S": json.dumps(value)}
    return {
        "pk": {"S": keys.online(view, version, row.entity)},
        "feature_time": {"S": keys.moment(row.feature_time)},
        "revision": {"N": str(revision)},
        **values,
    }


def _row(entity: tuple[Any, ...], item: Mapping[str, Any], columns: Sequence[str]) -> OnlineRow:
    values = {column: json.loads(item[f"v.{column}"]["S"]) for column in columns if f"v.{column}" in item}
    return OnlineRow(entity, datetime.fromisoformat(item["feature_time"]["S"]), values)


def _batches(entries: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while batch := list(islice(entries, size)):
        yield batch
