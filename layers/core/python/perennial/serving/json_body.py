"""A body of JSON, read strictly: nothing that JSON has not, nothing twice, nothing deep, nothing large."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, NoReturn

from perennial.errors import RequestError, TooLargeError
from perennial.serving.values import Number

MAX_BYTES = 5_000_000
"""Largest body of a call; AWS Lambda takes no more than 6 MB."""
MAX_DEPTH = 16
"""Deepest nesting of lists and objects; what is asked for needs five levels at most."""
_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_PAIR = re.compile(rb"\[\]|\{\}")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


def read_object(body: str | bytes | None, example: str) -> dict[str, Any]:
    """Return the JSON object that a body is.

    Numbers that are written with a point or an exponent keep their text (:class:`~perennial.serving.values.Number`).

    Parameters
    ----------
    example : str
        What is asked for, for messages.

    Raises
    ------
    TooLargeError
        More than ``MAX_BYTES``.
    RequestError
        The body is not a JSON object, nests more deeply than ``MAX_DEPTH`` or says a key twice.
    """
    if not body:
        raise RequestError(f"the body is empty; send {example}", "body")
    raw = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    if len(raw) > MAX_BYTES:
        raise TooLargeError(f"the body is larger than {MAX_BYTES:,} bytes; send it in several calls", "body")
    _require_shallow(raw)
    content = _parse(raw)
    if not isinstance(content, dict):
        raise RequestError(f"the body must be an object: {example}", "body")
    return content


def require_keys(entry: Mapping[str, Any], needed: tuple[str, ...], place: str, allowed: tuple[str, ...] = ()) -> None:
    """Raise RequestError unless an object has the keys that it needs and no others than those allowed."""
    where = f"{place}." if place else ""
    for name in entry:
        if name not in needed and name not in allowed:
            known = " and ".join((*needed, *allowed))
            raise RequestError(f"{where}{name} is not known; send {known}", f"{where}{name}")
    for name in needed:
        if name not in entry:
            raise RequestError(f"{where}{name} is missing", f"{where}{name}")


def _require_shallow(raw: bytes) -> None:
    """Refuse deep nesting before a parser has to follow it."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return  # as in most calls: what has few brackets is not deep
    brackets = _TEXT.sub(b"", raw).translate(None, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return
        brackets = _PAIR.sub(b"", brackets)  # one level
    # What is left is deeper, or not closed as it was opened and so no JSON, which the parser tells.
    if brackets and _closes(brackets):
        raise RequestError(f"the body nests more than {MAX_DEPTH} levels; what is asked for is flat", "body")


def _closes(brackets: bytes) -> bool:
    return brackets.count(b"[") == brackets.count(b"]") and brackets.count(b"{") == brackets.count(b"}")


def _parse(raw: bytes) -> Any:
    try:
        return _decode(raw.decode())
    except RequestError:
        raise
    except RecursionError:
        raise RequestError("the body nests too deeply; what is asked for is flat", "body") from None
    except UnicodeDecodeError:
        raise RequestError("the body is not UTF-8 text", "body") from None
    except json.JSONDecodeError as error:
        raise RequestError(f"the body is not JSON: {error}", "body") from None
    except ValueError:  # Python reads no whole number of more than 4,300 digits
        raise RequestError(
            "the body holds a number of thousands of digits; send numbers that a double holds", "body"
        ) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        counted = Counter(name for name, _ in pairs)
        name = next(name for name, times in counted.items() if times > 1)
        raise RequestError(f"the key {name!r} stands twice in one object; send it once", name)
    return content


def _refuse_constant(text: str) -> NoReturn:
    raise RequestError(f"{text} is not JSON; send null for a missing value", "body")


_decode = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=Number).decode
