"""What was registered, and nothing else: files are compared with the SHA-256 that the catalog remembers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from perennial.errors import DataError, NotFoundError

if TYPE_CHECKING:
    from perennial.manifest import Manifest

ReadFile = Callable[[str], bytes]
"""The name of one of a version's files → its bytes; NotFoundError if there is none."""


def require_sha256(name: str, content: bytes, expected: str) -> None:
    """Raise DataError unless the content has the SHA-256 (64 hex digits) that was registered."""
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise DataError(
            f"{name}: has SHA-256 {found[:12]}…, but {expected[:12]}… was registered; "
            "the file was changed after it was registered: restore it or train again"
        )


def read_file(name: str, sha256: str, read: ReadFile) -> bytes:
    """Return one of a version's files, or raise DataError if it is missing or not the registered one."""
    try:
        content = read(name)
    except NotFoundError:
        raise DataError(f"{name}: is missing from the registered version; train and register again") from None
    require_sha256(name, content, sha256)
    return content


def read_manifest(content: bytes, sha256: str) -> Manifest:
    """Return a manifest, or raise DataError if it is not the registered one or not a manifest."""
    from pydantic import ValidationError  # late: serving reads manifests by `perennial.serving.served`

    from perennial.manifest import Manifest

    require_sha256("manifest.json", content, sha256)
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DataError(f"manifest.json: {place}: {first['msg'].lower()}; register the version again") from None
