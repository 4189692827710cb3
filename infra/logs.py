"""Log groups: named, kept for a while, encrypted with the deployment's key where there is one."""

from __future__ import annotations

from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.stage import Stage
from infra.storage import removal_policy

_RETENTION = {3: logs.RetentionDays.THREE_DAYS, 14: logs.RetentionDays.TWO_WEEKS, 365: logs.RetentionDays.ONE_YEAR}


def log_group(
    scope: Construct, id: str, *, name: str, stage: Stage, key: kms.IKey | None, days: int | None = None
) -> logs.LogGroup:
    """Return a new log group, which keeps what it holds for ``days``, by default for as long as the stage says."""
    return logs.LogGroup(
        scope,
        id,
        log_group_name=name,
        retention=_RETENTION[days or stage.log_retention_days],
        removal_policy=removal_policy(stage),
        encryption_key=key,
    )


def delivered_name(deployment: str, name: str) -> str:
    """Return the name of a log group that a service delivers to.

    Under this prefix the service needs no statement of its own in the account's log policy, which has room for few.
    """
    return f"/aws/vendedlogs/perennial/{deployment}/{name}"
