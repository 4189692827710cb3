"""The local cloud that the tests of its parts share."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from infra.local.cloud import Endpoint, LocalCloud

ANYBODY = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Start one local cloud for the whole test run."""
    local = LocalCloud(tmp_path_factory.mktemp("cloud") / "state", ends_with_caller=True)
    yield local.start()
    local.stop()


@pytest.fixture(scope="session")
def role(cloud: Endpoint) -> str:
    """Return a role that may do nothing."""
    created = cloud.client("iam").create_role(RoleName="nothing", AssumeRolePolicyDocument=json.dumps(ANYBODY))
    return str(created["Role"]["Arn"])
