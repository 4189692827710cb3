"""Dirty files, and what becomes of each: one list for the tests and for docs/dirty-data.md."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backports import zstd

from perennial.definitions import Column, Dataset

HEADER = b"at,zone,miles,note\n"
GOOD = b"2019-01-01 00:00:00,1,2.5,x\n"
LINE = b'{"at": "2019-01-01 00:00:00", "zone": 1, "miles": 2.5, "note": "x"}\n'


def rides(**changes: Any) -> Dataset:
    """Return the contract that all dirty files are held against."""
    columns = {
        "at": Column(type="timestamp"),
        "zone": Column(type="integer"),
        "miles": Column(type="double"),
        "note": Column(type="string", nullable=True),
    }
    return Dataset(**{"name": "rides", "event_time": "at", "columns": columns, **changes})


@dataclass(frozen=True)
class Dirty:
    """A dirty file and its outcome."""

    what: str
    """What the page calls it."""
    content: bytes
    good: int = 0
    bad: tuple[str, ...] = ()
    """Line and what the row breaks, such as ``3 zone: type``."""
    refused: str = ""
    """Part of the sentence that refuses the file."""
    name: str = "f"
    changes: Mapping[str, Any] = field(default_factory=dict)
    """To the contract."""

    def outcome(self) -> str:
        """Return the page's words for what becomes of it."""
        return said(self.good, self.bad, self.refused)


def said(good: int, bad: Sequence[str], refused: str) -> str:
    """Return the page's words for an outcome."""
    if refused:
        return f"refused: “… {refused} …”"
    rows = f"{good} good row{'s' * (good != 1)}" if good else ""
    lines = ", ".join(f"line {line} (`{rule}`)" for line, _, rule in (entry.partition(" ") for entry in bad))
    return ", ".join(filter(None, [rows, f"quarantined: {lines}" if lines else ""]))


