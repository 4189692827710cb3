"""The issuer's keys are read seldom, and the clients' keys once."""

from __future__ import annotations

import io
from typing import Any

import pytest
import urllib3

from perennial.aws import issuer
from perennial.aws.issuer import BETWEEN_SECONDS, KEPT_SECONDS, ClientKeys, IssuerKeys
from perennial.errors import TransientError
from tests.support.issuer import jwks


class Web:
    """Counts who asks for the keys."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.status = 200
        self.asked: list[str] = []

    def request(self, method: str, address: str, **options: Any) -> urllib3.HTTPResponse:
        self.asked.append(address)
        assert options["redirect"] is False
        return urllib3.HTTPResponse(body=io.BytesIO(self.content), status=self.status, preload_content=False)


class Stopwatch:
    """Stands still until it is told."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Web:
    found = Web(jwks().encode())
    monkeypatch.setattr(issuer.urllib3, "request", found.request)
    return found


def test_keys_are_read_once_in_a_while_and_soon_again_for_one_that_is_new(web: Web) -> None:
    clock = Stopwatch()
    keys = IssuerKeys("https://login.example.org/jwks.json", clock)
    for _ in range(3):
        key = keys.find("rsa")
        assert key is not None
        assert key.algorithm_name == "RS256"
    assert keys.find("new") is None
    assert len(web.asked) == 1, "whoever names unknown keys does not make the issuer be asked"
    clock.seconds = BETWEEN_SECONDS + 1
    assert keys.find("new") is None
    assert len(web.asked) == 2
    clock.seconds += KEPT_SECONDS + 1
    assert keys.find("ec") is not None
    assert len(web.asked) == 3


def test_a_key_that_is_withdrawn_counts_no_longer(web: Web) -> None:
    clock = Stopwatch()
    keys = IssuerKeys("https://login.example.org/jwks.json", clock)
    assert keys.find("rsa") is not None
    web.content = b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "other", "alg": "HS256"}]}'
    clock.seconds = KEPT_SECONDS + 1
    assert keys.find("rsa") is None


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"keys": []}', b"<html>", b'{"keys": 3}', b'{"keys": [3]}'])
def test_an_answer_that_is_no_key_set_is_a_reason_to_try_again(web: Web, content: bytes) -> None:
    web.content = content
    with pytest.raises(TransientError, match="keys at https://login"):
        IssuerKeys("https://login.example.org/jwks.json").find("rsa")


def test_keys_that_come_with_an_error_are_none(web: Web) -> None:
    web.status = 500
    with pytest.raises(TransientError, match="status 500"):
        IssuerKeys("https://login.example.org/jwks.json").find("rsa")


def test_an_issuer_that_cannot_be_reached_is_a_reason_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise urllib3.exceptions.ConnectTimeoutError("too long")

    monkeypatch.setattr(issuer.urllib3, "request", unreachable)
    with pytest.raises(TransientError, match="too long"):
        IssuerKeys("https://login.example.org/jwks.json").find("rsa")


def test_a_client_is_counted_under_its_own_key_and_every_other_under_one_for_all() -> None:
    class ApiGateway:
        def __init__(self) -> None:
            self.asked: list[str] = []

        def get_api_key(self, **asked: Any) -> dict[str, str]:
            assert asked["includeValue"] is True
            self.asked.append(asked["apiKey"])
            return {"value": f"value of {asked['apiKey']}"}

    gateway = ApiGateway()
    keys = ClientKeys(gateway, {"shop": "k1", "others": "k2"}, "others")
    assert [keys.value(name) for name in ("shop", "ada", "bob", "shop")] == [
        "value of k1", "value of k2", "value of k2", "value of k1"
    ]  # fmt: skip
    assert gateway.asked == ["k1", "k2"]
