"""Telling, a block at a time, whether CSV text is so well-formed that the engine reads it as its records stand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perennial.data.reading.csv_records import MAX_LINES, is_utf8
from perennial.data.reading.sources import MAX_RECORD

_QUOTE, _NEWLINE, _UNDERSCORE = b'"\n_'
_SLICE = 1 << 18
"""Bytes that are compared at a time: what comes of them stays in the cache, and no memory is asked for anew."""
Positions = NDArray[np.int64]


@dataclass(frozen=True)
class SoundBlock:
    """Records of which each has the header's number of fields and sound quotes, with LF as line end."""

    text: bytes
    size: int
    """Bytes at the beginning of the text that are whole records; the last one may lack its line end."""
    rows: int
    lines: int
    quotes: Positions
    """Where quotes stand."""
    multiline: bool
    """Whether a record spans lines."""

    @property
    def records(self) -> memoryview:
        """The whole records."""
        return memoryview(self.text)[: self.size]

    def starts(self) -> tuple[Positions, Positions]:
        """Return where each record begins, and on which line (from 0); one more of both stands for the end."""
        newlines = _positions(self.records, _NEWLINE)
        if self.text[self.size - 1] != _NEWLINE:
            newlines = np.append(newlines, self.size)
        lines = np.arange(1, len(newlines) + 1)
        if self.multiline:
            outside = np.searchsorted(self.quotes, newlines) % 2 == 0
            newlines, lines = newlines[outside], lines[outside]
        return np.append(0, newlines + 1), np.append(0, lines)

    def has_odd_numbers(self) -> bool:
        """Tell whether the block may hold what the engine takes for a number and a contract does not."""
        return _has_two_signs(self.text) or _joins_digits(self.text)


def sound_block(text: bytes, delimiter: bytes, width: int, final: bool) -> tuple[SoundBlock, int] | None:
    """Return the whole records at the text's beginning, and how many bytes they take; None if one may be unsound.

    A None says only that the text needs a closer look (`csv_records.cut`).

    Parameters
    ----------
    text : bytes
        From the beginning of a record on.
    delimiter : bytes
        What stands between two fields.
    width : int
        Number of fields in the header.
    final : bool
        Whether nothing follows in the file.
    """
    if len(delimiter) != 1 or b"\0" in text:
        return None
    quotes = _positions(text, _QUOTE) if b'"' in text else np.empty(0, np.int64)
    size = used = len(text) if final else _end(text, quotes)
    quotes = quotes[: np.searchsorted(quotes, size)]
    # The bytes are looked at where they are: a copy takes longer than a look.
    if size == 0 or not (text.isascii() or is_utf8(text[:size])):
        return None
    if b"\r" in text:
        # A CR but before LF is a line end of its own, or part of a value.
        text = text[:size]
        if text.count(b"\r") != text.count(b"\r\n"):
            return None
        if len(quotes) and _count_inside(quotes, text, _NEWLINE):
            return None
        text = text.replace(b"\r\n", b"\n")
        size = len(text)
        quotes = _positions(text, _QUOTE) if len(quotes) else quotes
    records = memoryview(text)[:size]
    if not _are_sound(quotes, records, delimiter):
        return None
    lines = _count(records, _NEWLINE) + (text[size - 1] != _NEWLINE)
    delimiters, inside = _count(records, delimiter[0]), 0
    if len(quotes):
        inside = _count_inside(quotes, records, _NEWLINE)
        delimiters -= _count_inside(quotes, records, delimiter[0])
    found = SoundBlock(text, size, lines - inside, lines, quotes, inside > 0)
    # The engine itself refuses a row that is too short; one that is too long it takes if the last field is empty.
    if delimiters != found.rows * (width - 1) or not _are_short(found):
        return None
    if width == 1 and (text.startswith(b"\n") or text.find(b"\n\n", 0, size) >= 0):
        return None
    return found, used


def _bytes(text: bytes | memoryview) -> NDArray[np.uint8]:
    return np.frombuffer(text, dtype=np.uint8)


