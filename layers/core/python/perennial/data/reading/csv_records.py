"""Cutting CSV text into records, each with its line number, so that one broken row never costs another.

DuckDB's CSV reader guesses line ends from the file's beginning, gives up on a file that mixes them (a last
line without the CR that all others have is enough), and loses count of lines after a broken quote. So records
are cut here, by RFC 4180 with any of LF, CRLF and CR as line end, and DuckDB is handed well-formed ones only.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from perennial.data.reading.sources import MAX_RAW, MAX_RECORD, BadRecord

MAX_LINES = 1000
"""Lines beyond which a quoted field counts as never closed."""


@dataclass
class Block:
    """A stretch of the file: well-formed records, in order, and the bad ones between them."""

    records: Sequence[bytes] = ()
    """Records without line ends: UTF-8, no NUL, as many fields as the header."""
    lines: Sequence[int] = ()
    """The line on which each record begins."""
    bad: list[BadRecord] = field(default_factory=list)


class Dialect:
    """The patterns of one delimiter.

    Parameters
    ----------
    delimiter : str
        One character.
    """

    def __init__(self, delimiter: str) -> None:
        self.delimiter = delimiter.encode()
        d = re.escape(self.delimiter)
        # A delimiter beyond ASCII is several bytes, so "not the delimiter" is a look-ahead rather than a class.
        plain = rb'(?:(?!%b)[^"\r\n])*+' % d
        quoted = rb'"[^"]*+(?:""[^"]*+)*+"'
        value = rb"(?:%b|%b)" % (quoted, plain)
        self._quoted = re.compile(quoted)
        self._value = re.compile(value)
        self._record = re.compile(rb"%b(?:%b%b)*+" % (value, d, value))
        self._open = re.compile(rb'(?:%b%b)*+"[^"]*+(?:""[^"]*+)*+' % (value, d))

    def well_formed(self, record: bytes) -> bool:
        """Tell whether quotes stand where RFC 4180 has them."""
        return self._record.fullmatch(record) is not None

    def opens(self, text: bytes) -> bool:
        """Tell whether the text ends inside a quoted field."""
        return self._open.fullmatch(text) is not None

    def width(self, record: bytes) -> int:
        """Count the fields of a well-formed record."""
        plain = self._quoted.sub(b"", record) if b'"' in record else record
        return plain.count(self.delimiter) + 1

    def fields(self, record: bytes) -> list[str]:
        """Split a well-formed record into the texts of its fields."""
        if b'"' not in record:
            return record.decode().split(self.delimiter.decode())
        texts, at = [], 0
        while True:
            match = self._value.match(record, at)
            assert match is not None, "a field may be empty, so it always matches"
            text = match[0].decode()
            texts.append(text[1:-1].replace('""', '"') if text.startswith('"') else text)
            if match.end() >= len(record):
                return texts
            at = match.end() + len(self.delimiter)


def decode(raw: bytes) -> str:
    r"""Return a record as text for people: at most ``MAX_RAW`` characters, invalid UTF-8 as ``\xNN``."""
    return raw[: 4 * MAX_RAW].decode("utf-8", "backslashreplace")[:MAX_RAW]


def cut(text: bytes, dialect: Dialect, width: int, line: int, final: bool) -> tuple[Block, int, int]:
    """Cut text into records.

    Parameters
    ----------
    text : bytes
        Whole lines, from the beginning of a record on.
    dialect : Dialect
        The delimiter's patterns.
    width : int
        Number of fields in the header.
    line : int
        The line on which the text begins.
    final : bool
        Whether nothing follows in the file.

    Returns
    -------
    tuple
        The records, how many bytes they took and the line behind them. A record that may go on behind the text is left.
    """
    lines = text.splitlines(keepends=True)
    records: list[bytes] = []
    numbers: list[int] = []
    bad: list[BadRecord] = []
    at = used = 0
    while at < len(lines):
        span = _span(lines, at, dialect, final)
        if span == 0:
            break
        raw = lines[at] if span == 1 else b"".join(lines[at : at + span])
        record = _without_line_end(raw)
        fault = _fault(record, dialect, width)
        if fault is None:
            records.append(record)
            numbers.append(line + at)
        else:
            bad.append(BadRecord(line + at, None, None, *fault, decode(record)))
        at += span
        used += len(raw)
    return Block(records, numbers, bad), used, line + at


def _span(lines: Sequence[bytes], at: int, dialect: Dialect, final: bool) -> int:
    """Return how many lines the record that begins at ``at`` has; 0 when that shows only with more of the file.

    A quote that is never closed must not swallow the good rows behind it: then the record is one (bad) line.
    """
    text = lines[at]
    if b'"' not in text or not dialect.opens(text):
        return 1
    for end in range(at + 1, min(len(lines), at + MAX_LINES)):
        text += lines[end]
        if len(text) > MAX_RECORD:
            return 1
        if b'"' in lines[end] and not dialect.opens(text):
            return end + 1 - at if dialect.well_formed(_without_line_end(text)) else 1
    return 1 if final or at + MAX_LINES <= len(lines) else 0


def _fault(record: bytes, dialect: Dialect, width: int) -> tuple[str, str] | None:
    """Return (rule, reason) of what is wrong with a record's form, or None."""
    if len(record) > MAX_RECORD:
        return "too_long", f"the row is longer than {MAX_RECORD >> 20} MiB"
    if not is_utf8(record):
        return "not_utf8", "the row is not UTF-8 text; save the file as UTF-8"
    if b"\0" in record:
        return "nul_byte", "the row holds a NUL byte"
    if b'"' in record and not dialect.well_formed(record):
        if dialect.opens(record):
            return "quotes", "a quote opens a field and is never closed"
        return "quotes", 'a quote stands inside a field; put the field in quotes and write "" for the quote'
    if not record and width > 1:
        return "width", f"the line is empty, but the header has {width} columns"
    fields = dialect.width(record)
    if fields != width:
        return "width", f"the row has {fields} field{'s' * (fields != 1)}, but the header has {width}"
    return None


def _without_line_end(text: bytes) -> bytes:
    if text.endswith(b"\r\n"):
        return text[:-2]
    return text[:-1] if text.endswith((b"\n", b"\r")) else text


def is_utf8(text: bytes) -> bool:
    """Tell whether text is UTF-8."""
    if text.isascii():
        return True
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        # Bit by bit, as the whole of it as text may take four times the memory.
        for start in range(0, len(text), MAX_RECORD):
            decoder.decode(text[start : start + MAX_RECORD])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
