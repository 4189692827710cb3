"""A deployment to operate, local or in AWS: found by its stack, reached through the stack's outputs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.api import Api
from infra.deploy import SIGN_IN, session
from infra.local.cloud import Endpoint, LocalCloud
from perennial.aws.runtime import ports_for
from perennial.errors import NotFoundError, TransientError
from perennial.ports import Ports
from perennial.settings import Settings

_API_URL = re.compile(r"^https://(?P<api>[^.]+)\.execute-api\.(?P<region>[^.]+)\.[^/]+/(?P<stage>[^/]+)/?$")


def stack_name(stage: str, name: str | None = None) -> str:
    """Return the name of a deployment's stack: the one given, or the stage's own."""
    return name or f"perennial-{stage}"


@dataclass(frozen=True)
class Deployment:
    """One deployed stack.

    Attributes
    ----------
    name : str
        Name of the stack.
    outputs : Mapping
        The stack's outputs by key.
    endpoint : Endpoint or None
        The local cloud that it stands in; None for AWS.
    """

    name: str
    outputs: Mapping[str, str]
    endpoint: Endpoint | None

    @classmethod
    def connect(cls, stage: str, name: str | None = None, state: Path | None = None) -> Deployment:
        """Find a deployment: of the local cloud for the stage ``local``, else of the AWS account in the environment.

        Raises
        ------
        NotFoundError
            No local cloud runs here, or there is no such stack.
        TransientError
            AWS cannot be reached or gives no access.
        """
        endpoint = None
        if stage == "local":
            endpoint = (LocalCloud(state) if state else LocalCloud()).status()
            if endpoint is None:
                raise NotFoundError("no local cloud runs in this folder; start one with `perennial up`")
        stack = stack_name(stage, name)
        try:
            stacks = _client(endpoint, "cloudformation").describe_stacks(StackName=stack)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                raise NotFoundError(
                    f"there is no stack {stack}; deploy it with `perennial up --stage {stage}`"
                ) from None
            raise TransientError(f"AWS does not show the stack {stack}: {error}") from error
        except BotoCoreError as error:
            raise TransientError(f"AWS cannot be reached: {str(error).rstrip('.')}; {SIGN_IN}") from error
        outputs = {o["OutputKey"]: o["OutputValue"] for o in stacks[0].get("Outputs", [])}
        if not outputs:
            status = stacks[0]["StackStatus"]
            raise NotFoundError(f"the stack {stack} is {status} and of no use yet; see `perennial up --stage {stage}`")
        return cls(stack, outputs, endpoint)

    def client(self, service: str) -> Any:
        """Return a boto3 client for a service of this deployment."""
        return _client(self.endpoint, service)

    @cached_property
    def ports(self) -> Ports:
        """The adapters of this deployment, the same that its functions use (without definitions)."""
        settings = Settings(
            deployment=self.name,
            raw_bucket=self.outputs["RawBucket"],
            artifacts_bucket=self.outputs["ArtifactsBucket"],
            catalog_table=self.outputs["CatalogTable"],
            online_table=self.outputs["OnlineTable"],
            code_version=self.outputs["CodeVersion"],
        )
        if self.endpoint is None:
            return ports_for(settings, session(os.environ))
        return ports_for(settings, self.endpoint.session(), endpoint_url=self.endpoint.url)

    @cached_property
    def api(self) -> Api:
        """The HTTP API, called with signed requests."""
        url = self.outputs["ApiUrl"]
        match = _API_URL.match(url)
        if self.endpoint is None:
            return Api(url, _credentials(session(os.environ)), match["region"] if match else "")
        if match is None:
            raise NotFoundError(f"the stack's output ApiUrl is not an address of API Gateway: {url}")
        local = f"{self.endpoint.url}/restapis/{match['api']}/{match['stage']}/_user_request_"
        return Api(local, _credentials(self.endpoint.session()), self.endpoint.region)

    @cached_property
    def person(self) -> str:
        """Who is operating: the ARN of the caller."""
        arn: str = self.client("sts").get_caller_identity()["Arn"]
        return arn


def _credentials(of: boto3.Session) -> Any:
    credentials = of.get_credentials()
    if credentials is None:
        raise NotFoundError(f"there are no AWS credentials in the environment; {SIGN_IN}")
    return credentials.get_frozen_credentials()


def _client(endpoint: Endpoint | None, service: str) -> Any:
    if endpoint is not None:
        return endpoint.client(service)
    return session(os.environ).client(service)  # type: ignore[call-overload]
