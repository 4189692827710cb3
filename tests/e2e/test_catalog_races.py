"""The catalog raced by itself, on the local cloud: moto's transactions are not safe to race."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar
from uuid import uuid4

import pytest
from botocore.config import Config

from infra.local.cloud import Endpoint
from perennial.aws.catalog import DynamoCatalog
from perennial.aws.objects import S3ObjectStore
from perennial.aws.online import DynamoOnlineStore
from perennial.errors import ConflictError
from perennial.ports import Lookup, OnlineRow
from perennial.records import Decision
from tests.support.records import AT, a_run, a_snapshot, a_version, a_view, an_approval
from tests.support.tables import create_tables

pytestmark = pytest.mark.e2e

Result = TypeVar("Result")


@pytest.fixture
def stores(cloud: Endpoint) -> tuple[DynamoCatalog, DynamoOnlineStore]:
    """Return an empty catalog and an empty online store."""
    dynamodb = cloud.client("dynamodb", config=Config(max_pool_connections=32))
    name = uuid4().hex
    create_tables(dynamodb, f"catalog-{name}", f"online-{name}")
    return DynamoCatalog(dynamodb, f"catalog-{name}"), DynamoOnlineStore(dynamodb, f"online-{name}")


@pytest.fixture
def catalog(stores: tuple[DynamoCatalog, DynamoOnlineStore]) -> DynamoCatalog:
    """Return an empty catalog."""
    return stores[0]


def race(threads: int, act: Callable[[int], Result]) -> list[Result]:
    """Call ``act(0)``, ``act(1)``, … from as many threads at one moment; return what each returned."""
    start = threading.Barrier(threads)

    def run(number: int) -> Result:
        start.wait()
        return act(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


def test_twenty_runs_that_ask_at_once_are_given_one_to_twenty(catalog: DynamoCatalog) -> None:
    numbers = race(20, lambda number: catalog.allocate_version("fare", f"run-{number}"))
    assert sorted(numbers) == list(range(1, 21))
    assert race(20, lambda number: catalog.allocate_version("fare", f"run-{number}")) == numbers


def test_one_run_that_asks_ten_times_at_once_is_given_one_number(catalog: DynamoCatalog) -> None:
    assert set(race(10, lambda _: catalog.allocate_version("fare", "run-1"))) == {1}
    assert catalog.allocate_version("fare", "run-2") == 2


def test_of_ten_promotions_from_the_same_champion_one_wins(catalog: DynamoCatalog) -> None:
    for version in range(1, 12):
        catalog.publish_version(a_version(version))
    catalog.promote("fare", 11, None, at=AT, by="run", reason="first")

    def promote(number: int) -> int | None:
        try:
            return catalog.promote("fare", number + 1, 11, at=AT, by=f"run-{number}", reason="better").version
        except ConflictError:
            return None

    winners = [version for version in race(10, promote) if version is not None]
    champion = catalog.champion("fare")
    assert champion is not None
    assert winners == [champion.version]
    assert champion.previous == 11
    assert len(catalog.audit("fare")) == 2
    stages = {version.version: version.stage for version in catalog.versions("fare")}
    assert [version for version, stage in stages.items() if stage == "champion"] == winners
    assert [version for version, stage in stages.items() if stage == "archived"] == [11]


def test_the_same_promotion_from_ten_threads_is_one_movement(catalog: DynamoCatalog) -> None:
    catalog.publish_version(a_version(1))
    pointers = race(10, lambda _: catalog.promote("fare", 1, None, at=AT, by="run", reason="better"))
    assert len(set(pointers)) == 1
    assert len(catalog.audit("fare")) == 1


def test_of_ten_decisions_at_once_one_stands_and_the_others_are_told_whose(catalog: DynamoCatalog) -> None:
    catalog.publish_version(a_version(1))
    catalog.request_approval(an_approval(1), "token")

    def decide(number: int) -> str:
        try:
            decision: Decision = "rejected" if number % 2 else "approved"
            return catalog.decide("fare", 1, decision, AT, f"person-{number}", "").by
        except ConflictError as error:
            return str(error)

    said = race(10, decide)
    approval = catalog.approval("fare", 1)
    assert approval is not None
    assert [answer for answer in said if answer.startswith("person")] == [approval.by]
    assert sum(f"was {approval.status} by {approval.by} at" in answer for answer in said) == 9
    assert catalog.version("fare", 1).stage == ("candidate" if approval.status == "approved" else "refused")
    assert len(catalog.audit("fare")) == 2


def test_changes_of_one_version_at_once_are_all_kept(catalog: DynamoCatalog) -> None:
    catalog.publish_version(a_version(1))

    def change(number: int) -> None:
        if number == 0:
            catalog.promote("fare", 1, None, at=AT, by="run", reason="")
        elif number % 2:
            catalog.tag("fare", 1, {f"tag_{number}": "on"}, AT, "ada")
        else:
            catalog.set_alias("fare", f"alias_{number}", 1, AT, "ada")

    race(10, change)
    version = catalog.version("fare", 1)
    assert (version.stage, sorted(version.tags)) == ("champion", [f"tag_{number}" for number in (1, 3, 5, 7, 9)])
    assert [alias.name for alias in catalog.aliases("fare")] == [f"alias_{number}" for number in (2, 4, 6, 8)]
    assert len(catalog.audit("fare")) == 10


def test_of_ten_new_objects_of_one_key_at_once_one_is_written(cloud: Endpoint) -> None:
    client, bucket = cloud.client("s3", config=Config(max_pool_connections=32)), f"once-{uuid4().hex}"
    client.create_bucket(Bucket=bucket)
    store = S3ObjectStore(client, bucket)
    written = race(10, lambda number: store.put_new("model.onnx", f"{number}".encode()))
    assert sum(written) == 1
    assert store.get("model.onnx") == f"{written.index(True)}".encode()


def test_the_same_snapshot_from_ten_threads_is_one_revision(catalog: DynamoCatalog) -> None:
    outcomes = race(10, lambda number: catalog.publish_snapshot(a_snapshot("s1", run_id=f"run-{number}")))
    assert sorted(published for _, published in outcomes) == [False] * 9 + [True]
    assert len({snapshot.run_id for snapshot, _ in outcomes}) == 1
    assert [snapshot.snapshot_id for snapshot in catalog.snapshots("trips")[0]] == ["s1"]
    assert catalog.snapshots("trips")[1] == 1


def test_ten_snapshots_at_once_are_ten_revisions_and_readers_never_see_half_of_one(catalog: DynamoCatalog) -> None:
    def publish_or_read(number: int) -> tuple[int, int]:
        if number % 2:
            return (0, 0) if catalog.publish_snapshot(a_snapshot(f"s{number}"))[1] else (1, 0)
        snapshots, revision = catalog.snapshots("trips")
        return len(snapshots), revision

    assert all(count == revision for count, revision in race(20, publish_or_read))
    snapshots, revision = catalog.snapshots("trips")
    assert (len(snapshots), revision) == (10, 10)


def test_ten_versions_of_one_source_at_once_leave_one_live(catalog: DynamoCatalog) -> None:
    source = "s3://raw/trips/june.csv"
    race(10, lambda number: catalog.publish_snapshot(a_snapshot(f"s{number}", source=source)))
    snapshots, revision = catalog.snapshots("trips")
    assert (len(snapshots), revision) == (1, 10)


def test_of_ten_tables_of_a_view_at_once_one_is_published(catalog: DynamoCatalog) -> None:
    published = race(10, lambda number: catalog.publish_view(a_view(number + 1), None))
    assert sum(published) == 1
    assert catalog.view("zone_stats", "f" * 64) == a_view(published.index(True) + 1)


def test_of_ten_claims_at_once_one_is_granted_and_all_learn_whose(catalog: DynamoCatalog) -> None:
    until = AT + timedelta(hours=6)
    holders = race(10, lambda number: catalog.claim("train#fare", f"run-{number}", until, AT))
    assert len(set(holders)) == 1


def test_of_ten_claims_on_an_expired_lock_one_is_granted(catalog: DynamoCatalog) -> None:
    catalog.claim("train#fare", "dead", AT, AT - timedelta(hours=6))
    holders = race(10, lambda n: catalog.claim("train#fare", f"run-{n}", AT + timedelta(hours=6), AT))
    assert len(set(holders)) == 1
    assert holders[0] != "dead"


def test_of_ten_ends_of_a_run_at_once_one_is_recorded(catalog: DynamoCatalog) -> None:
    catalog.start_run(a_run())
    ends = race(10, lambda number: catalog.finish_run("run-1", "failed", AT, error=f"reason {number}"))
    assert len({run.error for run in ends}) == 1
    assert catalog.run("run-1") == ends[0]


def test_of_ten_writes_of_an_entity_at_once_the_newest_stands(stores: tuple[DynamoCatalog, DynamoOnlineStore]) -> None:
    online = stores[1]

    def write(number: int) -> int:
        rows = [OnlineRow((zone,), AT + timedelta(hours=number), {"mean": float(number)}) for zone in range(20)]
        return online.write("zone_stats", "f" * 64, rows, revision=1)

    race(10, write)
    (found,) = online.read_many([Lookup("zone_stats", "f" * 64, [(zone,) for zone in range(20)], ["mean"])])
    assert {row.values["mean"] for row in found.values()} == {9.0}
    assert len(found) == 20


@pytest.mark.parametrize("last", [9, 10])
def test_of_writes_and_withdrawals_at_once_the_latest_revision_stands(
    stores: tuple[DynamoCatalog, DynamoOnlineStore], last: int
) -> None:
    online, zones = stores[1], [(zone,) for zone in range(20)]

    def act(number: int) -> int:
        revision = last - number
        if revision % 2:
            return online.withdraw("zone_stats", "f" * 64, zones, revision)
        rows = [OnlineRow(zone, AT + timedelta(hours=number), {"mean": float(revision)}) for zone in zones]
        return online.write("zone_stats", "f" * 64, rows, revision)

    race(8, act)
    (found,) = online.read_many([Lookup("zone_stats", "f" * 64, zones, ["mean"])])
    assert [row.values["mean"] for row in found.values()] == ([] if last % 2 else [10.0] * 20)
