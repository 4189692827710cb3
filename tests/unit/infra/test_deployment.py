"""Finding a deployment in AWS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError

from infra.deployment import Deployment
from infra.local import launcher
from perennial.client import deployment
from perennial.client.deployment import Endpoint
from perennial.errors import NotFoundError, TransientError


class Stacks:
    """CloudFormation, with one stack that has no outputs."""

    def describe_stacks(self, **named: str) -> dict[str, Any]:
        return {"Stacks": [{**named, "StackStatus": "ROLLBACK_COMPLETE"}]}


def test_a_stack_whose_deployment_failed_is_not_taken_for_a_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "client", lambda endpoint, service: Stacks())
    with pytest.raises(NotFoundError, match=r"perennial-dev is ROLLBACK_COMPLETE .* --stage dev"):
        Deployment.connect("dev")


def test_a_deployment_is_operated_in_the_region_that_it_was_deployed_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    assert Deployment("perennial-dev", {}, None).client("s3").meta.region_name == "eu-west-1"


def test_where_the_local_cloud_answers_is_read_from_its_folder(tmp_path: Path) -> None:
    assert Endpoint.recorded(tmp_path) is None
    record = {
        "url": "http://127.0.0.1:1",
        "account": "1",
        "region": "r",
        "access_key": "a",
        "secret_key": "s",
        "pid": 7,
    }
    (tmp_path / launcher.RECORD).write_text(json.dumps(record))
    assert Endpoint.recorded(tmp_path) == Endpoint(**record, state=tmp_path)  # type: ignore[arg-type]
    (tmp_path / launcher.RECORD).write_text("{")
    assert Endpoint.recorded(tmp_path) is None


def test_who_has_no_credentials_is_told_how_to_get_some(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_client(endpoint: object, service: str) -> Any:
        raise NoCredentialsError

    monkeypatch.setattr(deployment, "client", no_client)
    with pytest.raises(TransientError, match=r"Unable to locate credentials; set AWS_PROFILE"):
        Deployment.connect("dev")
