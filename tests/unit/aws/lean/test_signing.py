"""Signatures are those of botocore's own signers, whatever is signed."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from perennial.aws.lean.signing import Credentials, Signer, query_string

AT = datetime(2026, 3, 1, 12, 30, 45, tzinfo=UTC)
ODD = "aZ0-_.~ /+=&?%#@!$'()*,;:[]é☃\U0001f600"


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let botocore believe that it is always the same moment."""
    monkeypatch.setattr(auth, "get_current_datetime", lambda *_, **__: AT.replace(tzinfo=None))


def by_botocore(service: str, method: str, url: str, headers: dict[str, str], body: bytes, token: str | None) -> str:
    signer = {"s3": auth.S3SigV4Auth}.get(service, auth.SigV4Auth)
    request = AWSRequest(method, url, data=body, headers=headers)
    request.context["client_config"] = None
    signer(BotocoreCredentials("AKIDEXAMPLE", "secret/+key", token), service, "eu-central-1").add_auth(request)
    return str(request.headers["Authorization"])


def ours(
    service: str, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes, token: str | None
) -> str:
    credentials = Credentials("AKIDEXAMPLE", "secret/+key", token)
    host = "bucket.example.com"
    signed = Signer(service, "eu-central-1").sign(method, host, path, query, headers, body, credentials, AT)
    return signed["Authorization"]


@pytest.mark.parametrize("seed", range(60))
def test_a_get_of_an_object_is_signed_as_botocore_signs_it(seed: int) -> None:
    chance = random.Random(seed)
    path = "/" + quote("".join(chance.choices(ODD, k=chance.randint(0, 40))), safe="/~")
    query = {"".join(chance.choices(ODD, k=3)) + str(n): "".join(chance.choices(ODD, k=8)) for n in range(seed % 3)}
    token = "session/token+=" if chance.random() < 0.5 else None
    url = f"https://bucket.example.com{path}" + (f"?{query_string(query)}" if query else "")
    headers = {"Range": "bytes=0-9", "User-Agent": "not signed"} if seed % 2 else {}
    assert ours("s3", "GET", path, query, headers, b"", token) == by_botocore("s3", "GET", url, headers, b"", token)


@pytest.mark.parametrize("seed", range(40))
def test_a_call_of_dynamodb_is_signed_as_botocore_signs_it(seed: int) -> None:
    chance = random.Random(seed)
    body = "".join(chance.choices(ODD, k=chance.randint(0, 300))).encode()
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "DynamoDB_20120810.GetItem",
        "X-Odd": "  two   words " + "x" * seed,
    }
    token = "session/token+=" if seed % 2 else None
    url = "https://bucket.example.com/"
    assert ours("dynamodb", "POST", "/", {}, headers, body, token) == by_botocore(
        "dynamodb", "POST", url, headers, body, token
    )


def test_another_day_or_another_secret_is_another_signature() -> None:
    signer = Signer("s3", "eu-central-1")
    made = {
        signer.sign("GET", "h", "/", {}, {}, b"", Credentials("A", secret), at)["Authorization"].rpartition("=")[2]
        for secret in ("one", "two")
        for at in (AT, AT.replace(day=2))
    }
    assert len(made) == 4


def test_what_is_shown_of_credentials_has_no_secret() -> None:
    shown = repr(Credentials("AKIDEXAMPLE", "the-secret", "the-token"))
    assert "the-secret" not in shown
    assert "the-token" not in shown
