"""One DynamoDB table of records: the few calls that the catalog is made of.

An item is ``pk``, ``sk``, the record as JSON in ``body``, and those attributes that conditions and indexes need.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import BaseModel

from perennial import keys
from perennial.aws.errors import refused, translated
from perennial.errors import DataError
from perennial.ports import RECORD_BYTES

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient

Key = tuple[str, str]
Item = dict[str, Any]


class Table:
    """A table with the string keys ``pk`` and ``sk``.

    Every read of the table itself is consistent: a step must see what the step before it wrote. Reads of an index
    cannot be.
    """

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self.name = name
        self._client = client

    def get(self, key: Key) -> Item | None:
        """Return an item, or None."""
        with translated(self._place(key)):
            answer = self._client.get_item(TableName=self.name, Key=self._key(key), ConsistentRead=True)
        return answer.get("Item")

    def put(self, item: Item, condition: str | None = None, values: Mapping[str, Any] | None = None) -> bool:
        """Write an item, if the condition holds; tell whether."""
        with translated(self._place((item["pk"]["S"], item["sk"]["S"]))):
            try:
                self._client.put_item(TableName=self.name, Item=item, **_conditions(condition, values))
            except ClientError as error:
                if refused(error):
                    return False
                raise
        return True

    def delete(self, key: Key, condition: str, values: Mapping[str, Any]) -> bool:
        """Take an item away, if the condition holds; tell whether."""
        with translated(self._place(key)):
            try:
                self._client.delete_item(TableName=self.name, Key=self._key(key), **_conditions(condition, values))
            except ClientError as error:
                if refused(error):
                    return False
                raise
        return True

    def transact(self, writes: Sequence[Mapping[str, Any]], what: str) -> bool:
        """Do all writes or none; tell which: False when a condition does not hold or another transaction interfered.

        Parameters
        ----------
        writes : sequence of dict
            From :meth:`putting` and :meth:`deleting`.
        what : str
            What the transaction is about: the beginning of a message.
        """
        with translated(what):
            try:
                self._client.transact_write_items(TransactItems=list(writes))  # type: ignore[arg-type]
            except ClientError as error:
                if refused(error):
                    return False
                raise
        return True

    def putting(
        self, item: Item, condition: str | None = None, values: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the part of a transaction that writes an item."""
        return {"Put": {"TableName": self.name, "Item": item, **_conditions(condition, values)}}

    def deleting(self, key: Key) -> dict[str, Any]:
        """Return the part of a transaction that takes an item away."""
        return {"Delete": {"TableName": self.name, "Key": self._key(key)}}

    def query(self, prefix: Key, newest_first: bool = False, limit: int | None = None) -> list[Item]:
        """Return the items of a partition whose sort key begins with a prefix, all pages, in the order of the key."""
        request = {
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :sk)",
            "ExpressionAttributeValues": {":pk": {"S": prefix[0]}, ":sk": {"S": prefix[1]}},
            "ConsistentRead": True,
            "ScanIndexForward": not newest_first,
        }
        return list(self._pages(request, self._place(prefix), limit))

    def query_index(self, index: str, partition: str, equal: Mapping[str, str], limit: int) -> list[Item]:
        """Return the newest items of an index partition whose attributes equal what is asked for.

        An index is written a moment after its table: the newest items may be missing.
        """
        names = {f"#{name}": name for name in equal}
        request: dict[str, Any] = {
            "IndexName": index,
            "KeyConditionExpression": f"{keys.INDEXES[index][0]} = :partition",
            "ExpressionAttributeValues": {
                ":partition": {"S": partition},
                **{f":{name}": {"S": value} for name, value in equal.items()},
            },
            "ScanIndexForward": False,
        }
        if equal:
            request["FilterExpression"] = " AND ".join(f"#{name} = :{name}" for name in equal)
            request["ExpressionAttributeNames"] = names
        else:
            request["Limit"] = limit
        return list(self._pages(request, f"{self.name} {partition}", limit))

    def _pages(self, request: dict[str, Any], what: str, limit: int | None) -> Iterator[Item]:
        found = 0
        while limit is None or found < limit:
            with translated(what):
                page = self._client.query(TableName=self.name, **request)
            for item in page["Items"]:
                yield item
                found += 1
                if found == limit:
                    return
            if "LastEvaluatedKey" not in page:
                return
            request = {**request, "ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _key(self, key: Key) -> dict[str, Any]:
        return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}

    def _place(self, key: Key) -> str:
        return f"{self.name} {key[0]} {key[1]}".rstrip()


def item(key: Key, record: BaseModel | None = None, **attributes: str | int) -> Item:
    """Return an item: its key, a record as its body, and attributes (text as S, whole numbers as N).

    Raises
    ------
    DataError
        The record is larger than what DynamoDB holds in one item.
    """
    content: Item = {"pk": {"S": key[0]}, "sk": {"S": key[1]}}
    if record is not None:
        content["body"] = {"S": record.model_dump_json()}
    for name, value in attributes.items():
        content[name] = {"N": str(value)} if isinstance(value, int) else {"S": value}
    size = sum(len(name.encode()) + len(str(next(iter(value.values()))).encode()) for name, value in content.items())
    if size > RECORD_BYTES:
        raise DataError(
            f"the record {key[0]} {key[1]} takes {size:,} bytes and the catalog holds {RECORD_BYTES:,} in one; "
            "keep data in an object and its key in the record"
        )
    return content


def _conditions(condition: str | None, values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the arguments of a condition; names that begin with ``#`` stand for the attribute of that name."""
    if condition is None:
        return {}
    names = {word: word[1:] for word in condition.replace("(", " ").replace(")", " ").split() if word.startswith("#")}
    arguments: dict[str, Any] = {"ConditionExpression": condition}
    if names:
        arguments["ExpressionAttributeNames"] = names
    if values:
        arguments["ExpressionAttributeValues"] = {
            f":{name}": {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in values.items()
        }
    return arguments
