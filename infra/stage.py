"""What differs between the stages: local, dev and prod."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

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
    def _starts_in_one_way(self) -> Stage:
        if self.snapstart and self.provisioned_concurrency:
            raise ValueError("AWS Lambda has snapstart or provisioned_concurrency, not both; choose one")
        return self


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
