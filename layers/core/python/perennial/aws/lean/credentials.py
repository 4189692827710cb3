"""Whose name requests are signed in: the environment's credentials, or those that the container's agent hands out.

AWS Lambda gives the first; with SnapStart the second, as a snapshot outlives any temporary credentials.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from perennial.aws.lean.signing import Credentials
from perennial.errors import DefinitionError, PerennialError, TransientError

RENEW_BEFORE = timedelta(minutes=5)
"""How long before they expire credentials are renewed."""
_RELATIVE_HOST = "http://169.254.170.2"
"""Where the agent of ECS and Fargate answers."""
_AGENTS = frozenset({"127.0.0.1", "localhost", "::1", "169.254.170.2", "169.254.170.23", "fd00:ec2::23"})
"""Hosts to which a token is sent without encryption: this machine, ECS's agent and EKS's (AWS SDKs and Tools Reference
Guide, "Container credential provider")."""
_SECONDS = 2.0

Fetch = Callable[[str, Mapping[str, str]], tuple[int, bytes]]
"""A URL and headers → the status and the body of GET; raises OSError."""


class CredentialsProvider:
    """Finds credentials and renews them before they expire.

    Parameters
    ----------
    environ : mapping
        The environment, read anew whenever credentials are looked for.
    fetch : callable
        How the agent is asked.
    """

    def __init__(self, environ: Mapping[str, str], fetch: Fetch | None = None) -> None:
        self._environ = environ
        self._fetch = fetch or _get
        self._known: Credentials | None = None

    def get(self, now: datetime) -> Credentials:
        """Return credentials that are good at ``now`` (with its zone).

        Raises
        ------
        DefinitionError
            The environment names no credentials.
        TransientError
            The agent does not answer, and what is known has expired.
        """
        known = self._known
        if known is not None and (known.expires_at is None or now < known.expires_at - RENEW_BEFORE):
            return known
        try:
            self._known = self._find()
        except TransientError:
            if known is None or known.expires_at is None or now >= known.expires_at:
                raise
            return known  # good for some minutes yet; the next request asks again
        return self._known

    def _find(self) -> Credentials:
        environ = self._environ
        key, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
        if key and secret:
            return Credentials(key, secret, environ.get("AWS_SESSION_TOKEN") or None)
        url = self._agent()
        token_file = environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
        if token_file:  # the file is replaced from time to time
            token = Path(token_file).read_text(encoding="utf-8").strip()
        else:
            token = environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        if "\n" in token or "\r" in token:
            raise DefinitionError("AWS_CONTAINER_AUTHORIZATION_TOKEN: is more than one line, which no header holds")
        try:
            status, body = self._fetch(url, {"Authorization": token} if token else {})
        except OSError as error:
            raise TransientError(f"the container's credentials: {type(error).__name__}; try again") from None
        if status != 200:
            kind = TransientError if status >= 500 or status == 429 else PerennialError
            raise kind(f"the container's credentials: the agent answered with HTTP status {status}")
        return _read(body)

    def _agent(self) -> str:
        relative = self._environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        full = self._environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        if relative:
            return f"{_RELATIVE_HOST}{relative}"
        if not full:
            raise DefinitionError(
                "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, as AWS Lambda does, "
                "or AWS_CONTAINER_CREDENTIALS_FULL_URI"
            )
        parts = urlsplit(full)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _AGENTS):
            raise DefinitionError(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI: is neither https nor this machine or AWS's own agent"
            )
        return full


def _read(body: bytes) -> Credentials:
    try:
        found: dict[str, Any] = json.loads(body)
        expires = found.get("Expiration")
        return Credentials(
            found["AccessKeyId"],
            found["SecretAccessKey"],
            found.get("Token"),
            datetime.fromisoformat(expires).astimezone(UTC) if expires else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TransientError("the container's credentials: the agent's answer is not what it should be") from None


def _get(url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    import http.client  # late: only where an agent is asked

    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_SECONDS)
    try:
        connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""), headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from None
    finally:
        connection.close()
