"""What programs do with texts, as DuckDB does it: by code points, with Unicode's simple letter cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perennial.errors import DataError
from perennial.serving.program_parts import decimal

Function = Callable[..., Any]
SPACES = "".join(map(chr, (0x20, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)))
"""What `trim` takes away: Unicode's space separators (Zs), not tabs nor ends of lines."""


def written(number: float) -> str:
    """Return a double as SQL writes it."""
    return repr(number)


def lower(text: str) -> str:
    """Return a text in lower case, one letter for each: Python alone would make two of İ."""
    return text.lower() if text.isascii() else "".join(["i" if letter == "İ" else letter.lower() for letter in text])


def upper(text: str) -> str:
    """Return a text in upper case, one letter for each: Python alone would make two of ß."""
    return text.upper() if text.isascii() else "".join(map(_upper, text))


def _upper(letter: str) -> str:
    if letter == "ß":
        return "ẞ"
    large = letter.upper()
    if len(large) > 1:
        large = letter.title()
    return large if len(large) == 1 else letter


def _left(count: int) -> tuple[str, Function]:
    _require_natural(count)
    return "t:t", lambda text: text[:count]


def _right(count: int) -> tuple[str, Function]:
    _require_natural(count)
    return "t:t", lambda text: text[-count:] if count else ""


def _substring(start: int, length: int | None = None) -> tuple[str, Function]:
    _require_natural(start - 1)
    if length is None:
        return "t:t", lambda text: text[start - 1 :]
    _require_natural(length)
    return "t:t", lambda text: text[start - 1 : start - 1 + length]


def _require_natural(count: int) -> None:
    if type(count) is not int or count < 0:
        raise DataError(f"program: {count!r} is no number of letters")


def _strip(side: str, letters: str) -> tuple[str, Function]:
    if not isinstance(letters, str):
        raise DataError("program: trim takes letters")
    if side == "both":
        return "t:t", lambda text: text.strip(letters)
    if side == "left":
        return "t:t", lambda text: text.lstrip(letters)
    if side == "right":
        return "t:t", lambda text: text.rstrip(letters)
    raise DataError(f"program: trim has no side {side!r}")


def _like(pattern: str) -> tuple[str, Function]:
    """Match a pattern whose only wildcard is ``%``."""
    if "_" in pattern:
        raise DataError("program: LIKE knows the wildcard % alone")
    first, *rest = pattern.split("%")
    if not rest:
        return "t:b", lambda text: text == pattern
    *inner, last = rest

    def matches(text: str) -> bool:
        if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
            return False
        place, end = len(first), len(text) - len(last)
        for piece in inner:
            found = text.find(piece, place, end)
            if found < 0:
                return False
            place = found + len(piece)
        return True

    return "t:b", matches


def _decimal_text(sql_type: str) -> tuple[str, Function]:
    """Write a decimal with all its places."""
    _, places = decimal(sql_type)

    def text(value: int) -> str:
        digits = str(abs(value)).rjust(places + 1, "0")
        number = f"{digits[: len(digits) - places]}.{digits[len(digits) - places :]}" if places else digits
        return f"-{number}" if value < 0 else number

    return "i:t", text


FUNCTIONS: dict[str, tuple[str, Function]] = {
    "lower": ("t:t", lower),
    "upper": ("t:t", upper),
    "length": ("t:i", len),
    "replace": ("ttt:t", lambda text, old, new: text.replace(old, new) if old else text),
    "join": ("tt:t", lambda left, right: left + right),
    "contains": ("tt:b", lambda text, part: part in text),
    "starts_with": ("tt:b", str.startswith),
    "ends_with": ("tt:b", str.endswith),
    "position": ("tt:i", lambda text, part: text.find(part) + 1),
    "whole_text": ("i:t", str),
    "double_text": ("d:t", written),
    "boolean_text": ("b:t", lambda value: "true" if value else "false"),
}
MAKERS: dict[str, Callable[..., tuple[str, Function]]] = {
    "left": _left,
    "right": _right,
    "substring": _substring,
    "strip": _strip,
    "like": _like,
    "decimal_text": _decimal_text,
}
