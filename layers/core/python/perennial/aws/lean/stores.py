"""Objects of one bucket, the registry's pointers and online rows, by the calls that ``predict`` makes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from perennial import keys
from perennial.aws import online_reads
from perennial.aws.lean.service import Service
from perennial.errors import DataError, NotFoundError, TransientError
from perennial.online_rows import Lookup, OnlineRow
from perennial.serving.served import Named, Pointer, Registered, read_alias, read_pointer, read_registered


class LeanObjects:
    """The objects of one bucket.

    Parameters
    ----------
    service : Service
        S3, at the host of the bucket.
    bucket : str
        The bucket's name.
    path : str
        What stands before every key in the path (see ``endpoints.bucket_place``).
    """

    def __init__(self, service: Service, bucket: str, path: str) -> None:
        self.bucket = bucket
        self._service = service
        self._path = path

    def get(self, key: str) -> bytes:
        """Return an object's bytes, or raise NotFoundError."""
        path = f"{self._path}/{quote(key, safe='/~')}"
        return self._service.call(f"s3://{self.bucket}/{key}", "GET", path, {}).body


class Dynamo:
    """The two reads of DynamoDB.

    Parameters
    ----------
    service : Service
        DynamoDB.
    path : str
        Where its endpoint takes calls.
    """

    def __init__(self, service: Service, path: str = "/") -> None:
        self._service = service
        self._path = path

    def get_item(self, table: str, key: tuple[str, str]) -> Mapping[str, Any] | None:
        """Return an item by its ``pk`` and ``sk``, read consistently, or None."""
        asked = {"TableName": table, "Key": {"pk": {"S": key[0]}, "sk": {"S": key[1]}}, "ConsistentRead": True}
        answer = self._call("GetItem", f"{table} {key[0]} {key[1]}", asked)
        found: Mapping[str, Any] | None = answer.get("Item")
        return found

    def batch_get_item(self, request: Mapping[str, Any], what: str) -> Mapping[str, Any]:
        """Return DynamoDB's answer to a BatchGetItem of ``RequestItems``."""
        return self._call("BatchGetItem", what, {"RequestItems": request})

    def _call(self, operation: str, what: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"DynamoDB_20120810.{operation}"}
        answer = self._service.call(what, "POST", self._path, headers, json.dumps(asked).encode())
        try:
            content: Mapping[str, Any] = json.loads(answer.body)
        except ValueError:
            raise TransientError(f"{what}: the service's answer is not JSON; the same call may succeed later") from None
        return content


class LeanRegistry:
    """Which versions there are and which one serves: what ``predict`` reads of the catalog."""

    def __init__(self, dynamo: Dynamo, table: str) -> None:
        self._dynamo = dynamo
        self._table = table

    def champion(self, model: str) -> Pointer | None:
        """Return the pointer to the version that serves, or None."""
        body = self._body(keys.champion(model))
        return None if body is None else read_pointer(body)

    def version(self, model: str, version: int) -> Registered:
        """Return where a version's manifest is, or raise NotFoundError."""
        body = self._body(keys.model_version(model, version))
        if body is None:
            raise NotFoundError(f"model {model!r} has no version {version}")
        return read_registered(body)

    def alias(self, model: str, name: str) -> Named:
        """Return what a name stands for, or raise NotFoundError."""
        body = self._body(keys.alias(model, name))
        if body is None:
            raise NotFoundError(f"model {model!r} has no version and no alias {name!r}")
        return read_alias(body)

    def _body(self, key: tuple[str, str]) -> str | None:
        item = self._dynamo.get_item(self._table, key)
        if item is None:
            return None
        try:
            return str(item["body"]["S"])
        except (KeyError, TypeError):
            raise DataError(f"{self._table} {key[0]} {key[1]}: holds no record; restore it from a backup") from None


class LeanOnlineStore:
    """The reading half of the online store."""

    def __init__(self, dynamo: Dynamo, table: str) -> None:
        self._dynamo = dynamo
        self._table = table

    def read_many(self, lookups: Sequence[Lookup]) -> list[dict[tuple[Any, ...], OnlineRow]]:
        """Return, for each lookup, the rows of those entities that exist, with the named columns only."""
        return online_reads.read_many(lookups, self._table, self._dynamo.batch_get_item)
