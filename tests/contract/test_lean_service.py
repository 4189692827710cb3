"""What the lean client does when a service is busy, breaks off or says no: the words and limits of the others."""

from __future__ import annotations

import itertools
import socket
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar

import pytest

from perennial.aws import retrying
from perennial.errors import NotFoundError, PerennialError, TransientError
from tests.support.aws_server import lean_dynamo, lean_objects, lean_service, serving

SECRET = "the caller's own"


class Scripted(BaseHTTPRequestHandler):
    """Answers by a script: (status, body), or what it does with the connection."""

    protocol_version = "HTTP/1.1"
    script: ClassVar[Iterator[Any]]
    seen: ClassVar[list[tuple[str, str, bytes]]]
    ports: ClassVar[list[int]]

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        type(self).seen.append((self.command, self.path, body))
        type(self).ports.append(self.client_address[1])
        turn = next(type(self).script)
        if turn == "hang up":
            self.close_connection = True
            return
        status, content, headers = (*turn, {})[:3]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) + int(headers.get("X-Cut", 0))))
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = headers.get("Connection") == "close"

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    Scripted.seen, Scripted.ports = [], []
    with serving(Scripted) as url:
        yield url


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses that are made, which take no time."""
    made: list[float] = []
    monkeypatch.setattr(retrying.time, "sleep", made.append)
    return made


def play(*turns: Any) -> None:
    Scripted.script = iter(turns)


OK = (200, b"content")
BUSY = (503, b"<Error><Code>SlowDown</Code></Error>")
DYNAMO_BUSY = (400, b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow down"}')


@pytest.mark.parametrize("turn", [BUSY, (429, b""), (500, b"not xml"), "hang up"], ids=["503", "429", "500", "cut"])
def test_a_busy_service_is_asked_up_to_four_times(url: str, turn: Any, pauses: list[float]) -> None:
    play(turn, turn, turn, OK)
    assert lean_objects(url, "b").get("k") == b"content"
    assert len(pauses) == 3
    play(*itertools.repeat(turn, 4))
    with pytest.raises(TransientError, match=r"s3://b/k: .*the same call may succeed later"):
        lean_objects(url, "b").get("k")


def test_dynamodbs_throttling_is_transient_although_its_status_is_400(url: str) -> None:
    play(DYNAMO_BUSY, (200, b'{"Item": {"pk": {"S": "x"}}}'))
    assert lean_dynamo(url).get_item("t", ("p", "s")) == {"pk": {"S": "x"}}


@pytest.mark.parametrize(
    ("turn", "error", "words"),
    [
        ((404, b"<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>"), NotFoundError, "no such object"),
        ((404, b""), NotFoundError, "no such object"),
        ((403, b"<Error><Code>AccessDenied</Code></Error>"), PerennialError, "access denied"),
        ((403, b""), PerennialError, "access denied"),
        (
            (400, b"<Error><Code>InvalidRequest</Code><Message>odd</Message></Error>"),
            PerennialError,
            "InvalidRequest: odd",
        ),
        ((418, b"tea"), PerennialError, "HTTP status 418"),
    ],
    ids=["missing", "bare 404", "denied", "bare 403", "invalid", "other"],
)
def test_what_no_second_try_would_mend_is_said_at_once(
    url: str, turn: Any, error: type[PerennialError], words: str, pauses: list[float]
) -> None:
    play(turn)
    with pytest.raises(error, match=words) as caught:
        lean_objects(url, "b").get("k")
    assert type(caught.value) is error
    assert pauses == []


def test_connections_are_kept_and_one_that_was_closed_meanwhile_is_replaced(url: str, pauses: list[float]) -> None:
    objects = lean_objects(url, "b")
    play(OK, OK, "hang up", OK, (200, b"last", {"Connection": "close"}), OK)
    for expected in (b"content", b"content", b"content", b"last", b"content"):
        assert objects.get("k") == expected
    first, second, third, fourth, fifth, sixth = Scripted.ports
    assert first == second == third
    assert fourth == fifth
    assert len({first, fourth, sixth}) == 3
    assert pauses == []


def test_an_answer_that_was_cut_or_garbled_is_asked_for_again(url: str) -> None:
    whole = b'{"Item": {"pk": {"S": "x"}}}'
    right, wrong = str(zlib.crc32(whole)), str(zlib.crc32(whole) ^ 1)
    play((200, whole, {"x-amz-crc32": wrong}), (200, whole, {"x-amz-crc32": right}))
    assert lean_dynamo(url).get_item("t", ("p", "s")) is not None
    play((200, b"part", {"X-Cut": "7", "Connection": "close"}), OK)
    assert lean_objects(url, "b").get("k") == b"content"


def test_a_service_that_is_silent_is_given_up_in_time(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        service = lean_service("s3", f"http://127.0.0.1:{silent.getsockname()[1]}", read_seconds=0.05)
        with pytest.raises(TransientError, match="TimeoutError"):
            service.call("s3://b/k", "GET", "/b/k", {})


def test_a_host_that_is_not_there_is_transient() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    with pytest.raises(TransientError, match="ConnectionRefusedError"):
        lean_objects(f"http://127.0.0.1:{free}", "b").get("k")
    lean_service("s3", f"http://127.0.0.1:{free}").open_early()  # whoever needs it is told


def test_nothing_of_what_was_sent_stands_in_an_error(url: str) -> None:
    play((400, b'{"__type":"x#ValidationException","message":"no"}'))
    with pytest.raises(PerennialError, match="ValidationException: no") as caught:
        lean_dynamo(url).batch_get_item({"t": {"Keys": [{"pk": {"S": SECRET}}]}}, "table t")
    assert SECRET.encode() in Scripted.seen[0][2]
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("key", ["a/b.json", "odd key+%&?#é☃", "dots/../and//slashes", "~tilde", "a=b:c@d"])
def test_an_object_of_any_key_is_got(server: str, key: str) -> None:
    import boto3

    boto3.client("s3").put_object(Bucket="raw-uploads", Key=key, Body=b"x")
    assert lean_objects(server, "raw-uploads").get(key) == b"x"
