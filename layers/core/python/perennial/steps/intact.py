"""Whether what is stored of a version is what was registered."""

from __future__ import annotations

from perennial import keys
from perennial.errors import DataError, NotFoundError
from perennial.manifest import Manifest
from perennial.ports import ObjectStore
from perennial.records import ModelVersion
from perennial.serving.integrity import read_manifest, require_sha256


def require_intact(store: ObjectStore, version: ModelVersion) -> Manifest:
    """Compare a version's manifest and files with what the catalog remembers; return the manifest.

    Raises
    ------
    DataError
        Something is missing, or is not what was registered. Nobody may override that.
    """
    what = f"version {version.version} of {version.model} is not intact"
    try:
        manifest = read_manifest(_read(store, version.manifest_key), version.manifest_sha256)
        for name, sha256 in manifest.files.items():
            require_sha256(name, _read(store, keys.artifact(version.model, version.version, name)), sha256)
    except DataError as error:
        raise DataError(f"{what}: {error}") from None
    return manifest


def _read(store: ObjectStore, key: str) -> bytes:
    try:
        return store.get(key)
    except NotFoundError:
        raise DataError(f"s3://{store.bucket}/{key} is missing; restore it or train again") from None


def write_once(store: ObjectStore, key: str, content: bytes, content_type: str = "application/octet-stream") -> None:
    """Write an artifact, which never changes: what is there already must be the same.

    Raises
    ------
    DataError
        There is another content under the key.
    """
    if not store.put_new(key, content, content_type) and store.get(key) != content:
        raise DataError(
            f"s3://{store.bucket}/{key}: there is another content already, and artifacts are never overwritten; "
            "look who wrote it, and train again"
        )
