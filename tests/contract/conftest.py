"""Each port twice: the fake, and the AWS adapter on moto."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from perennial.aws.catalog import DynamoCatalog
from perennial.aws.objects import S3ObjectStore
from perennial.aws.online import DynamoOnlineStore
from perennial.fakes import FakeCatalog, FakeObjectStore, FakeOnlineStore
from perennial.ports import Catalog, ObjectStore, OnlineStore
from tests.support.tables import CATALOG, ONLINE, RAW, create_buckets, create_tables

IMPLEMENTATIONS = ("fake", "aws")


@pytest.fixture
def aws() -> Iterator[None]:
    """Simulate AWS within this process, with the deployment's buckets and tables."""
    with mock_aws():
        create_tables(boto3.client("dynamodb"))
        create_buckets(boto3.client("s3"))
        yield


@pytest.fixture(params=IMPLEMENTATIONS)
def catalog(request: pytest.FixtureRequest) -> Catalog:
    """Return an empty catalog."""
    if request.param == "fake":
        return FakeCatalog()
    request.getfixturevalue("aws")
    return DynamoCatalog(boto3.client("dynamodb"), CATALOG)


@pytest.fixture(params=IMPLEMENTATIONS)
def object_store(request: pytest.FixtureRequest) -> ObjectStore:
    """Return an empty bucket that keeps versions."""
    if request.param == "fake":
        return FakeObjectStore(RAW)
    request.getfixturevalue("aws")
    return S3ObjectStore(boto3.client("s3"), RAW)


@pytest.fixture(params=IMPLEMENTATIONS)
def online_store(request: pytest.FixtureRequest) -> OnlineStore:
    """Return an empty online feature store."""
    if request.param == "fake":
        return FakeOnlineStore()
    request.getfixturevalue("aws")
    return DynamoOnlineStore(boto3.client("dynamodb"), ONLINE)
