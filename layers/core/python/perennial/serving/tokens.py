"""Who a token (JWT) speaks for and what it allows, and the policy that says so to API Gateway."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jwt

from perennial.errors import RequestError
from perennial.serving.routes import OPERATIONS, PERMISSIONS, Operation, Permission

ALGORITHMS = ("RS256", "ES256")
"""Signatures with a key pair: the issuer alone can make them. ``none`` and shared secrets are refused."""
LEEWAY_SECONDS = 10
"""How far the issuer's clock may be from ours."""
LONGEST = 8192
"""Characters of a token at most."""
CLIENT_CLAIMS = ("client_id", "azp", "sub")
"""Claims that name the client, the first one that is there."""


@dataclass(frozen=True)
class Caller:
    """Who calls."""

    client: str
    permissions: tuple[Permission, ...]


class PublicKeys(Protocol):
    """The issuer's keys."""

    def find(self, kid: str) -> jwt.PyJWK | None:
        """Return the key of that id, None if the issuer has none for the algorithms that count."""


def read_token(authorization: str, keys: PublicKeys, issuer: str, audience: str) -> Caller:
    """Check a token and return who calls.

    Parameters
    ----------
    authorization : str
        The header of that name: ``Bearer`` and a JWT in its compact form.
    keys : PublicKeys
        Where the key is found that the token's header names.
    issuer, audience : str
        What the claims ``iss`` and ``aud`` must say. ``exp`` must be there and lie ahead; ``nbf`` and ``iat`` must not.

    Raises
    ------
    RequestError
        The token does not count, whyever: its sentence is for the log, not for the caller.
    TransientError
        The issuer's keys cannot be read now.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or len(token) > LONGEST:
        raise RequestError(f"the header Authorization is not Bearer and a token of at most {LONGEST:,} characters")
    try:
        header = jwt.get_unverified_header(token)
        kid = header.get("kid")
        key = keys.find(kid) if isinstance(kid, str) else None
        if key is None or key.algorithm_name not in ALGORITHMS:
            raise RequestError("the token names no key of the issuer")
        claims = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],  # the key says how it signs; the token's header must agree
            issuer=issuer,
            audience=audience,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud"]},
        )
    except (jwt.PyJWTError, ValueError) as error:
        raise RequestError(f"the token does not count: {error}") from None
    return Caller(_client(claims), _permissions(claims))


def policy(caller: Caller, method_arn: str) -> dict[str, Any]:
    """Return the policy with which ``authorize`` answers API Gateway.

    It holds for every method of the API's stage, as API Gateway remembers it for the token's next calls too.

    Parameters
    ----------
    method_arn : str
        Of the call: ``arn:aws:execute-api:region:account:api/stage/METHOD/path``.
    """
    stage = "/".join(method_arn.split("/")[:2])
    allowed = [_pattern(stage, one) for one in OPERATIONS if one.permission in caller.permissions]
    effect = "Allow" if allowed else "Deny"
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": sorted(set(allowed)) or [f"{stage}/*"]}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _pattern(stage: str, operation: Operation) -> str:
    path = operation.path
    for name in operation.parameters:
        path = path.replace(f"{{{name}}}", "*")
    return f"{stage}/{operation.method}{path}"


def _client(claims: Mapping[str, Any]) -> str:
    for name in CLIENT_CLAIMS:
        if isinstance(claims.get(name), str) and claims[name]:
            return str(claims[name])
    raise RequestError(f"the token names no client: it needs one of {', '.join(CLIENT_CLAIMS)}")


def _permissions(claims: Mapping[str, Any]) -> tuple[Permission, ...]:
    """Return what the scopes allow; each may stand behind the API's own name, as in ``perennial/predict``."""
    scope = claims.get("scope", claims.get("scp", ()))
    named: Iterable[object] = scope.split() if isinstance(scope, str) else scope if isinstance(scope, list) else ()
    bare = {str(one).rpartition("/")[2] for one in named}
    return tuple(permission for permission in PERMISSIONS if permission in bare)
