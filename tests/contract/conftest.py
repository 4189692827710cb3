"""Each port twice: the fake, and the AWS adapter on moto; what the lean client reads, a third time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import boto3
import pytest
from moto import mock_aws

from perennial.aws.catalog import DynamoCatalog
from perennial.aws.lean.stores import LeanObjects, LeanOnlineStore
from perennial.aws.objects import S3ObjectStore
from perennial.aws.online import DynamoOnlineStore
from perennial.fakes import FakeCatalog, FakeObjectStore, FakeOnlineStore
from perennial.ports import Catalog, Lookup, ObjectStore, OnlineRow, OnlineStore
from tests.support.aws_server import lean_dynamo, lean_objects, serving
from tests.support.tables import CATALOG, ONLINE, RAW, create_buckets, create_tables

IMPLEMENTATIONS = ("fake", "aws")
READERS = (*IMPLEMENTATIONS, "lean")


class LeanObjectStore(S3ObjectStore):
    """The AWS adapter, whose objects are got by the lean client."""

    lean: LeanObjects

    def get(self, key: str) -> bytes:
        return self.lean.get(key)


class LeanReadsOnlineStore(DynamoOnlineStore):
    """The AWS adapter, whose rows are read by the lean client."""

    lean: LeanOnlineStore

    def read_many(self, lookups: Sequence[Lookup]) -> list[dict[tuple[Any, ...], OnlineRow]]:
        return self.lean.read_many(lookups)


@pytest.fixture
def aws() -> Iterator[None]:
    """Simulate AWS within this process, with the deployment's buckets and tables."""
    with mock_aws():
        create_tables(boto3.client("dynamodb"))
        create_buckets(boto3.client("s3"))
        yield


@pytest.fixture
def server(aws: None) -> Iterator[str]:
    """Return the URL of the simulated AWS."""
    with serving() as url:
        yield url


@pytest.fixture(params=IMPLEMENTATIONS)
def catalog(request: pytest.FixtureRequest) -> Catalog:
    """Return an empty catalog."""
    if request.param == "fake":
        return FakeCatalog()
    request.getfixturevalue("aws")
    return DynamoCatalog(boto3.client("dynamodb"), CATALOG)


@pytest.fixture(params=READERS)
def object_store(request: pytest.FixtureRequest) -> ObjectStore:
    """Return an empty bucket that keeps versions."""
    if request.param == "fake":
        return FakeObjectStore(RAW)
    request.getfixturevalue("aws")
    if request.param == "lean":
        store = LeanObjectStore(boto3.client("s3"), RAW)
        store.lean = lean_objects(request.getfixturevalue("server"), RAW)
        return store
    return S3ObjectStore(boto3.client("s3"), RAW)


@pytest.fixture(params=READERS)
def online_store(request: pytest.FixtureRequest) -> OnlineStore:
    """Return an empty online feature store."""
    if request.param == "fake":
        return FakeOnlineStore()
    request.getfixturevalue("aws")
    if request.param == "lean":
        store = LeanReadsOnlineStore(boto3.client("dynamodb"), ONLINE)
        store.lean = LeanOnlineStore(lean_dynamo(request.getfixturevalue("server")), ONLINE)
        return store
    return DynamoOnlineStore(boto3.client("dynamodb"), ONLINE)
