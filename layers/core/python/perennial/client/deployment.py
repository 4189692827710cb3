"""A deployment, local or in AWS: found by its stack, reached through the stack's outputs."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from perennial.aws.runtime import LazyDefinitions, ports_for
from perennial.client.deployed_definitions import deployed_definitions
from perennial.definitions.files import Definitions
from perennial.errors import NotFoundError, TransientError
from perennial.ports import Ports
from perennial.records import Trigger
from perennial.settings import Settings

STATE = Path(".perennial")
"""Where the local cloud of a folder keeps its files."""
RECORD = "endpoint.json"
"""The file in there that says where it answers."""
CLI_REGION = "us-east-1"
"""Where the CDK CLI deploys to if neither the environment nor the profile names a region."""
SIGN_IN = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, to those of an account"


def stack_name(stage: str, name: str | None = None) -> str:
    """Return the name of a deployment's stack: the one given, or the stage's own."""
    return name or f"perennial-{stage}"


@dataclass(frozen=True)
class Endpoint:
    """Where a local cloud answers, and the credentials of its administrator."""

    url: str
    account: str
    region: str
    access_key: str
    secret_key: str
    pid: int
    state: Path

    @classmethod
    def recorded(cls, state: Path = STATE) -> Self | None:
        """Return the endpoint that a local cloud has written down, or None; it need not answer any more."""
        try:
            return cls(**json.loads((state / RECORD).read_text()), state=state)
        except (OSError, ValueError, TypeError):
            return None

    def session(self) -> boto3.Session:
        """Return a boto3 session of the administrator; make clients with :meth:`client`."""
        return boto3.Session(
            aws_access_key_id=self.access_key, aws_secret_access_key=self.secret_key, region_name=self.region
        )

    def client(self, service: str, **options: Any) -> Any:
        """Return a boto3 client of the administrator for a service."""
        direct = Config(proxies={}).merge(options.pop("config", Config()))
        return self.session().client(service, endpoint_url=self.url, config=direct, **options)  # type: ignore[call-overload]

    def answers(self) -> bool:
        """Return whether this very instance answers: only it knows the secret key."""
        quick = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
        try:
            account: str = self.client("sts", config=quick).get_caller_identity()["Account"]
        except (
            BotoCoreError,
            ClientError,
            ResponseParserError,
            KeyError,
            ValueError,
        ):  # another program answers anything
            return False
        return account == self.account


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
    definitions : Path or None
        Folder of definitions to read in place of those deployed; None means those.
    """

    name: str
    outputs: Mapping[str, str]
    endpoint: Endpoint | None
    definitions: Path | None = None

    @classmethod
    def connect(
        cls, stage: str, name: str | None = None, state: Path | None = None, definitions: Path | None = None
    ) -> Self:
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
            endpoint = Endpoint.recorded((state or STATE).resolve())
            if endpoint is None or not endpoint.answers():
                raise NotFoundError("no local cloud runs in this folder; start one with `perennial up`")
        stack = stack_name(stage, name)
        try:
            stacks = client(endpoint, "cloudformation").describe_stacks(StackName=stack)["Stacks"]
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
        return cls(stack, outputs, endpoint, definitions)

    def client(self, service: str) -> Any:
        """Return a boto3 client for a service of this deployment."""
        return client(self.endpoint, service)

    @cached_property
    def person(self) -> str:
        """Who is operating: the ARN of the caller."""
        arn: str = self.client("sts").get_caller_identity()["Arn"]
        return arn

    def start(self, verb: str, about: Mapping[str, Any], reason: str | Trigger, run_id: str | None = None) -> str:
        """Start a state machine for a person, who gives a reason; return the id of the run that it will record."""
        run_id = run_id or str(uuid.uuid4())
        trigger = Trigger(kind="person", source=self.person, reason=reason) if isinstance(reason, str) else reason
        self.client("stepfunctions").start_execution(
            stateMachineArn=self.outputs[machine_output(verb)],
            name=run_id,
            input=json.dumps({**about, "trigger": trigger.model_dump(mode="json")}),
        )
        return run_id

    @cached_property
    def ports(self) -> Ports:
        """The adapters of this deployment, the same that its functions use; definitions are read when asked for."""
        settings = Settings(
            deployment=self.name,
            raw_bucket=self.outputs["RawBucket"],
            artifacts_bucket=self.outputs["ArtifactsBucket"],
            catalog_table=self.outputs["CatalogTable"],
            online_table=self.outputs["OnlineTable"],
            code_version=self.outputs["CodeVersion"],
            definitions=self.definitions,
        )
        if self.endpoint is None:
            ports = ports_for(settings, session(os.environ))
        else:
            ports = ports_for(settings, self.endpoint.session(), endpoint_url=self.endpoint.url)
        return ports if self.definitions else replace(ports, definitions=LazyDefinitions(self._deployed))

    def _deployed(self) -> Definitions:
        if "Definitions" not in self.outputs:
            raise NotFoundError(f"the stack {self.name} does not say which definitions it runs; deploy it anew")
        return deployed_definitions(self.client("s3"), self.outputs["Definitions"])


def machine_output(verb: str) -> str:
    """Return the name of the stack's output that says where a state machine is, such as ``TrainMachineArn``."""
    return f"{''.join(word.capitalize() for word in verb.split('_'))}MachineArn"


def session(environment: Mapping[str, str]) -> boto3.Session:
    """Return a session in the region that the CDK CLI deploys to.

    boto3 by itself does not look at ``AWS_REGION``, which the CLI prefers; and where no region is given, the CLI has
    one of its own.
    """
    names = {
        "aws_access_key_id": "AWS_ACCESS_KEY_ID",
        "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
        "aws_session_token": "AWS_SESSION_TOKEN",
        "region_name": "AWS_REGION",
        "profile_name": "AWS_PROFILE",
    }
    given: dict[str, Any] = {key: environment[name] for key, name in names.items() if environment.get(name)}
    if "aws_access_key_id" in given:
        given.pop("profile_name", None)
    found = boto3.Session(**given)
    return found if found.region_name else boto3.Session(**given | {"region_name": CLI_REGION})


def client(endpoint: Endpoint | None, service: str) -> Any:
    """Return a boto3 client of a local cloud, or of the AWS account in the environment."""
    if endpoint is not None:
        return endpoint.client(service)
    return session(os.environ).client(service)  # type: ignore[call-overload]
