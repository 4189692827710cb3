"""What reading the online store is made of, whichever client carries the calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from perennial import keys
from perennial.aws.retrying import attempts
from perennial.online_rows import Lookup, OnlineRow

BATCH = 100
"""Items that one BatchGetItem may ask for."""
READERS = 8
"""Batches that are read at a time."""
WITHDRAWN = "withdrawn"
"""What stands in the place of the feature time of a row that was withdrawn: it sorts after every time."""
_LONGEST_EXPRESSION = 4096
"""DynamoDB's limit, in bytes."""

Item = Mapping[str, Any]
BatchGetItem = Callable[[Mapping[str, Any], str], Mapping[str, Any]]
"""``RequestItems`` and what is read (for messages) → DynamoDB's answer; raises perennial's errors."""


def read_many(lookups: Sequence[Lookup], table: str, batch_get: BatchGetItem) -> list[dict[tuple[Any, ...], OnlineRow]]:
    """Return, for each lookup, the rows of those entities that exist, with the named columns only."""
    wanted = [[keys.online(each.view, each.version, entity) for entity in each.entities] for each in lookups]
    columns: dict[str, dict[str, None]] = {}
    for lookup, places in zip(lookups, wanted, strict=True):
        for place in places:
            columns.setdefault(place, {}).update(dict.fromkeys(lookup.columns))
    found: dict[str, Item] = {}
    batches = list(batched(iter(columns), BATCH))
    requests = [(batch, list(dict.fromkeys(name for key in batch for name in columns[key]))) for batch in batches]
    if len(requests) > 1:
        from concurrent.futures import ThreadPoolExecutor  # late: a request of one row has one batch

        with ThreadPoolExecutor(min(len(requests), READERS)) as threads:
            for answer in threads.map(lambda request: list(_get(table, batch_get, *request)), requests):
                found.update(answer)
    else:
        for request in requests:
            found.update(_get(table, batch_get, *request))
    return [_rows(lookup, places, found) for lookup, places in zip(lookups, wanted, strict=True)]


def is_withdrawn(item: Item) -> bool:
    """Tell whether an item only holds the place of a row that was taken away."""
    return bool(item["feature_time"]["S"] == WITHDRAWN)


def batched(entries: Iterator[Any], size: int) -> Iterator[list[Any]]:
    """Yield the entries in lists of ``size``, the last one shorter."""
    while batch := list(islice(entries, size)):
        yield batch


def _get(
    table: str, batch_get: BatchGetItem, batch: Sequence[str], columns: Sequence[str]
) -> Iterator[tuple[str, Item]]:
    names = {f"#{number:x}": f"v.{column}" for number, column in enumerate(columns)}
    projection = ", ".join(["pk", "feature_time", "previous_time", "previous", *names])
    asked: dict[str, Any] = {"Keys": [{"pk": {"S": key}} for key in batch]}
    if len(projection) <= _LONGEST_EXPRESSION:  # beyond some 700 columns, whole items are read
        asked["ProjectionExpression"] = projection
        asked |= {"ExpressionAttributeNames": names} if names else {}
    unprocessed: Mapping[str, Any] = {table: asked}
    what = f"{table} {batch[0]}"
    tries = attempts(what, most=10)
    # What DynamoDB leaves unprocessed (it is busy, or 16 MB are full) is not missing: it is asked for again until
    # it has been answered, in ten attempts from the last that brought something.
    while unprocessed:
        next(tries)
        answer = batch_get(unprocessed, what)
        items = answer["Responses"].get(table, [])
        yield from ((str(item["pk"]["S"]), item) for item in items)
        unprocessed = answer.get("UnprocessedKeys") or {}
        tries = attempts(what, most=10) if items else tries


def _rows(lookup: Lookup, places: Sequence[str], found: Mapping[str, Item]) -> dict[tuple[Any, ...], OnlineRow]:
    since = None if lookup.since is None else keys.moment(lookup.since)
    attributes = [(column, f"v.{column}") for column in lookup.columns]
    rows: dict[tuple[Any, ...], OnlineRow] = {}
    for entity, place in zip(lookup.entities, places, strict=True):
        item = found.get(place)
        if item is None or is_withdrawn(item) or entity in rows:
            continue
        previous = None
        if "previous_time" in item and (since is None or item["feature_time"]["S"] > since):
            before = json.loads(item["previous"]["S"])
            chosen = {column: before[column] for column in lookup.columns if column in before}
            previous = OnlineRow(entity, _moment(item, "previous_time"), chosen)
        texts = {column: item[attribute]["S"] for column, attribute in attributes if attribute in item}
        # One list of texts is read several times as fast as each text for itself.
        values = dict(zip(texts, json.loads(f"[{','.join(texts.values())}]"), strict=True))
        rows[entity] = OnlineRow(entity, _moment(item, "feature_time"), values, previous=previous)
    return rows


def _moment(item: Item, attribute: str) -> datetime:
    return datetime.fromisoformat(item[attribute]["S"])
