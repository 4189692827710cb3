"""Where services answer, as AWS's SDKs find it out."""

from __future__ import annotations

import boto3
import pytest

from perennial.aws.lean.endpoints import Endpoint, bucket_place, endpoint_of
from perennial.errors import DefinitionError


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1"])
def test_aws_is_where_botocore_says_it_is(region: str) -> None:
    endpoint = endpoint_of("dynamodb", {"AWS_REGION": region})
    assert f"https://{endpoint.authority}" == boto3.client("dynamodb", region_name=region).meta.endpoint_url
    place, path = bucket_place(endpoint_of("s3", {"AWS_REGION": region}), "a-bucket")
    url = boto3.client("s3", region_name=region, endpoint_url=None).generate_presigned_url(
        "get_object", Params={"Bucket": "a-bucket", "Key": "k"}
    )
    suffix = ".amazonaws.com.cn" if region.startswith("cn-") else ".amazonaws.com"
    assert url.startswith(("https://a-bucket.s3.", "https://a-bucket.s3" + suffix))
    assert (place.authority, path) == (f"a-bucket.s3.{region}{suffix}", "")


def test_a_service_has_an_endpoint_of_its_own_before_that_of_all() -> None:
    environ = {
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": "http://localhost:4566/",
        "AWS_ENDPOINT_URL_S3": "https://objects.test:9000/store",
    }
    assert endpoint_of("dynamodb", environ) == Endpoint(False, "localhost", 4566, "", custom=True)
    place, path = bucket_place(endpoint_of("s3", environ), "a-bucket")
    assert (place.authority, place.secure, path) == ("objects.test:9000", True, "/store/a-bucket")
    ignoring = {**environ, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}
    assert endpoint_of("s3", ignoring).authority == "s3.eu-central-1.amazonaws.com"


def test_a_bucket_with_a_dot_stands_in_the_path_as_no_certificate_would_fit() -> None:
    place, path = bucket_place(endpoint_of("s3", {"AWS_REGION": "eu-central-1"}), "a.bucket")
    assert (place.host, path) == ("s3.eu-central-1.amazonaws.com", "/a.bucket")


@pytest.mark.parametrize("port", [None, 80])
def test_the_schemes_own_port_is_not_said(port: int | None) -> None:
    assert Endpoint(False, "localhost", port).authority == "localhost"
    assert Endpoint(True, "localhost", 80).authority == "localhost:80"


@pytest.mark.parametrize("environ", [{}, {"AWS_REGION": "x", "AWS_ENDPOINT_URL": "ftp://x"}], ids=["region", "url"])
def test_what_is_missing_or_odd_is_named(environ: dict[str, str]) -> None:
    with pytest.raises(DefinitionError, match="environment variable AWS_"):
        endpoint_of("s3", environ)
