"""What differs between the stages: local, dev and prod."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from perennial.errors import DefinitionError

Name = Literal["local", "dev", "prod"]


OTHERS = "others"
"""The client as which all are counted that have a valid token and no plan of their own."""


class Client(BaseModel):
    """Who calls the API, and how often."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    """What the key is called; of tokens, the claim ``client_id``, ``azp`` or ``sub``."""
    rate: float = Field(default=10, gt=0)
    """Calls per second."""
    burst: int = Field(default=20, ge=1)
    """Calls at once."""
    calls_a_day: int | None = Field(default=100_000, ge=1)
    """None means any number."""

    @classmethod
    def parse(cls, text: str) -> Client:
        """Read ``name[:rate[:burst[:calls a day]]]``."""
        fields = dict(zip(("name", "rate", "burst", "calls_a_day"), text.strip().split(":"), strict=False))
        return cls.model_validate(fields)


class Tokens(BaseModel):
    """Whose tokens (JWT) are accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(min_length=1)
    """The claim ``iss``."""
    audience: str = Field(min_length=1)
    """The claim ``aud``, which must name this API."""
    jwks: str = Field(pattern=r"^(https://|http://(127\.0\.0\.1|localhost)[:/]).+")
    """Address of the issuer's public keys."""


class Stage(BaseModel):
    """The choices that one stage makes; everything else is the same everywhere."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    """Which stage this is."""
    retain: bool = False
    """Whether data and logs outlive the stack, and tables refuse to be deleted."""
    empty_buckets: bool = False
    """Whether destroying the stack empties its buckets first (a function of the CDK does it)."""
    point_in_time_recovery: bool = False
    """Whether tables can be restored to any second of the last 35 days."""
    customer_key: bool = False
    """Whether data is encrypted with a KMS key of this deployment instead of AWS's own."""
    version_artifacts: bool = False
    """Whether overwritten and deleted artifacts are kept for a while."""
    private_network: bool = False
    """Whether training jobs run without a public address, reaching AWS through VPC endpoints (billed by the hour)."""
    third_party_layers: bool = True
    """Whether functions get their packages from layers; the local cloud has those of the virtual environment."""
    account_logging: bool = True
    """Whether the API writes access logs, which needs a role in the account's API Gateway settings."""
    tracing: bool = True
    """Whether functions and state machines send traces to X-Ray."""
    log_retention_days: Literal[14, 365] = 14
    """How long logs are kept."""
    monitor_window_seconds: int = 60
    """How long predictions and labels gather before the monitor looks at them."""
    look_seconds: int = Field(default=60, ge=1)
    """Least time between two looks at a version that stands beside the champion."""
    pointer_ttl_seconds: float = 5.0
    """How long ``predict`` trusts the champion pointer that it has read."""
    snapstart: bool = False
    """Whether ``predict`` starts from a snapshot of a process that has its imports behind it; restoring is billed."""
    provisioned_concurrency: int = Field(default=0, ge=0)
    """Processes of ``predict`` that are kept ready, billed by the hour; what is beyond them starts as always."""
    api_rate: int = 50
    """Calls per second that the API lets through."""
    api_burst: int = 100
    """Calls that the API lets through at once."""
    auth: Literal["iam", "jwt", "api_key"] = "iam"
    """How callers of the API prove who they are: a signature, a token, or the key of a named client."""
    tokens: Tokens | None = None
    """Whose tokens count, of ``auth = "jwt"``."""
    clients: tuple[Client, ...] = ()
    """Clients with a usage plan of their own; of ``auth = "api_key"`` all that there are."""
    notify: tuple[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")], ...] = ()
    """E-mail addresses of those who are told when something needs people; each confirms once."""
    job_vcpus: Literal[2, 4] = 2
    """Virtual processors of a training job."""
    job_gibibytes: Literal[8, 16] = 8
    """Memory of a training job; Fargate allows 4 to 16 GiB with 2 processors and 8 to 30 with 4."""
    job_disk_gibibytes: int = 100
    """Temporary storage of a job that reads or writes data; what is beyond 20 costs while the job runs."""
    parallel_jobs: int = 8
    """Jobs that run at the same time."""
    parallel_ingests: int = 8
    """Uploads that a backfill ingests at the same time; each publishes to the same dataset, in a transaction."""
    bulk_job_bytes: int = 256 * 2**20
    """Bytes of the files of a bulk prediction that make one job more; what it costs hardly depends on their number."""
    parallel_bulk_jobs: int = 8
    """Most jobs of one bulk prediction that work side by side; all jobs together are at most ``parallel_jobs``."""
    batch_bytes: int = 256 * 2**20
    """Bytes of an upload, or of a dataset's snapshots, above which a step is a Batch job instead of a function.

    A function has 1.7 processors (3008 MiB), 10 GiB of disk and 15 minutes. 256 MiB of gzip are some 10 million rows of
    20 columns, which it validates in two or three minutes; text that is packed ten times as tightly still ends in time.
    Above, a job's start of about a minute no longer matters. Locally it is small, so that both ways can be tried.
    """

    @model_validator(mode="after")
    def _auth_is_complete(self) -> Stage:
        if (self.auth == "jwt") != (self.tokens is not None):
            raise ValueError("auth=jwt, and it alone, needs issuer, audience and jwks")
        if self.auth == "api_key" and not self.clients:
            raise ValueError("auth=api_key needs clients, such as clients=shop,report:5:10:1000")
        if self.auth == "iam" and self.clients:
            raise ValueError("auth=iam knows its callers by their signatures and takes no clients")
        names = [client.name for client in self.callers()]
        if len(set(names)) < len(names):
            raise ValueError(f"clients must have names of their own, and none be called {OTHERS}")
        return self

    def callers(self) -> tuple[Client, ...]:
        """Return the clients that are counted: with tokens, all that are not named are one more."""
        return (*self.clients, Client(name=OTHERS)) if self.auth == "jwt" else self.clients

    @model_validator(mode="after")
    def _starts_in_one_way(self) -> Stage:
        if self.snapstart and self.provisioned_concurrency:
            raise ValueError("AWS Lambda has snapstart or provisioned_concurrency, not both; choose one")
        return self


CONTEXT = ("auth", "issuer", "audience", "jwks", "clients", "notify")
"""Context values that say who may call, and who is told."""


STAGES: dict[str, Stage] = {
    "local": Stage(
        name="local",
        third_party_layers=False,
        account_logging=False,
        tracing=False,
        monitor_window_seconds=1,
        look_seconds=1,
        pointer_ttl_seconds=1.0,
        parallel_ingests=2,
        batch_bytes=8 * 2**20,
        bulk_job_bytes=8 * 2**20,
        parallel_bulk_jobs=2,
    ),
    "dev": Stage(name="dev", empty_buckets=True),
    "prod": Stage(
        name="prod",
        retain=True,
        point_in_time_recovery=True,
        customer_key=True,
        version_artifacts=True,
        private_network=True,
        log_retention_days=365,
        monitor_window_seconds=300,
        api_rate=500,
        api_burst=1000,
        job_vcpus=4,
        job_gibibytes=16,
        job_disk_gibibytes=200,
        parallel_jobs=16,
        parallel_ingests=16,
        parallel_bulk_jobs=16,
    ),
}


def stage(name: str, context: Mapping[str, Any] | None = None) -> Stage:
    """Return the stage of that name, with what a deployment's context says of its callers and of who is told.

    Parameters
    ----------
    name : str
        The stage.
    context : mapping or None
        ``auth``; with ``auth=jwt`` ``issuer``, ``audience`` and ``jwks``; ``clients``, such as
        ``shop,report:5:10:1000`` (name, calls per second, calls at once, calls a day);
        ``notify``, e-mail addresses with commas between.

    Raises
    ------
    DefinitionError
        There is no such stage, or the callers are not as they can be.
    """
    if name not in STAGES:
        raise DefinitionError(f"context stage: no stage {name!r}; write -c stage={'|'.join(STAGES)}")
    given = {key: value for key, value in (context or {}).items() if value is not None}
    unknown = given.keys() - CONTEXT
    if unknown:
        raise DefinitionError(f"context {min(unknown)}: is not known; known are {', '.join(CONTEXT)}")
    if not given:
        return STAGES[name]
    try:
        clients = [Client.parse(text) for text in str(given.pop("clients", "")).split(",") if text.strip()]
        if "notify" in given:
            given["notify"] = [address.strip() for address in str(given["notify"]).split(",") if address.strip()]
        tokens = {key: given.pop(key) for key in ("issuer", "audience", "jwks") if key in given}
        changes = given | {"clients": clients} | ({"tokens": tokens} if tokens else {})
        return Stage.model_validate(STAGES[name].model_dump() | changes)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "auth"
        raise DefinitionError(f"context {place}: {first['msg'].removeprefix('Value error, ')}") from None
