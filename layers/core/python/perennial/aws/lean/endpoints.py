"""Where a service answers: AWS's own addresses, or those that ``AWS_ENDPOINT_URL`` and its like name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from perennial.errors import DefinitionError


@dataclass(frozen=True)
class Endpoint:
    """Where a service answers."""

    secure: bool
    host: str
    port: int | None = None
    """None means the scheme's own."""
    path: str = ""
    """What stands before the path of every request, without a slash at its end."""
    custom: bool = False
    """Whether it was named by a variable: buckets are then in the path, as nobody knows the names of hosts."""

    @property
    def authority(self) -> str:
        """The host, with its port where that is not the scheme's own: the header ``Host``."""
        own = 443 if self.secure else 80
        return self.host if self.port in (None, own) else f"{self.host}:{self.port}"


def region_of(environ: Mapping[str, str]) -> str:
    """Return the region, or raise DefinitionError."""
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise DefinitionError("environment variable AWS_REGION: is missing; AWS Lambda sets it, elsewhere set it")
    return region


def endpoint_of(service: str, environ: Mapping[str, str]) -> Endpoint:
    """Return where a service answers in the region of the environment.

    ``AWS_ENDPOINT_URL_<SERVICE>`` comes before ``AWS_ENDPOINT_URL``, and ``AWS_IGNORE_CONFIGURED_ENDPOINT_URLS``
    before both, as in AWS's SDKs.

    Raises
    ------
    DefinitionError
        The region is missing, or an endpoint is not a URL of http or https.
    """
    region = region_of(environ)
    url = ""
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() != "true":
        url = environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or environ.get("AWS_ENDPOINT_URL") or ""
    if not url:
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        return Endpoint(True, f"{service}.{region}.{suffix}")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DefinitionError(f"environment variable AWS_ENDPOINT_URL: {url!r} is not a URL of http or https")
    return Endpoint(parts.scheme == "https", parts.hostname, parts.port, parts.path.rstrip("/"), custom=True)


def bucket_place(endpoint: Endpoint, bucket: str) -> tuple[Endpoint, str]:
    """Return the endpoint and the beginning of the path of a bucket's objects.

    AWS knows each bucket as a host; a dot in a bucket's name would not match AWS's certificate, so there, and on
    endpoints of one's own, the bucket stands in the path.
    """
    if endpoint.custom or "." in bucket:
        return endpoint, f"{endpoint.path}/{quote(bucket, safe='')}"
    return Endpoint(endpoint.secure, f"{bucket}.{endpoint.host}", endpoint.port), ""
