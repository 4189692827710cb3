"""Every environment variable that the deployed code reads, in one frozen model."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from perennial.environment import variable
from perennial.errors import DefinitionError

ARRAY_INDEX = "AWS_BATCH_JOB_ARRAY_INDEX"
"""Where AWS Batch tells a child of an array job which one it is."""


class _Variables(BaseModel):
    """Each field is read from the environment variable ``PERENNIAL_<FIELD>``.

    The CDK app writes the same variables with :meth:`to_env`, so no name is typed twice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings from ``PERENNIAL_*`` variables.

        Raises
        ------
        DefinitionError
            A variable is missing or malformed; the message names it.
        """
        environ = os.environ if environ is None else environ
        known = {name: environ[variable(name)] for name in cls.model_fields if variable(name) in environ}
        try:
            return cls.model_validate(known)
        except ValidationError as error:
            first = error.errors()[0]
            name = variable(str(first["loc"][0]))
            raise DefinitionError(f"environment variable {name}: {first['msg'].lower()}") from error

    def to_env(self) -> dict[str, str]:
        """Return the variables from which :meth:`from_env` reads these settings again."""
        present = self.model_dump(mode="json", exclude_none=True)
        return {variable(name): str(value) for name, value in present.items()}


class Settings(_Variables):
    """Where the deployed code finds its resources."""

    deployment: str
    """Name of the deployment (the CloudFormation stack): a dimension of every metric."""
    raw_bucket: str
    """Bucket that receives uploads, ``<dataset>/<file>``."""
    artifacts_bucket: str
    """Bucket of snapshots, features, training sets, models, reports and prediction logs."""
    catalog_table: str
    """DynamoDB table of runs, snapshots, versions and pointers."""
    online_table: str
    """DynamoDB table of the online feature store."""
    topic_arn: str = ""
    """Topic that tells people what needs them; empty where nothing is told."""
    definitions: Path | None = None
    """Folder of the definitions; None means the ``perennial_definitions`` folder on ``sys.path``."""
    code_version: str = "unversioned"
    """Fingerprint of the deployed code, recorded on every run."""
    pointer_ttl_seconds: float = 5.0
    """How long ``predict`` trusts the champion pointer that it has read."""
    auth: str = "iam"
    """How callers of the API prove who they are: ``iam``, ``jwt`` or ``api_key``."""
    job_vcpus: float = 2
    """Virtual processors of a job: what a search's trials cost depends on it."""
    job_gibibytes: float = 8
    """Memory of a job, likewise."""


class TokenSettings(_Variables):
    """Whose tokens ``authorize`` takes, and under which API key each client is counted."""

    token_issuer: str
    token_audience: str
    token_jwks: str
    """Address of the issuer's public keys."""
    client_keys: str
    """JSON of a client's name to the id of its API key."""
    other_clients: str
    """The client as which all are counted that have no key of their own."""

    def keys_by_client(self) -> dict[str, str]:
        """Return a client's name to the id of its API key."""
        return dict(json.loads(self.client_keys))
