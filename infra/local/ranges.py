"""Ranges of an object's older version, which the emulator answers with the whole object.

boto3 downloads what is larger than 8 MB in ranges, and an upload is read by its version: without this, the file that
arrives is made of several copies of itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def patch() -> None:
    """Answer a GET of a version and a range with that range (206), or say that there is no such range (416)."""
    from ministack.services import s3

    get: Callable[..., tuple[int, dict[str, str], Any]] = s3._get_object

    def get_range(
        bucket_name: str, key: str, headers: dict[str, str], query_params: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        asked = headers.get("range", "") if (query_params or {}).get("versionId") else ""
        if not asked:
            return get(bucket_name, key, headers, query_params)
        # The checksum is the whole object's: beside a part of it, a client would find that they differ.
        plain = {name: value for name, value in headers.items() if name not in ("range", "x-amz-checksum-mode")}
        status, answer, body = get(bucket_name, key, plain, query_params)
        if status != 200 or answer.get("Content-Range"):
            return status, answer, body
        found = s3._parse_range(asked, len(body))
        if found is None:
            xml = s3._xml_body(s3._range_error_xml(bucket_name, key))
            return 416, {"Content-Type": "application/xml", "Content-Range": f"bytes */{len(body)}"}, xml
        first, last = found
        part = body[first : last + 1]
        span = {"Content-Length": str(len(part)), "Content-Range": f"bytes {first}-{last}/{len(body)}"}
        return 206, {**answer, **span}, part

    s3._get_object = get_range
