"""AWS over a real socket: an HTTP server before moto's simulation, for clients that are not botocore."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.awsrequest import AWSPreparedRequest, HeadersDict
from moto.core.models import botocore_stubber

from perennial.aws.lean.credentials import CredentialsProvider
from perennial.aws.lean.endpoints import bucket_place, endpoint_of
from perennial.aws.lean.service import Service
from perennial.aws.lean.signing import Signer
from perennial.aws.lean.stores import Dynamo, LeanObjects

REGION = "us-east-1"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


class _Handler(BaseHTTPRequestHandler):
    """Hands each request to moto, as if it had gone to AWS."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        service = "dynamodb" if self.headers.get("X-Amz-Target") else "s3"
        url = f"https://{service}.{REGION}.amazonaws.com{self.path}"
        headers = HeadersDict(dict(self.headers.items()))
        prepared = AWSPreparedRequest(self.command, url, headers, self.rfile.read(length), False)
        found = botocore_stubber.process_request(prepared)
        assert found is not None, f"moto does not know {self.command} {url}"
        status, answered, body = found
        content = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in answered.items():
            if name.lower() not in ("content-length", "connection", "date", "server", "transfer-encoding"):
                self.send_header(name, str(value))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler] = _Handler) -> Iterator[str]:
    """Serve on a free port of this machine; yield the URL. moto must be on (``mock_aws``)."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def environ(url: str) -> dict[str, str]:
    """Return the variables by which a client finds the server."""
    return {"AWS_REGION": REGION, "AWS_ENDPOINT_URL": url, **KEYS}


def lean_service(name: str, url: str, read_seconds: float = 5) -> Service:
    """Return a lean client of one service of the server."""
    variables = environ(url)
    return Service(
        endpoint_of(name, variables),
        Signer(name, REGION),
        CredentialsProvider(variables),
        lambda: datetime.now(UTC),
        read_seconds,
    )


def lean_objects(url: str, bucket: str) -> LeanObjects:
    """Return the objects of a bucket of the server."""
    _, path = bucket_place(endpoint_of("s3", environ(url)), bucket)
    return LeanObjects(lean_service("s3", url), bucket, path)


def lean_dynamo(url: str) -> Dynamo:
    """Return the DynamoDB of the server."""
    return Dynamo(lean_service("dynamodb", url))
