"""A deployment to operate: what the library's client finds, and its API and its operator besides."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3

from infra.api import Api
from perennial.client import deployment
from perennial.client.deployment import SIGN_IN, session, stack_name
from perennial.errors import NotFoundError

__all__ = ["Deployment", "stack_name"]

_API_URL = re.compile(r"^https://(?P<api>[^.]+)\.execute-api\.(?P<region>[^.]+)\.[^/]+/(?P<stage>[^/]+)/?$")


@dataclass(frozen=True)
class Deployment(deployment.Deployment):
    """One deployed stack."""

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


def _credentials(of: boto3.Session) -> Any:
    credentials = of.get_credentials()
    if credentials is None:
        raise NotFoundError(f"there are no AWS credentials in the environment; {SIGN_IN}")
    return credentials.get_frozen_credentials()
