"""The authorizer as API Gateway calls it."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest

import functions.authorize
from perennial.errors import PerennialError
from perennial.settings import TokenSettings
from tests.functions.conftest import event
from tests.support.issuer import AUDIENCE, ISSUER, jwks, token


class Kept:
    """Keys of the issuer and of the clients, at hand."""

    def find(self, kid: str) -> jwt.PyJWK | None:
        return {key.key_id: key for key in jwt.PyJWKSet.from_json(jwks()).keys}.get(kid)

    def value(self, client: str) -> str:
        return f"key of {client}"


@pytest.fixture(autouse=True)
def _tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = TokenSettings(
        token_issuer=ISSUER,
        token_audience=AUDIENCE,
        token_jwks=f"{ISSUER}jwks.json",
        client_keys=json.dumps({"shop": "k1", "others": "k2"}),
        other_clients="others",
    )
    for name, value in settings.to_env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(functions.authorize, "keys", lambda _: (Kept(), Kept()))


def call(written: str) -> dict[str, Any]:
    return functions.authorize.handler(event("authorize", authorizationToken=f"Bearer {written}"), None)


def test_the_bearer_of_a_good_token_gets_a_policy_and_is_counted_as_its_client() -> None:
    answer = call(token(scope="predict"))
    assert (answer["principalId"], answer["usageIdentifierKey"]) == ("shop", "key of shop")
    (statement,) = answer["policyDocument"]["Statement"]
    assert statement["Effect"] == "Allow"
    assert any(arn.endswith("/POST/models/*/predict") for arn in statement["Resource"])
    assert answer["context"] == {"client": "shop", "permissions": "predict"}


@pytest.mark.parametrize(
    "changes", [{"key": "stranger"}, {"exp": 1}, {"algorithm": "none"}], ids=["key", "exp", "none"]
)
def test_whoever_is_refused_is_told_one_word_and_the_log_says_why(
    changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    written = token(**changes)
    with pytest.raises(PerennialError, match=r"^Unauthorized$"):
        call(written)
    assert written not in caplog.text


def test_the_sample_event_s_unsigned_token_is_refused() -> None:
    with pytest.raises(PerennialError, match=r"^Unauthorized$"):
        functions.authorize.handler(event("authorize"), None)
