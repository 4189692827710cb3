"""A deployment's definitions are those that were deployed, unless a folder is named."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from perennial.client.deployment import Deployment
from perennial.definitions.files import PACKAGE
from perennial.errors import DefinitionError, NotFoundError, TransientError

HOUSES = 'event_time = "sold_at"\n[columns]\nsold_at = { type = "timestamp" }\narea = { type = "double" }\n'
OUTPUTS = {
    "RawBucket": "raw",
    "ArtifactsBucket": "artifacts",
    "CatalogTable": "catalog",
    "OnlineTable": "online",
    "CodeVersion": "abc",
    "Definitions": "s3://assets/0123.zip",
}


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a client of S3 with the assets' bucket."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="assets")
        yield client


def zipped(*names: str) -> bytes:
    """Return a zip in which each name holds the definition of a dataset."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, HOUSES)
    return content.getvalue()


def deployed(definitions: Path | None = None, **outputs: str) -> Deployment:
    return Deployment("perennial-dev", OUTPUTS | outputs, None, definitions)


def test_the_definitions_are_those_that_were_deployed(s3: Any) -> None:
    s3.put_object(Bucket="assets", Key="0123.zip", Body=zipped(f"python/{PACKAGE}/datasets/houses.toml"))
    definitions = deployed().ports.definitions
    assert list(definitions.datasets["houses"].columns) == ["sold_at", "area"]
    s3.delete_object(Bucket="assets", Key="0123.zip")
    assert definitions.views == {}  # read once


def test_a_folder_that_is_named_is_read_in_place_of_them(s3: Any, tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "flats.toml").write_text(HOUSES)
    assert set(deployed(tmp_path).ports.definitions.datasets) == {"flats"}


def test_what_needs_no_definitions_reads_none(s3: Any) -> None:
    assert deployed(Definitions="s3://nobody/0.zip").ports.deployment == "perennial-dev"


def test_who_may_not_read_them_is_told_what_to_allow(s3: Any) -> None:
    with pytest.raises(TransientError, match=r"in s3://assets/0123.zip cannot be read: .*; allow s3:GetObject there"):
        deployed().ports.definitions.dataset("houses")


def test_a_stack_that_does_not_name_them_is_to_be_deployed_anew() -> None:
    older = {key: value for key, value in OUTPUTS.items() if key != "Definitions"}
    with pytest.raises(NotFoundError, match="perennial-dev does not say which definitions it runs; deploy it anew"):
        Deployment("perennial-dev", older, None).ports.definitions.dataset("houses")


def test_a_zip_writes_nothing_outside_its_folder(s3: Any, tmp_path: Path) -> None:
    outside = tmp_path / "outside.toml"
    s3.put_object(Bucket="assets", Key="0123.zip", Body=zipped(f"{'../' * 20}{outside.relative_to('/')}", str(outside)))
    with pytest.raises(DefinitionError, match="no such folder"):
        deployed().ports.definitions.dataset("houses")
    assert not outside.exists()
