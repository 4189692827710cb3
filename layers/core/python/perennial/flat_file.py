"""A flat file: a JSON header and arrays of numbers one after the other. The standard library reads it in no time.

::

    8 bytes     PERNFLAT
    4 bytes     length of the header, little-endian
    header      JSON object; its ``arrays`` lists name, type (``i`` int32, ``I`` uint32, ``d`` float64) and count
    arrays      little-endian, each begins at a multiple of 8 bytes

Equal headers and arrays give equal bytes.
"""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Mapping
from typing import Any

from perennial.errors import DataError

_MAGIC = b"PERNFLAT"
_SIZES = {"i": 4, "I": 4, "d": 8}
_AGAIN = "train and register again"


def pack(header: Mapping[str, Any], arrays: Mapping[str, array[Any]]) -> bytes:
    """Return the flat file of a header (JSON values) and named arrays of the types ``i``, ``I`` and ``d``."""
    listed = [[name, values.typecode, len(values)] for name, values in arrays.items()]
    text = json.dumps({**header, "arrays": listed}, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-(len(_MAGIC) + 4 + len(text)) % 8)
    parts = [_MAGIC, len(text).to_bytes(4, "little"), text]
    for values in arrays.values():
        content = _little_endian(values).tobytes()
        parts += [content, b"\0" * (-len(content) % 8)]
    return b"".join(parts)


def unpack(content: bytes) -> tuple[dict[str, Any], dict[str, array[Any]]]:
    """Return header and arrays of a flat file.

    Raises
    ------
    DataError
        It is none, or not a whole one.
    """
    start = len(_MAGIC) + 4
    if not content.startswith(_MAGIC) or len(content) < start:
        raise DataError(f"model.flat: it is no flat file; {_AGAIN}")
    end = start + int.from_bytes(content[len(_MAGIC) : start], "little")
    try:
        header = json.loads(content[start:end])
        listed = [(str(name), _SIZES[code], code, _count(count)) for name, code, count in header["arrays"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"model.flat: its header cannot be read ({error}); {_AGAIN}") from None
    if len(content) != end + sum(_padded(size * count) for _, size, _, count in listed):
        raise DataError(f"model.flat: it has {len(content):,} bytes, which its header does not say; {_AGAIN}")
    arrays: dict[str, array[Any]] = {}
    whole = memoryview(content)
    for name, size, code, count in listed:
        values: array[Any] = array(code)
        values.frombytes(whole[end : end + size * count])
        arrays[name] = _little_endian(values)
        end += _padded(size * count)
    return header, arrays


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def _padded(length: int) -> int:
    return length + -length % 8


def _little_endian(values: array[Any]) -> array[Any]:
    """Return an array's little-endian form, or of that form the array: each undoes the other."""
    if sys.byteorder == "little":
        return values
    swapped = values[:]
    swapped.byteswap()
    return swapped
