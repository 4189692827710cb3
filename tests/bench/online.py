"""Online reads against what users know: ``python tests/bench/online.py [ENTITIESxFEATURES …]`` prints p50, p99, ratios.

The same values are read from DynamoDB (of the local cloud, in a process of its own) by ``OnlineStore.read_many`` and by
the loop that boto3's documentation shows: ``batch_get_item`` over 100 keys at a time with a projection, unprocessed
keys asked for again, ``TypeDeserializer`` for the values. CPU is that of this process: the client's share, whatever the
service takes.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config

from infra.local.cloud import LocalCloud
from perennial.aws.online import DynamoOnlineStore
from perennial.ports import Lookup, OnlineRow
from tests.support.tables import CATALOG, ONLINE, create_tables

REPEATS = 30
VIEW, VERSION = "bench", "f" * 64
AT = datetime(2019, 3, 1, tzinfo=UTC)
"""When the latest values were known, and when they are asked for."""


def value_of(entity: int, feature: int) -> float:
    """Return a made-up value with all of a double's digits."""
    return (entity + 1) / (feature + 3)


def fill(client: Any, store: DynamoOnlineStore, entities: int, features: int) -> None:
    """Write the same values for both contenders; ours has others before them, as it always has."""
    values = ({f"f{number}": value_of(entity, number) for number in range(features)} for entity in range(entities))
    before = (
        OnlineRow((entity,), AT - timedelta(days=1), {f"f{n}": n / 7 for n in range(features)})
        for entity in range(entities)
    )
    rows = (OnlineRow(row.entity, AT, each, previous=row) for each, row in zip(values, before, strict=True))
    store.write(VIEW, VERSION, rows, 1)
    serialize = TypeSerializer().serialize
    for entity in range(entities):
        numbers = {f"f{number}": serialize(Decimal(repr(value_of(entity, number)))) for number in range(features)}
        client.put_item(TableName=ONLINE, Item={"pk": {"S": f"plain#{entity}"}, **numbers})


def ours(store: DynamoOnlineStore, entities: int, features: int) -> Callable[[], list[float]]:
    """Return a call that reads all by the online store."""
    columns = [f"f{number}" for number in range(features)]
    lookups = [Lookup(VIEW, VERSION, [(entity,) for entity in range(entities)], columns, since=AT)]

    def read() -> list[float]:
        (found,) = store.read_many(lookups)
        return [float(found[entity,].values[column] or 0) for entity in range(entities) for column in columns]

    return read


def plain(client: Any, entities: int, features: int) -> Callable[[], list[float]]:
    """Return a call that reads all by boto3 alone."""
    columns = [f"f{number}" for number in range(features)]

    def read() -> list[float]:
        deserialize = TypeDeserializer().deserialize
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, entities, 100):
            keys = [{"pk": {"S": f"plain#{entity}"}} for entity in range(start, min(start + 100, entities))]
            pending = {ONLINE: {"Keys": keys, "ProjectionExpression": ", ".join(["pk", *columns])}}
            while pending:
                answer = client.batch_get_item(RequestItems=pending)
                for item in answer["Responses"][ONLINE]:
                    found[item["pk"]["S"]] = {name: deserialize(value) for name, value in item.items()}
                pending = answer.get("UnprocessedKeys")
        return [float(found[f"plain#{entity}"][column]) for entity in range(entities) for column in columns]

    return read


def measure(read: Callable[[], list[float]], repeats: int) -> tuple[float, float, float, list[float]]:
    """Return p50 and p99 of the wall time, the mean CPU time (all in milliseconds), and what was read."""
    walls, found = [], read()
    cpu = time.process_time()
    for _ in range(repeats):
        start = time.perf_counter()
        found = read()
        walls.append(1000 * (time.perf_counter() - start))
    used = 1000 * (time.process_time() - cpu) / repeats
    return statistics.median(walls), sorted(walls)[max(0, -(-99 * repeats // 100) - 1)], used, found


def main(sizes: list[tuple[int, int]], repeats: int = REPEATS) -> None:
    """Print a line for each size and contender."""
    with tempfile.TemporaryDirectory() as folder:
        cloud = LocalCloud(Path(folder) / "cloud", ends_with_caller=True)
        try:
            # Two clients, for what the store does to its own does not count for the other.
            client, plain_client = (
                cloud.start().client("dynamodb", config=Config(max_pool_connections=32)) for _ in range(2)
            )
            create_tables(client, CATALOG, ONLINE)
            store = DynamoOnlineStore(client, ONLINE)
            fill(plain_client, store, max(size[0] for size in sizes), max(size[1] for size in sizes))
            for entities, features in sizes:
                mine = measure(ours(store, entities, features), repeats)
                theirs = measure(plain(plain_client, entities, features), repeats)
                same = "same values" if mine[3] == theirs[3] else "OTHER VALUES"
                print(f"{entities:,} entities × {features} features, {same}")
                for name, (p50, p99, cpu, _) in (("read_many", mine), ("boto3 loop", theirs)):
                    print(f"  {name:<11} p50 {p50:8.1f} ms   p99 {p99:8.1f} ms   client CPU {cpu:8.1f} ms")
                print(f"  {theirs[0] / mine[0]:.1f}× as fast, with 1/{theirs[2] / mine[2]:.1f} of the client's CPU")
        finally:
            cloud.stop()


if __name__ == "__main__":
    named = [tuple(map(int, size.split("x"))) for size in sys.argv[1:]]
    main([(e, f) for e, f in named] or list(product((1, 10, 100, 1000), (10, 100))), REPEATS)
