"""Odd Parquet files, and what becomes of each: one list for the tests and for docs/dirty-data.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.dirty_files import said

_GOOD = {"at": "TIMESTAMP '2019-01-01' + INTERVAL (i) HOUR", "zone": "i::INTEGER", "miles": "2.5::FLOAT", "note": "'x'"}
ROWS = 4


@dataclass(frozen=True)
class Odd:
    """A Parquet file of ``ROWS`` rows that the engine writes, with some columns changed, and its outcome."""

    what: str
    columns: Mapping[str, str | None] = field(default_factory=dict)
    """Column to SQL over the row's number ``i``; None leaves it out."""
    good: int = ROWS
    bad: tuple[str, ...] = ()
    refused: str = ""
    rows: int = ROWS
    options: str = ""
    footer: tuple[bytes, bytes] = (b"", b"")
    """Bytes of the footer, and what is to stand in their place: what the engine would not write."""

    def outcome(self) -> str:
        """Return the page's words for what becomes of it."""
        return said(self.good, self.bad, self.refused)

    def damage(self, content: bytes) -> bytes:
        """Return a file's bytes with its footer changed."""
        length = int.from_bytes(content[-8:-4], "little")
        rows, footer = content[: -8 - length], content[-8 - length : -8].replace(*self.footer)
        return rows + footer + len(footer).to_bytes(4, "little") + content[-4:]

    def select(self) -> str:
        """Return the SELECT of the file's rows."""
        columns = {**_GOOD, **self.columns}
        listed = ", ".join(f'{sql} AS "{name}"' for name, sql in columns.items() if sql is not None)
        return f"SELECT {listed} FROM range({self.rows}) AS rows(i)"


def _type(what: str, column: str, sql: str, refused: str) -> Odd:
    return Odd(what, {column: sql}, 0, (), refused)


def _taken(what: str, column: str, sql: str, bad: tuple[str, ...] = ()) -> Odd:
    return Odd(what, {column: sql}, ROWS - len(bad), bad)


PARQUET: tuple[Odd, ...] = (
    Odd("narrower whole numbers and floats"),
    _taken(
        "`UBIGINT` within 64 bits but for one value",
        "zone",
        "if(i = 1, 18446744073709551615, i)::UBIGINT",
        ("2 zone: type",),
    ),
    _taken(
        "`BIGINT` for a double, one value not exact",
        "miles",
        "if(i = 1, 9007199254740993, i)::BIGINT",
        ("2 miles: type",),
    ),
    _taken(
        "NaN and infinity",
        "miles",
        "CASE i WHEN 0 THEN 'nan' WHEN 1 THEN 'inf' ELSE '1' END::DOUBLE",
        ("1 miles: finite", "2 miles: finite"),
    ),
    _taken("an enum for a string", "note", "'x'::ENUM ('x', 'y')"),
    _taken("a string without any value", "note", "NULL::VARCHAR"),
    _taken("a text of 2 MB", "note", "repeat('x', if(i = 0, 2_000_000, 1))", ("1 note: too_long",)),
    _taken("a NUL byte in a text", "note", "if(i = 0, 'a' || chr(0), 'x')", ("1 note: nul_byte",)),
    _taken("a moment adjusted to UTC for a timestamp", "at", "TIMESTAMPTZ '2019-01-01 00:00:00+02'"),
    _taken("milliseconds", "at", "TIMESTAMP_MS '2019-01-01 00:00:00.123'"),
    _taken(
        "nanoseconds, one value finer than a microsecond",
        "at",
        "if(i = 1, '2019-01-01 00:00:00.000000001', '2019-01-01')::TIMESTAMP_NS",
        ("2 at: type",),
    ),
    _taken("an infinite time", "at", "if(i = 1, 'infinity', '2019-01-01')::TIMESTAMP", ("2 at: type",)),
    _taken("the year 44444", "at", "if(i = 1, '44444-01-01', '2019-01-01')::TIMESTAMP", ("2 at: type",)),
    _taken("a missing value that must be there", "zone", "nullif(i, 2)::INTEGER", ("3 zone: absent",)),
    _type("a double for an integer", "zone", "i::DOUBLE", "the column zone is DOUBLE where the contract says integer"),
    _type("text for an integer", "zone", "'5'", "the column zone is VARCHAR where the contract says integer"),
    _type(
        "a decimal for a double",
        "miles",
        "2.5::DECIMAL(9, 2)",
        "the column miles is DECIMAL(9,2) where the contract says double",
    ),
    _type(
        "a date for a timestamp", "at", "DATE '2019-01-01'", "the column at is DATE where the contract says timestamp"
    ),
    _type("a list", "note", "['x']", "the column note is VARCHAR[] where the contract says string"),
    _type("a struct", "note", "{'a': 1}", "the column note is STRUCT(a INTEGER) where the contract says string"),
    _type("a map", "note", "MAP {'a': 1}", "the column note is MAP(VARCHAR, INTEGER) where the contract says string"),
    _type("a UUID", "note", "uuid()", "the column note is UUID where the contract says string"),
    _type("a time of day", "note", "TIME '08:00:00'", "the column note is TIME where the contract says string"),
    _type("an interval", "note", "INTERVAL 1 DAY", "the column note is INTERVAL where the contract says string"),
    _type("bytes", "note", "'x'::BLOB", "the column note is BLOB where the contract says string"),
    _type("a 128-bit number, which Parquet keeps as a double", "zone", "i::HUGEINT", "the column zone is DOUBLE where"),
    Odd("a nested column more", {"tip": "{'zone': [1]}"}),
    Odd("a column less", {"miles": None}, 0, (), "lacks the column miles"),
    Odd("a name in another case", {"zone": None, "Zone": "i"}, 0, (), "lacks the column zone (and has the column Zone"),
    Odd("names that differ in case alone", {"zonX": "'other'"}, footer=(b"zonX", b"Zone")),
    Odd(
        "a column of the engine's own name", {"file_row_number": "i"}, 0, (), "a name that the engine keeps for itself"
    ),
    Odd("no rows", {}, 0, (), "has no rows", rows=0),
    Odd(
        "a footer that claims a trillion rows",
        refused="over 1000 times its size",
        # In Thrift's compact form a 64-bit number begins with 0x16: here 4, and there 10 ** 12.
        footer=(b"\x16\x08", b"\x16\x80\xc0\xa8\xca\x9a\x3a"),
    ),
    Odd(
        "a text of a megabyte, said once for 1,100 rows",
        {"note": "repeat('x', 1_000_000)"},
        0,
        refused="over 1000 times its size",
        rows=1100,
    ),
)
"""Files that DuckDB writes."""
