"""The local cloud that the tests of its parts share."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from infra.bringup import environment
from infra.deploy import deploy
from infra.deployment import Deployment
from infra.local.cloud import Endpoint, LocalCloud
from tests.e2e.leases import MODEL, deploy_agency
from tests.e2e.shell import Shell

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


@pytest.fixture(scope="session")
def signed_deployment(cloud: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Deploy the app as it is unless one says otherwise: its callers sign. Its one model, if any, is called fare."""
    output = tmp_path_factory.mktemp("signed")
    context = {"name": "signed"}
    outputs = deploy(stage="local", stack="signed", environment=environment(cloud), context=context, output=output)
    return Deployment("signed", outputs, cloud)


@pytest.fixture(scope="session")
def agency_shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """Deploy the rental agency once for all modules that ask it; whoever lets another version serve rolls it back."""
    folder = tmp_path_factory.mktemp("agency")
    try:
        yield deploy_agency(folder)
    finally:
        LocalCloud(folder / ".perennial").stop()


@pytest.fixture(scope="session")
def agency(agency_shell: Shell) -> Deployment:
    """Return the agency's deployment once version 1 serves."""
    return agency_shell.served(MODEL)
