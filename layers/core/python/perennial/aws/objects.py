"""Objects on S3."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from perennial.aws.errors import code_of, translated

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client


class S3ObjectStore:
    """One bucket.

    A role that may not list the bucket gets "access denied" for a missing object: grant ``s3:ListBucket``.

    Parameters
    ----------
    client : S3Client
        The S3 client; files go through its managed transfer (multipart, in parallel).
    bucket : str
        The bucket's name.
    """

    def __init__(self, client: S3Client, bucket: str) -> None:
        self.bucket = bucket
        self._client = client

    def get(self, key: str) -> bytes:
        """Return an object's bytes, or raise NotFoundError."""
        with translated(self._uri(key)):
            return self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return ``length`` bytes from ``start`` on, fewer where the object ends, or raise NotFoundError."""
        if length <= 0:
            return b""
        with translated(self._uri(key)):
            try:
                found = self._client.get_object(
                    Bucket=self.bucket, Key=key, Range=f"bytes={start}-{start + length - 1}"
                )
                # Here, as a connection that breaks meanwhile is to be translated too.
                return found["Body"].read()
            except ClientError as error:
                if code_of(error) in ("416", "InvalidRange"):
                    return b""
                raise

    def size(self, key: str, version: str | None = None) -> int:
        """Return how many bytes an object has, or raise NotFoundError."""
        which: dict[str, Any] = {} if version is None else {"VersionId": version}
        with translated(self._uri(key) + (f" in version {version}" if version else "")):
            return self._client.head_object(Bucket=self.bucket, Key=key, **which)["ContentLength"]

    def put(self, key: str, content: bytes, content_type: str = "application/octet-stream") -> None:
        """Write an object; a second write of the same key replaces it."""
        with translated(self._uri(key)):
            self._client.put_object(Bucket=self.bucket, Key=key, Body=content, ContentType=content_type)

    def put_new(self, key: str, content: bytes, content_type: str = "application/octet-stream") -> bool:
        """Write an object unless there is one of this key; tell whether. Of writers that race, one is told so."""
        with translated(self._uri(key)):
            try:
                self._client.put_object(
                    Bucket=self.bucket, Key=key, Body=content, ContentType=content_type, IfNoneMatch="*"
                )
            except ClientError as error:
                if code_of(error) in ("412", "PreconditionFailed"):
                    return False
                raise
            return True

    def download(self, key: str, path: Path, version: str | None = None) -> None:
        """Copy an object into a file, or raise NotFoundError."""
        which = None if version is None else {"VersionId": version}
        with translated(self._uri(key) + (f" in version {version}" if version else "")):
            self._client.download_file(self.bucket, key, str(path), ExtraArgs=which)

    def upload(self, path: Path, key: str) -> None:
        """Copy a file into an object."""
        with translated(self._uri(key)):
            self._client.upload_file(str(path), self.bucket, key)

    def exists(self, key: str) -> bool:
        """Tell whether there is such an object."""
        with translated(self._uri(key)):
            try:
                self._client.head_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if code_of(error) in ("404", "NoSuchKey", "NotFound"):
                    return False
                raise
            return True

    def delete(self, key: str, version: str | None = None) -> None:
        """Take an object away, or one of its versions for good; nothing happens if it is not there."""
        which: dict[str, Any] = {} if version is None else {"VersionId": version}
        with translated(self._uri(key)):
            self._client.delete_object(Bucket=self.bucket, Key=key, **which)

    def versions(self, key: str) -> list[str]:
        """Return an object's versions, newest first; ``null`` where the bucket keeps none."""
        with translated(self._uri(key)):
            pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=key)
            found = []
            for page in pages:
                found += [entry["VersionId"] for entry in page.get("Versions", []) if entry["Key"] == key]
                if any(entry["Key"] != key for entry in page.get("Versions", [])):
                    break  # keys come in their order: what follows only begins like this one
            return found

    def written_at(self, key: str, version: str | None = None) -> datetime:
        """Return when an object was written, to the second, or raise NotFoundError."""
        which: dict[str, Any] = {} if version is None else {"VersionId": version}
        with translated(self._uri(key) + (f" in version {version}" if version else "")):
            return self._client.head_object(Bucket=self.bucket, Key=key, **which)["LastModified"]

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with ``prefix``, in lexical order (of their UTF-8 bytes), all pages."""
        with translated(self._uri(prefix)):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def _uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"
