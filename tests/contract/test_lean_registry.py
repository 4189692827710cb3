"""What ``predict`` reads of the registry is what the catalog wrote, whether read as records or as plain values."""

from __future__ import annotations

import boto3
import pytest

from perennial.aws.catalog import DynamoCatalog
from perennial.aws.lean.stores import LeanRegistry
from perennial.errors import NotFoundError
from tests.support.aws_server import lean_dynamo
from tests.support.records import AT, a_version
from tests.support.tables import CATALOG


@pytest.fixture
def catalog(aws: None) -> DynamoCatalog:
    """Return a catalog with two versions, of which the second serves."""
    catalog = DynamoCatalog(boto3.client("dynamodb"), CATALOG)
    for number in (1, 2):
        catalog.publish_version(a_version(number, manifest_sha256=str(number) * 64))
        catalog.promote("fare", number, number - 1 or None, AT, "ada", "for a test")
    catalog.set_alias("fare", "old", 1, AT, "ada")
    return catalog


def test_pointer_versions_and_aliases_are_those_of_the_catalog(catalog: DynamoCatalog, server: str) -> None:
    lean = LeanRegistry(lean_dynamo(server), CATALOG)
    record, pointer = catalog.champion("fare"), lean.champion("fare")
    assert record is not None
    assert pointer is not None
    for name in ("version", "previous", "manifest_key", "manifest_sha256", "challenger"):
        assert getattr(pointer, name) == getattr(record, name)
    for number in (1, 2):
        for name in ("version", "manifest_key", "manifest_sha256"):
            assert getattr(lean.version("fare", number), name) == getattr(catalog.version("fare", number), name)
    assert lean.alias("fare", "old").version == 1


def test_what_is_not_there_is_not_found(catalog: DynamoCatalog, server: str) -> None:
    lean = LeanRegistry(lean_dynamo(server), CATALOG)
    assert lean.champion("nobody") is None
    with pytest.raises(NotFoundError, match="no version 3"):
        lean.version("fare", 3)
    with pytest.raises(NotFoundError, match="no alias 'new'"):
        lean.alias("fare", "new")
