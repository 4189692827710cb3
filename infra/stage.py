"""What differs between the stages: local, dev and prod."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from perennial.errors import DefinitionError

Name = Literal["local", "dev", "prod"]


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
    pointer_ttl_seconds: float = 5.0
    """How long ``predict`` trusts the champion pointer that it has read."""
    api_rate: int = 50
    """Calls per second that the API lets through."""
    api_burst: int = 100
    """Calls that the API lets through at once."""
    job_vcpus: Literal[2, 4] = 2
    """Virtual processors of a training job."""
    job_gibibytes: Literal[8, 16] = 8
    """Memory of a training job; Fargate allows 4 to 16 GiB with 2 processors and 8 to 30 with 4."""
    parallel_jobs: int = 8
    """Training jobs that run at the same time."""


STAGES: dict[str, Stage] = {
    "local": Stage(
        name="local",
        third_party_layers=False,
        account_logging=False,
        tracing=False,
        monitor_window_seconds=1,
        pointer_ttl_seconds=1.0,
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
        parallel_jobs=16,
    ),
}


def stage(name: str) -> Stage:
    """Return the stage of that name.

    Raises
    ------
    DefinitionError
        There is no such stage.
    """
    try:
        return STAGES[name]
    except KeyError:
        raise DefinitionError(f"context stage: no stage {name!r}; write -c stage={'|'.join(STAGES)}") from None
