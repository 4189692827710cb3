"""Objects on the local cloud: what an upload was when it was announced is what is read, however large."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import Endpoint
from perennial.aws.objects import S3ObjectStore
from perennial.errors import NotFoundError
from tests.support.tables import RAW, create_buckets

pytestmark = pytest.mark.e2e

LARGE = bytes(range(256)) * 80_000  # 20 MB: boto3 sends it in parts and fetches it in ranges


@pytest.fixture(scope="module", autouse=True)
def _buckets(cloud: Endpoint) -> None:
    """Create the deployment's buckets."""
    create_buckets(cloud.client("s3"))


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_an_older_version_arrives_whole_after_it_was_replaced(cloud: Endpoint, tmp_path: Path, content: bytes) -> None:
    client = cloud.client("s3")
    store = S3ObjectStore(client, RAW)
    (tmp_path / "from").write_bytes(content)
    store.upload(tmp_path / "from", "trips/june.csv")
    version = client.head_object(Bucket=RAW, Key="trips/june.csv")["VersionId"]
    store.put("trips/june.csv", b"replaced")
    assert store.written_at("trips/june.csv", version) <= store.written_at("trips/june.csv")
    store.download("trips/june.csv", tmp_path / "to", version)
    assert (tmp_path / "to").read_bytes() == content, "differs"
    with pytest.raises(NotFoundError):
        store.download("trips/june.csv", tmp_path / "to", "nonsense")


def test_a_range_beyond_the_end_is_refused(cloud: Endpoint) -> None:
    client = cloud.client("s3")
    version = client.put_object(Bucket=RAW, Key="short", Body=b"0123")["VersionId"]
    arguments: dict[str, Any] = {"Bucket": RAW, "Key": "short", "VersionId": version}
    assert client.get_object(**arguments, Range="bytes=1-2")["Body"].read() == b"12"
    with pytest.raises(ClientError, match=r"InvalidRange|416"):
        client.get_object(**arguments, Range="bytes=9-12")


def test_the_emulator_alone_answers_a_versions_range_with_the_whole() -> None:  # infra/local/ranges.py
    from ministack.services import s3

    s3.reset()
    s3._create_bucket("bucket", b"", {})
    s3._bucket_versioning["bucket"] = "Enabled"
    s3._put_object("bucket", "key", b"0123456789", {})
    ((version,),) = s3._object_versions.values()
    status, _, body = s3._get_object("bucket", "key", {"range": "bytes=0-3"}, {"versionId": version["version_id"]})
    s3.reset()
    assert (status, len(body)) == (200, 10)
