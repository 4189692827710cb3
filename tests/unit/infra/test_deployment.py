"""Finding a deployment in AWS."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError

from infra import deployment
from infra.deployment import Deployment
from perennial.errors import NotFoundError, TransientError


class Stacks:
    """CloudFormation, with one stack that has no outputs."""

    def describe_stacks(self, **named: str) -> dict[str, Any]:
        return {"Stacks": [{**named, "StackStatus": "ROLLBACK_COMPLETE"}]}


def test_a_stack_whose_deployment_failed_is_not_taken_for_a_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "_client", lambda endpoint, service: Stacks())
    with pytest.raises(NotFoundError, match=r"perennial-dev is ROLLBACK_COMPLETE .* --stage dev"):
        Deployment.connect("dev")


def test_a_deployment_is_operated_in_the_region_that_it_was_deployed_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    assert Deployment("perennial-dev", {}, None).client("s3").meta.region_name == "eu-west-1"


def test_who_has_no_credentials_is_told_how_to_get_some(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_client(endpoint: object, service: str) -> Any:
        raise NoCredentialsError

    monkeypatch.setattr(deployment, "_client", no_client)
    with pytest.raises(TransientError, match=r"Unable to locate credentials; set AWS_PROFILE"):
        Deployment.connect("dev")