def _zip(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("f.csv", content)
    return file.getvalue()


_TEXT = (HEADER + GOOD).decode()
_UMLAUT = "2019-01-01 00:00:00,1,2.5,Grün\n"
_MANY = HEADER + GOOD * 1000
_WIDE = ("at,zone,miles,note," + ",".join(f"c{i}" for i in range(10_000)) + "\n").encode()

CSV: tuple[Dirty, ...] = (
    Dirty("an empty file", b"", refused="is empty"),
    Dirty("a byte order mark and nothing else", b"\xef\xbb\xbf", refused="is empty"),
    Dirty("a header and no rows", HEADER, refused="has a header and no rows"),
    Dirty("no line end behind the last row", HEADER + GOOD[:-1], 1),
    Dirty("UTF-8 with a byte order mark", b"\xef\xbb\xbf" + HEADER + GOOD, 1),
    Dirty("UTF-16 with a byte order mark", _TEXT.encode("utf-16"), refused='write encoding = "utf-16"'),
    Dirty("UTF-16 without one", _TEXT.encode("utf-16-be"), refused='write encoding = "utf-16-be"'),
    Dirty("UTF-32", _TEXT.encode("utf-32"), refused='write encoding = "utf-32"'),
    Dirty("UTF-16 as declared", _TEXT.encode("utf-16"), 1, changes={"encoding": "utf-16"}),
    Dirty("UTF-8 where UTF-16 is declared", _MANY, refused="looks like utf-8", changes={"encoding": "utf-16"}),
    Dirty("Latin-1 undeclared", HEADER + GOOD + _UMLAUT.encode("latin-1"), 1, ("3 not_utf8",)),
    Dirty("Latin-1 as declared", HEADER + _UMLAUT.encode("latin-1"), 1, changes={"encoding": "latin-1"}),
    Dirty(
        "a byte that the declared cp1252 does not know",
        HEADER + GOOD + b"2019-01-01 00:00:00,1,2.5,\x81\n" + GOOD,
        2,
        ("3 not_utf8",),
        changes={"encoding": "cp1252"},
    ),
    Dirty(
        "UTF-8 with a byte order mark where Latin-1 is declared",
        b"\xef\xbb\xbf" + HEADER + GOOD,
        refused="looks like utf-8",
        changes={"encoding": "latin-1"},
    ),
    Dirty("a header with a byte that is not UTF-8", b"at,zone,miles,not\xff\n" + GOOD, refused="header is not utf-8"),
    Dirty("a NUL byte", HEADER + GOOD + b"2019-01-01 00:00:00,1,2.5,a\0b\n", 1, ("3 nul_byte",)),
    Dirty("NUL bytes and nothing else", b"\0" * 5000, refused="lacks the columns"),
    Dirty("a quote that is never closed", HEADER + b'2019-01-01 00:00:00,1,2.5,"x\n' + GOOD, 1, ("2 quotes",)),
    Dirty("a quote inside a field", HEADER + b'2019-01-01 00:00:00,1,2.5,5" pipe\n' + GOOD, 1, ("2 quotes",)),
    Dirty("a line end inside quotes", HEADER + b'2019-01-01 00:00:00,1,2.5,"a\nb"\n' + GOOD, 2),
    Dirty("a column twice", b"at,zone,miles,note,zone\n", refused="names the column zone more than once"),
    Dirty("a column less", b"at,zone,note\n", refused="lacks the column miles"),
    Dirty("a name in another case", b"at,Zone,miles,note\n", refused="lacks the column zone (and has the column Zone"),
    Dirty("a column more", b"at,zone,miles,note,tip\n" + GOOD[:-1] + b",1\n", 1),
    Dirty(
        "a column more where the contract refuses them",
        b"at,zone,miles,note,tip\n",
        refused="has the column tip, which the contract does not know",
        changes={"extra_columns": "refuse"},
    ),
    Dirty("10,000 columns more", _WIDE + GOOD[:-1] + b"," * 10_000 + b"\n", 1),
    Dirty("one column only", b"at\n2019-01-01\n", refused="lacks the columns zone, miles, note"),
    Dirty("semicolons", HEADER.replace(b",", b";") + GOOD.replace(b",", b";"), refused="is the delimiter right?"),
    Dirty("full-width commas", _TEXT.replace(",", "\uff0c").encode(), refused="is the delimiter right?"),
    Dirty("a blank line before the header", b"\n" + HEADER + GOOD, refused="lacks the columns"),
    Dirty("wide and short rows", HEADER + b"1,2,3,4,5\n" + GOOD + b"1,2\n", 1, ("2 width", "4 width")),
    Dirty("a blank line", HEADER + GOOD + b"\n" + GOOD, 2, ("3 width",)),
    Dirty("CR as line end", (HEADER + GOOD * 2).replace(b"\n", b"\r"), 2),
    Dirty("mixed line ends", HEADER + GOOD[:-1] + b"\r\n" + GOOD[:-1] + b"\r" + GOOD, 3),
    Dirty("a field of 2 MB", HEADER + GOOD[:-2] + b"x" * 2_000_000 + b"\n" + GOOD, 1, ("2 too_long",)),
    Dirty("a column without any value", HEADER + b"2019-01-01 00:00:00,1,2.5,\n" * 20, 20),
    Dirty(
        "a column without any value that must have one",
        HEADER + b"2019-01-01 00:00:00,,2.5,x\n" * 20,
        refused="it has 0 good rows",
    ),
    Dirty(
        "a column of another type",
        HEADER + b"2019-01-01 00:00:00,north,2.5,x\n" * 20,
        refused="none of the 20 values of zone is of the type integer",
    ),
    Dirty("a broken row among good ones", HEADER + GOOD + b"2019-01-01,one,2.5,x\n", 1, ("3 zone: type",)),
    Dirty("gzip", gzip.compress(HEADER + GOOD, mtime=0), 1),
    Dirty("gzip in several members", gzip.compress(HEADER, mtime=0) + gzip.compress(GOOD, mtime=0), 1),
    Dirty("zstd", zstd.compress(HEADER + GOOD), 1),
    Dirty("zstd in several frames", zstd.compress(HEADER) + zstd.compress(GOOD), 1),
    Dirty("gzip that was cut off", gzip.compress(_MANY, mtime=0)[:-9], refused="is broken gzip"),
    Dirty("zstd that was cut off", zstd.compress(_MANY)[:-3], refused="is broken zstd"),
    Dirty("gzip of nothing", gzip.compress(b"", mtime=0), refused="is empty"),
    Dirty(
        "gzip of gzip",
        gzip.compress(gzip.compress(_MANY, mtime=0), mtime=0),
        refused="is gzip within gzip, or packed twice",
    ),
    Dirty("plain text named .gz", _MANY, refused="is named .gz but is not gzip", name="f.csv.gz"),
    Dirty("gzip named .zst", gzip.compress(_MANY, mtime=0), refused="is named .zst but is not zstd", name="f.csv.zst"),
    Dirty("a zip archive named .csv", _zip(_MANY), refused="a zip archive or an Excel workbook", name="f.csv"),
    Dirty("Parquet named .csv", b"PAR1\x15\x04" + bytes(40) + b"PAR1", refused="is not CSV but Parquet", name="f.csv"),
    Dirty(
        "a gigabyte without a line end in a megabyte of gzip",
        gzip.compress(HEADER, mtime=0) + gzip.compress(b"x" * (1 << 20), mtime=0) * 1024,
        refused="there is no line end in",
    ),
)
"""CSV files."""

BYTES: tuple[Dirty, ...] = tuple(
    Dirty(what, content, refused=refused, changes={"format": "parquet"})
    for what, content, refused in (
        ("an empty file", b"", "is empty"),
        ("CSV", HEADER + GOOD, "is not Parquet"),
        ("the beginning of a file", b"PAR1\x15\x04" + bytes(100), "is Parquet that was cut off"),
        ("a footer of nonsense", b"PAR1" + b"\xff" * 100 + b"PAR1", "cannot be read as Parquet"),
        ("encrypted Parquet", b"PARE" + bytes(40) + b"PARE", "is encrypted Parquet"),
        ("gzip", gzip.compress(b"PAR1", mtime=0), "is packed; upload the Parquet as it is"),
    )
)
"""What is uploaded as Parquet and is none."""

_JSON_CHANGES = {"format": "jsonl"}


def _line(**changes: str) -> bytes:
    fields = {"at": '"2019-01-01 00:00:00"', "zone": "1", "miles": "2.5", "note": '"x"', **changes}
    return ("{" + ", ".join(f'"{key}": {value}' for key, value in fields.items()) + "}\n").encode()


def _json(what: str, content: bytes, *outcome: Any, **more: Any) -> Dirty:
    return Dirty(what, content, *outcome, **{"changes": _JSON_CHANGES, **more})


JSON_LINES: tuple[Dirty, ...] = (
    _json("an empty file", b"", refused="is empty"),
    _json("a JSON array", b"[" + LINE.strip() + b"]\n", refused="is a JSON array"),
    _json("an object over several lines", b'{\n"at": 1\n}\n', refused="has a JSON object over several lines"),
    _json(
        "keys in any order, and one more",
        LINE + b'{"note": null, "tip": [1], "miles": 2, "zone": 1, "at": "2019-01-01"}\n',
        2,
    ),
    _json(
        "a key that is missing where a value may be absent", _line(note="null") + LINE.replace(b', "note": "x"', b""), 2
    ),
    _json("a key that no line has", b'{"at": "2019-01-01", "zone": 1}\n', refused="no line has the keys miles, note"),
    _json("a key twice", LINE + LINE.replace(b'"note": "x"', b'"zone": 2'), 1, ("2 duplicate_key",)),
    _json("`NaN`", LINE + _line(miles="NaN"), 1, ("2 json",)),
    _json("`-Infinity`", LINE + _line(miles="-Infinity"), 1, ("2 json",)),
    _json("`1e400`", LINE + _line(miles="1e400"), 1, ("2 miles: finite",)),
    _json("a whole number of 5,000 digits", LINE + _line(zone="9" * 5000), 1, ("2 zone: type",)),
    _json('`"5"` for an integer', LINE + _line(zone='"5"'), 1, ("2 zone: type",)),
    _json("`5` for a string", LINE + _line(note="5"), 1, ("2 note: type",)),
    _json("an array for a number", LINE + _line(miles="[1]"), 1, ("2 miles: type",)),
    _json("an object for a string", LINE + _line(note='{"a": 1}'), 1, ("2 note: type",)),
    _json(r"a lone surrogate, `\ud800`", LINE + _line(note=r'"\ud800"'), 1, ("2 json",)),
    _json(r"a NUL character, `\u0000`", LINE + _line(note=r'"\u0000"'), 1, ("2 nul_byte",)),
    _json("100,000 brackets", LINE + b"[" * 100_000 + b"\n", 1, ("2 json",)),
    _json("a comma too many", LINE + LINE.replace(b"}", b",}"), 1, ("2 json",)),
    _json("single quotes", LINE + LINE.replace(b'"', b"'"), 1, ("2 json",)),
    _json("two objects on a line", LINE + LINE[:-1] + LINE, 1, ("2 json",)),
    _json("a line that is no object", LINE + b"5\nnull\n", 1, ("2 json", "3 json")),
    _json("a blank line", LINE + b"\n" + LINE, 2, ("2 json",)),
    _json("a byte that is not UTF-8", LINE + LINE.replace(b"x", b"\xff"), 1, ("2 not_utf8",)),
    _json("UTF-16", LINE.decode().encode("utf-16"), refused='write encoding = "utf-16"'),
    _json("a text of 2 MB", LINE + LINE.replace(b"x", b"x" * 2_000_000), 1, ("2 too_long",)),
    _json("CRLF, and no line end at the end", LINE[:-1] + b"\r\n" + LINE[:-1], 2),
    _json("a line end within a text", _line(note=r'"a\r\nb"') + LINE, 2),
    _json("zstd", zstd.compress(LINE), 1),
    _json(
        "keys that are values",
        b"".join(_line(**{f"k{i}": "1"}) for i in range(1001)),
        refused="more than 1000 keys that the contract does not know",
    ),
)
"""Files of JSON Lines."""
