"""HTTP with keep-alive: the connections to one host."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from perennial.aws.lean.endpoints import Endpoint

CONNECT_SECONDS = 2.0


class UnreachableError(Exception):
    """The host could not be reached, or broke off before its answer was complete."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    """By names in lower case."""
    body: bytes


class Connections:
    """Connections to one host, as many as threads use at a time, kept open between requests.

    Parameters
    ----------
    endpoint : Endpoint
        The host.
    read_seconds : float
        How long the host may be silent.
    """

    def __init__(self, endpoint: Endpoint, read_seconds: float) -> None:
        self._endpoint = endpoint
        self._read_seconds = read_seconds
        self._idle: list[http.client.HTTPConnection] = []  # append and pop are atomic

    def __del__(self) -> None:
        for connection in self._idle:
            connection.close()

    def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a request and read the whole answer.

        A host closes a connection that was idle for long. What is sent on one that was kept is therefore sent once
        more on a new one if nothing at all came back; all requests here may be repeated, as they only read.

        Raises
        ------
        UnreachableError
            There is no complete answer.
        """
        kept = self._idle.pop() if self._idle else None
        if kept is not None:
            try:
                return self._exchange(kept, method, target, headers, body)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                kept.close()
            except (OSError, http.client.HTTPException) as error:
                kept.close()
                raise UnreachableError(type(error).__name__) from None
        fresh = self._connect()
        try:
            return self._exchange(fresh, method, target, headers, body)
        except (OSError, http.client.HTTPException) as error:
            fresh.close()
            raise UnreachableError(type(error).__name__) from None

    def open_early(self) -> None:
        """Open a connection before it is needed; that the host cannot be reached is the business of who needs it."""
        try:
            self._idle.append(self._connect())
        except UnreachableError:
            return

    def _connect(self) -> http.client.HTTPConnection:
        endpoint = self._endpoint
        kind = http.client.HTTPSConnection if endpoint.secure else http.client.HTTPConnection
        connection = kind(endpoint.host, endpoint.port, timeout=CONNECT_SECONDS)
        try:
            connection.connect()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise UnreachableError(type(error).__name__) from None
        connection.sock.settimeout(self._read_seconds)
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Answer:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body or method != "GET":
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        content = answer.read()
        if answer.will_close:
            connection.close()
        else:
            self._idle.append(connection)
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)