def _count(text: bytes | memoryview, symbol: int) -> int:
    """Count a symbol, faster than ``bytes.count`` where it is frequent."""
    symbols = _bytes(text)
    return sum(
        int(np.count_nonzero(symbols[start : start + _SLICE] == symbol)) for start in range(0, len(symbols), _SLICE)
    )


def _positions(text: bytes | memoryview, symbol: int) -> Positions:
    """Return where a symbol stands."""
    symbols = _bytes(text)
    starts = range(0, len(symbols), _SLICE)
    found = [np.flatnonzero(symbols[start : start + _SLICE] == symbol) + start for start in starts]
    return np.concatenate(found) if found else np.empty(0, np.int64)


def _end(text: bytes, quotes: Positions) -> int:
    """Return the end of the last whole record, or 0."""
    at = text.rfind(b"\n")
    for _ in range(MAX_LINES):
        if at < 0 or not np.searchsorted(quotes, at) % 2:
            return at + 1
        at = text.rfind(b"\n", 0, at)
    return 0


def _are_sound(quotes: Positions, block: memoryview, delimiter: bytes) -> bool:
    """Tell whether quotes open and close fields, as RFC 4180 has them; two in a row close and open again."""
    if len(quotes) == 0:
        return True
    if len(quotes) % 2:
        return False
    symbols = _bytes(block)
    before = symbols[np.maximum(quotes[0::2] - 1, 0)]
    opens = (before == delimiter[0]) | (before == _NEWLINE) | (quotes[0::2] == 0)
    opens[1:] |= quotes[2::2] == quotes[1:-1:2] + 1
    behind = symbols[np.minimum(quotes[1::2] + 1, len(block) - 1)]
    closes = (behind == delimiter[0]) | (behind == _NEWLINE) | (quotes[1::2] == len(block) - 1)
    closes[:-1] |= quotes[2::2] == quotes[1:-1:2] + 1
    return bool(opens.all() and closes.all())


def _count_inside(quotes: Positions, block: bytes | memoryview, symbol: int) -> int:
    """Count a symbol within quoted fields."""
    symbols = _bytes(block)
    count = 0
    for start in range(0, len(symbols), _SLICE):
        passed = np.cumsum(symbols[start : start + _SLICE] == symbol, dtype=np.int32)
        first, end = np.searchsorted(quotes, (start, start + _SLICE))
        # The symbol is no quote, so it does not matter that a quote's own place is counted with what is before it.
        at = passed[quotes[first:end] - start]
        count += int(at[(first + 1) % 2 :: 2].sum()) - int(at[first % 2 :: 2].sum())
        if end % 2:
            count += int(passed[-1])
    return count


def _are_short(block: SoundBlock) -> bool:
    if block.multiline:
        starts, lines = block.starts()
        return bool(np.diff(starts).max() <= MAX_RECORD and np.diff(lines).max() < MAX_LINES)
    # A line end in each half means that no record is longer than the whole.
    half = MAX_RECORD // 2
    stretches = range(0, block.size - half, half)
    return all(block.text.find(b"\n", start, start + half) >= 0 for start in stretches)


def _has_two_signs(text: bytes) -> bool:
    """Tell whether a minus follows a plus; searching for both at once is slow where there are many of one."""
    if b"+" not in text:
        return False
    symbols = _bytes(text)
    at = np.flatnonzero(symbols[:-1] == ord("+"))
    return bool((symbols[at + 1] == ord("-")).any())


def _joins_digits(text: bytes) -> bool:
    """Tell whether an underscore stands between two digits."""
    if b"_" not in text:
        return False
    symbols = _bytes(text)
    at = np.flatnonzero(symbols == _UNDERSCORE)
    at = at[(at > 0) & (at < len(text) - 1)]
    before, behind = symbols[at - 1] - ord("0"), symbols[at + 1] - ord("0")
    return bool(((before < 10) & (behind < 10)).any())
