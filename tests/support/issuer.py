"""Somebody who issues tokens, with keys of both kinds that count, and of some that do not."""

from __future__ import annotations

import json
import time
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, RSAAlgorithm

ISSUER = "https://login.example.org/"
AUDIENCE = "perennial"
SECRET = "a secret that both sides would have to know, which is what makes it useless here"


@cache
def private(kid: str) -> Any:
    """Return the private key of an id: ``rsa`` and ``ec`` are the issuer's, ``stranger`` is not."""
    if kid == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def jwks() -> str:
    """Return the issuer's JSON Web Key Set (RFC 7517), with a shared secret in it that nobody should believe."""
    keys = [
        {**json.loads(RSAAlgorithm.to_jwk(private("rsa").public_key())), "kid": "rsa", "alg": "RS256", "use": "sig"},
        {**json.loads(ECAlgorithm.to_jwk(private("ec").public_key())), "kid": "ec", "alg": "ES256", "use": "sig"},
        {**json.loads(HMACAlgorithm.to_jwk(SECRET)), "kid": "secret", "alg": "HS256"},
    ]
    return json.dumps({"keys": keys})


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good token that may do everything; None takes a claim away."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "client_id": "shop",
        "iat": now,
        "exp": now + 300,
        "scope": "read predict feedback",
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def token(kid: str = "rsa", key: str | None = None, algorithm: str | None = None, **changes: Any) -> str:
    """Return a token.

    Parameters
    ----------
    kid : str
        The key that the header names.
    key : str or None
        The key that signs; the one that is named by default.
    algorithm : str or None
        What the header says of it.
    """
    algorithm = algorithm or ("ES256" if kid == "ec" else "RS256")
    signing = {"none": None, "HS256": SECRET}.get(algorithm, "asymmetric")
    return jwt.encode(
        claims(**changes),
        private(key or kid) if signing == "asymmetric" else signing,
        algorithm=algorithm,
        headers={"kid": kid},
    )
