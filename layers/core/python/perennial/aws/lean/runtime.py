"""The composition root of ``predict``: environment variables and lean clients become its ports."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from threading import Thread

from perennial.aws.lean.credentials import CredentialsProvider
from perennial.aws.lean.endpoints import Endpoint, bucket_place, endpoint_of, region_of
from perennial.aws.lean.service import Service
from perennial.aws.lean.signing import Signer
from perennial.aws.lean.stores import Dynamo, LeanObjects, LeanOnlineStore, LeanRegistry
from perennial.environment import variable
from perennial.errors import DefinitionError
from perennial.serving.ids import RANDOM_BYTES, make_request_id
from perennial.serving.log_lines import StdoutPredictionLog

_POINTER_TTL = 5.0
"""Seconds, as in `perennial.settings.Settings`."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current moment in UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True)
class LeanPorts:
    """What answering a request may touch, on AWS (`perennial.serving.ports.ServingPorts`)."""

    catalog: LeanRegistry
    artifacts: LeanObjects
    online: LeanOnlineStore
    log: StdoutPredictionLog
    clock: SystemClock


@cache
def serving_ports() -> LeanPorts:
    """Return the ports of the deployed code; built once, on first use, from the environment.

    Raises
    ------
    DefinitionError
        A variable is missing or malformed.
    """
    return ports_for(os.environ)


def ports_for(environ: Mapping[str, str]) -> LeanPorts:
    """Return the ports of the deployment that an environment names; errors as of :func:`serving_ports`."""
    clock = SystemClock()
    region = region_of(environ)
    credentials = CredentialsProvider(environ)

    def service(name: str, endpoint: Endpoint, read_seconds: float) -> Service:
        return Service(endpoint, Signer(name, region), credentials, clock.now, read_seconds)

    bucket = _setting(environ, "artifacts_bucket")
    place, path = bucket_place(endpoint_of("s3", environ), bucket)
    s3 = service("s3", place, 30)
    database = endpoint_of("dynamodb", environ)
    dynamo = Dynamo(service("dynamodb", database, 5), f"{database.path}/")
    # The first request reads DynamoDB before S3: meanwhile the second connection is made.
    Thread(target=s3.open_early, daemon=True).start()
    return LeanPorts(
        catalog=LeanRegistry(dynamo, _setting(environ, "catalog_table")),
        artifacts=LeanObjects(s3, bucket, path),
        online=LeanOnlineStore(dynamo, _setting(environ, "online_table")),
        log=StdoutPredictionLog(lambda: sys.stdout, lambda: new_request_id(clock.now())),
        clock=clock,
    )


def new_request_id(at: datetime) -> str:
    """Return a request id that nobody else has."""
    return make_request_id(at, os.urandom(RANDOM_BYTES))


def pointer_ttl(environ: Mapping[str, str] | None = None) -> timedelta:
    """Return how long a champion pointer that was read is trusted, or raise DefinitionError."""
    text = (os.environ if environ is None else environ).get(variable("pointer_ttl_seconds"))
    if text is None:
        return timedelta(seconds=_POINTER_TTL)
    try:
        return timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        name = variable("pointer_ttl_seconds")
        raise DefinitionError(f"environment variable {name}: {text!r} is no number of seconds") from None


def _setting(environ: Mapping[str, str], field: str) -> str:
    try:
        return environ[variable(field)]
    except KeyError:
        raise DefinitionError(f"environment variable {variable(field)}: is missing; deploy the stack again") from None
