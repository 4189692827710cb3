"""The public keys of whoever issues tokens, and the values of the clients' API keys: read seldom, kept in between."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import urllib3

from perennial.aws.errors import translated
from perennial.errors import TransientError

KEPT_SECONDS = 600.0
"""How long keys are taken for the issuer's: one that it withdraws counts no longer."""
BETWEEN_SECONDS = 30.0
"""Least time between two readings, however many unknown keys are named."""
_MOST_BYTES = 256 * 1024
_SECONDS = 3.0


class IssuerKeys:
    """The keys at an address, as ``perennial.serving.tokens`` asks for them.

    Parameters
    ----------
    address : str
        Where the JSON Web Key Set is.
    clock : callable
        Seconds that only go forward.
    """

    def __init__(self, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_at: float | None = None

    def find(self, kid: str) -> jwt.PyJWK | None:
        """Return the key of that id, None if the issuer has none; TransientError if it cannot be asked."""
        age = None if self._read_at is None else self._clock() - self._read_at
        if age is None or age > KEPT_SECONDS or (kid not in self._keys and age > BETWEEN_SECONDS):
            self._keys = self._read()
            self._read_at = self._clock()
        return self._keys.get(kid)

    def _read(self) -> dict[str, jwt.PyJWK]:
        try:
            answer = urllib3.request(
                "GET", self._address, timeout=_SECONDS, retries=False, redirect=False, preload_content=False
            )
            content = answer.read(_MOST_BYTES)
            answer.close()
            return _keys_in(answer.status, content)
        except (urllib3.exceptions.HTTPError, ValueError, TypeError, AttributeError, jwt.PyJWTError) as error:
            raise TransientError(f"the issuer's keys at {self._address} cannot be read: {error}") from error


def _keys_in(status: int, content: bytes) -> dict[str, jwt.PyJWK]:
    if status != 200:
        raise ValueError(f"HTTP status {status}")
    return {key.key_id: key for key in jwt.PyJWKSet.from_dict(json.loads(content)).keys if key.key_id}


class ClientKeys:
    """The values of the clients' API keys, by which API Gateway counts a client's calls.

    Parameters
    ----------
    apigateway : client of API Gateway
    ids : mapping
        A client's name to its key's id; the client of ``others`` is who has no key of their own.
    others : str
        That client's name.
    """

    def __init__(self, apigateway: Any, ids: Mapping[str, str], others: str) -> None:
        self._apigateway = apigateway
        self._ids = ids
        self._others = others
        self._values: dict[str, str] = {}

    def value(self, client: str) -> str:
        """Return the value of the key under which a client is counted."""
        id = self._ids.get(client, self._ids[self._others])
        if id not in self._values:
            with translated(f"API key {id}"):
                self._values[id] = self._apigateway.get_api_key(apiKey=id, includeValue=True)["value"]
        return self._values[id]
