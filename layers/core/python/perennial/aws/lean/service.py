"""One AWS service: signed calls, tried again where that may help, errors in perennial's words."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from perennial.aws.lean.connections import Answer, Connections, UnreachableError
from perennial.aws.lean.credentials import CredentialsProvider
from perennial.aws.lean.endpoints import Endpoint
from perennial.aws.lean.signing import Signer, query_string
from perennial.aws.retrying import BUSY, MISSING, pauses
from perennial.errors import NotFoundError, PerennialError, TransientError

ATTEMPTS = 4
"""How often a call is made in all, as the other functions' clients do it."""
_CODE = re.compile(rb"<Code>([^<]{1,80})</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]{1,300})</Message>")


class Service:
    """Makes signed calls to one service at one host.

    Parameters
    ----------
    endpoint : Endpoint
        Where it answers.
    signer : Signer
        Signs its requests.
    credentials : CredentialsProvider
        In whose name.
    now : callable
        Returns the moment in UTC, with its zone.
    read_seconds : float
        How long it may be silent.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        signer: Signer,
        credentials: CredentialsProvider,
        now: Callable[[], datetime],
        read_seconds: float,
    ) -> None:
        self._endpoint = endpoint
        self._signer = signer
        self._credentials = credentials
        self._now = now
        self._connections = Connections(endpoint, read_seconds)

    def open_early(self) -> None:
        """Open a connection before it is needed."""
        self._connections.open_early()

    def call(
        self,
        what: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make a call, up to ``ATTEMPTS`` times; neither what is sent nor what comes back is told in an error.

        Parameters
        ----------
        what : str
            What is being touched: the beginning of a message.
        path : str
            Percent-encoded.

        Raises
        ------
        TransientError
            The service was busy or unreachable in every attempt.
        NotFoundError
            There is no such object.
        PerennialError
            Anything else that the service says.
        """
        failure: PerennialError | None = None
        for _ in pauses(ATTEMPTS):
            try:
                answer = self._send(method, path, query or {}, headers, body)
            except UnreachableError as error:
                failure = TransientError(
                    f"{what}: the service could not be reached ({error}); the same call may succeed later"
                )
                continue
            if answer.status < 300 and _is_whole(answer):
                return answer
            failure = _error(what, answer)
            if not isinstance(failure, TransientError):
                break
        assert failure is not None, "a loop that ends had an attempt that failed"
        raise failure

    def _send(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Answer:
        now = self._now()
        signed = self._signer.sign(
            method, self._endpoint.authority, path, query, headers, body, self._credentials.get(now), now
        )
        target = f"{path}?{query_string(query)}" if query else path
        return self._connections.request(method, target, signed, body)


def _is_whole(answer: Answer) -> bool:
    """Tell whether a body is what was sent, where the service says how to find out (DynamoDB does)."""
    told = answer.headers.get("x-amz-crc32")
    return told is None or not told.isdigit() or int(told) == zlib.crc32(answer.body)


def _error(what: str, answer: Answer) -> PerennialError:
    code, message = _code_and_message(answer)
    if answer.status < 300 or code in BUSY or answer.status >= 500 or answer.status == 429:
        return TransientError(f"{what}: the service is busy ({code or answer.status}); the same call may succeed later")
    if code in MISSING or (answer.status == 404 and not code):
        return NotFoundError(f"{what}: there is no such object")
    if code == "AccessDenied" or (answer.status == 403 and not code):
        return PerennialError(
            f"{what}: access denied; check that it exists and that the role may read, list or write it"
        )
    return PerennialError(f"{what}: {code or f'HTTP status {answer.status}'}: {message}")


def _code_and_message(answer: Answer) -> tuple[str, str]:
    """Return the service's own name of an error and its words: S3 speaks XML, DynamoDB JSON."""
    if answer.body[:1] == b"{":
        try:
            content: dict[str, Any] = json.loads(answer.body)
        except ValueError:
            return "", ""
        code = str(content.get("__type") or content.get("code") or "").rpartition("#")[2]
        return code, str(content.get("message") or content.get("Message") or "")
    found, said = _CODE.search(answer.body), _MESSAGE.search(answer.body)
    return found[1].decode() if found else "", said[1].decode("utf-8", "replace") if said else ""
