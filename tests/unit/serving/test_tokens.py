"""Whose token counts, and what it allows."""

from __future__ import annotations

import base64
import json
import time
from fnmatch import fnmatchcase
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.errors import RequestError
from perennial.serving.routes import OPERATIONS
from perennial.serving.tokens import Caller, policy, read_token
from tests.support.issuer import AUDIENCE, ISSUER, SECRET, claims, jwks, private, token

ARN = "arn:aws:execute-api:us-east-1:000000000000:abcdefghij/dev/POST/models/fare/predict"


class Keys:
    """The issuer's keys, at hand."""

    def __init__(self) -> None:
        self._keys = {key.key_id: key for key in jwt.PyJWKSet.from_json(jwks()).keys}

    def find(self, kid: str) -> jwt.PyJWK | None:
        return self._keys.get(kid)


def read(written: str, scheme: str = "Bearer") -> Caller:
    return read_token(f"{scheme} {written}", Keys(), ISSUER, AUDIENCE)


@pytest.mark.parametrize("kid", ["rsa", "ec"])
def test_a_token_of_the_issuer_counts_with_either_kind_of_key(kid: str) -> None:
    assert read(token(kid)) == Caller("shop", ("read", "predict", "feedback"))
    assert read(token(kid), "bearer").client == "shop"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"key": "stranger"}, "verification failed"),
        ({"kid": "nobody", "key": "rsa"}, "names no key"),
        ({"algorithm": "none"}, "not allowed|names no key"),
        ({"algorithm": "HS256"}, "not allowed"),
        ({"kid": "secret", "algorithm": "HS256"}, "names no key"),
        ({"kid": "ec", "key": "rsa", "algorithm": "RS256"}, "not allowed"),
        ({"exp": int(time.time()) - 60}, "expired"),
        ({"exp": None}, "exp"),
        ({"nbf": int(time.time()) + 86_400}, "not yet valid"),
        ({"iat": int(time.time()) + 86_400}, "not yet valid"),
        ({"iss": "https://login.example.com/"}, "issuer"),
        ({"iss": None}, "iss"),
        ({"aud": "another"}, "[Aa]udience"),
        ({"aud": None}, "aud"),
        ({"client_id": None, "sub": None}, "names no client"),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(value),
)
def test_a_token_that_is_not_as_it_must_be_does_not_count(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(RequestError, match=why):
        read(token(**changes))


def test_the_public_key_taken_for_a_shared_secret_signs_nothing() -> None:
    # The confusion of algorithms: RFC 8725, section 2.1.
    import hashlib
    import hmac

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = private("rsa").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "kid": "rsa", "typ": "JWT"}, claims())
    ]
    signed = b".".join(parts)
    signature = base64.urlsafe_b64encode(hmac.new(pem, signed, hashlib.sha256).digest()).rstrip(b"=")
    with pytest.raises(RequestError):
        read((signed + b"." + signature).decode())


def test_a_token_whose_claims_were_changed_does_not_count() -> None:
    head, _, signature = token(scope="read").split(".")
    _, body, _ = token(scope="read predict feedback").split(".")
    with pytest.raises(RequestError, match="verification failed"):
        read(f"{head}.{body}.{signature}")


@given(written=st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_what_is_no_token_is_refused_and_nothing_else(written: str) -> None:
    with pytest.raises(RequestError):
        read(written)
    with pytest.raises(RequestError):
        read(f"{written}.{written}.{written}")


def test_only_a_bearer_is_heard() -> None:
    with pytest.raises(RequestError, match="not Bearer"):
        read(token(), "Basic")
    with pytest.raises(RequestError, match="not Bearer"):
        read("x" * 9000)


@pytest.mark.parametrize(
    ("scopes", "permissions"),
    [
        ({"scope": "predict"}, ("predict",)),
        ({"scope": "perennial/read perennial/feedback"}, ("read", "feedback")),
        ({"scope": None, "scp": ["predict", "admin"]}, ("predict",)),
        ({"scope": "admin"}, ()),
        ({"scope": None}, ()),
        ({"scope": {"predict": True}}, ()),
    ],
    ids=str,
)
def test_scopes_are_permissions(scopes: dict[str, Any], permissions: tuple[str, ...]) -> None:
    assert read(token(**scopes)).permissions == permissions


def allowed(caller: Caller, method: str, path: str) -> bool:
    (statement,) = policy(caller, ARN)["Statement"]
    arn = f"{ARN.rpartition('/POST')[0]}/{method}{path}"
    return statement["Effect"] == "Allow" and any(fnmatchcase(arn, pattern) for pattern in statement["Resource"])


@pytest.mark.parametrize("permission", ["read", "predict", "feedback"])
def test_a_policy_allows_the_operations_of_its_permissions_and_no_others(permission: Any) -> None:
    caller = Caller("shop", (permission,))
    for operation in OPERATIONS:
        path = operation.path.replace("{", "").replace("}", "")
        assert allowed(caller, operation.method, path) is (operation.permission == permission), operation.name


def test_a_policy_without_permissions_denies_all_and_names_the_stage_alone() -> None:
    (statement,) = policy(Caller("shop", ()), ARN)["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Resource"] == ["arn:aws:execute-api:us-east-1:000000000000:abcdefghij/dev/*"]
    assert SECRET not in json.dumps(statement)
