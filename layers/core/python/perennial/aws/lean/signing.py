"""AWS Signature Version 4 with hashlib and hmac.

The algorithm is that of "Create a signed AWS API request" in the AWS IAM User Guide; botocore's signer is the oracle
of its tests.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote

UNSIGNED = frozenset({"connection", "expect", "keep-alive", "transfer-encoding", "user-agent", "x-amzn-trace-id"})
"""Headers, in lower case, that what stands between may change."""


@dataclass(frozen=True)
class Credentials:
    """Whose name a request is signed in."""

    access_key: str
    secret_key: str
    token: str | None = None
    """Of temporary credentials."""
    expires_at: datetime | None = None
    """None means never, as far as anybody told."""

    def __repr__(self) -> str:
        return f"Credentials({self.access_key!r}, …)"  # a secret has no place in a log


@dataclass(frozen=True)
class Signer:
    """Signs the requests to one service in one region.

    Parameters
    ----------
    service : str
        Such as ``s3`` or ``dynamodb``.
    region : str
        Such as ``eu-central-1``.
    """

    service: str
    region: str

    def sign(
        self,
        method: str,
        host: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        credentials: Credentials,
        at: datetime,
    ) -> dict[str, str]:
        """Return the headers of the signed request: those given, ``Host`` and what the signature adds.

        Parameters
        ----------
        method : str
            In capitals.
        host : str
            With the port, where it is not the scheme's own.
        path : str
            As it is sent: percent-encoded.
        query : mapping
            Names and values as they are meant, not encoded.
        headers : mapping
            Sent and signed, but for those in ``UNSIGNED``.
        body : bytes
            Empty where there is none.
        at : datetime
            The moment in UTC; AWS takes what is within some minutes of its own clock.
        """
        stamp = at.strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest()
        sent = {"Host": host, **headers, "X-Amz-Date": stamp}
        if self.service == "s3":
            sent["X-Amz-Content-SHA256"] = digest
        if credentials.token is not None:
            sent["X-Amz-Security-Token"] = credentials.token
        signed = {name.lower(): " ".join(value.split()) for name, value in sent.items()}
        names = sorted(name for name in signed if name not in UNSIGNED)
        canonical = "\n".join(
            [
                method,
                path if self.service == "s3" else quote(path, safe="/~"),
                query_string(query),
                *(f"{name}:{signed[name]}" for name in names),
                "",
                ";".join(names),
                digest,
            ]
        )
        scope = f"{stamp[:8]}/{self.region}/{self.service}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = _key(credentials.secret_key, stamp[:8], self.region, self.service)
        sent["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={';'.join(names)}, Signature={hmac.digest(key, text.encode(), 'sha256').hex()}"
        )
        return sent


def query_string(query: Mapping[str, str]) -> str:
    """Return a query in the order and encoding that is signed, and sent."""
    encoded = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in encoded)


@lru_cache(maxsize=8)
def _key(secret: str, day: str, region: str, service: str) -> bytes:
    """Return the key of a day: four digests that a hundred thousand requests share."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
