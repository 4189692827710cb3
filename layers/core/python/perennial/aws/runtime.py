"""The composition root: settings and AWS clients become the ports that steps are given."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from perennial.aws.catalog import DynamoCatalog
from perennial.aws.metrics import CloudWatchMetricSink
from perennial.aws.objects import S3ObjectStore
from perennial.aws.online import DynamoOnlineStore
from perennial.aws.people import SnsPeople
from perennial.definitions.files import Definitions, find_definitions, load_definitions
from perennial.ports import Ports
from perennial.prices import JobSize
from perennial.serving.ids import RANDOM_BYTES, make_request_id
from perennial.serving.log_lines import StdoutPredictionLog
from perennial.settings import Settings


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current moment in UTC."""
        return datetime.now(UTC)


class LazyDefinitions(Definitions):
    """Definitions that are read when one is first asked for: ``predict`` lives without them."""

    def __init__(self, load: Callable[[], Definitions]) -> None:
        object.__setattr__(self, "_load", load)

    def __getattr__(self, name: str) -> Any:
        # Called for what is not there yet, so once at most.
        if name not in ("datasets", "views", "models", "estimators"):
            raise AttributeError(name)
        self.__dict__.update(vars(self._load()))
        return self.__dict__[name]


@cache
def ports() -> Ports:
    """Return the ports of the deployed code; built once, on first use, from ``PERENNIAL_*`` variables.

    Raises
    ------
    DefinitionError
        A variable is missing or malformed.
    """
    return ports_for(Settings.from_env())


def ports_for(settings: Settings, session: boto3.Session | None = None, **client_options: Any) -> Ports:
    """Return the ports of a deployment.

    Parameters
    ----------
    settings : Settings
        Where its resources are.
    session : boto3.Session, optional
        Whose credentials and region are used; those of the environment by default.
    **client_options
        For every client, such as ``endpoint_url``.
    """
    session = session or boto3.Session()

    @cache
    def cloudwatch() -> Any:
        return session.client("cloudwatch", config=_config(read_timeout=5), **client_options)

    @cache
    def sns() -> Any:
        return session.client("sns", config=_config(read_timeout=5), **client_options)

    s3 = session.client("s3", config=_config(read_timeout=30), **client_options)
    dynamodb = session.client("dynamodb", config=_config(read_timeout=5), **client_options)
    return Ports(
        catalog=DynamoCatalog(dynamodb, settings.catalog_table),
        raw=S3ObjectStore(s3, settings.raw_bucket),
        artifacts=S3ObjectStore(s3, settings.artifacts_bucket),
        online=DynamoOnlineStore(dynamodb, settings.online_table),
        metrics=CloudWatchMetricSink(cloudwatch),
        log=StdoutPredictionLog(lambda: sys.stdout, _name_process),
        people=SnsPeople(sns, settings.topic_arn),
        clock=SystemClock(),
        definitions=LazyDefinitions(lambda: load_definitions(find_definitions(settings.definitions))),
        deployment=settings.deployment,
        code_version=settings.code_version,
        job=JobSize(settings.job_vcpus, settings.job_gibibytes),
    )


def _name_process() -> str:
    return make_request_id(SystemClock().now(), os.urandom(RANDOM_BYTES))


def _config(read_timeout: float) -> Config:
    """Return a client configuration whose calls end well before a step's own timeout (seconds)."""
    return Config(
        connect_timeout=2,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": 4},
        max_pool_connections=32,
    )
