"""Whatever bytes are uploaded: they are validated or refused in one sentence, and every row is counted once."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.data.contract.validate import validate
from perennial.data.engine import Resources
from perennial.definitions import Dataset
from perennial.errors import DataError
from tests.support.dirty_files import GOOD, HEADER, LINE, rides

ONE = Resources(memory="256MB", threads=1)
PIECES = [
    *(
        b'"',
        b'""',
        b",",
        b"\n",
        b"\r\n",
        b"\r",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xc3\xa9",
        b"\\",
        b"\\u0001",
        b"\x01",
    ),
    *(b"{", b"}", b"[", b"]", b":", b"null", b"true", b"NaN", b"1e400", b"-", b"1_0", b"'", b"\x1f\x8b", b"\\ud800"),
    *(b'"zone"', b'"note"', b'"x":', b" ", b"\t", b"2019-01-01", b"1", b"x", b"\xe2\x80\xa8", b"\x0b", b"\x85", b"#"),
]
pieces = st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)
tails = st.one_of(st.binary(max_size=200), pieces, st.tuples(pieces, st.binary(max_size=20), pieces).map(b"".join))


def ends_well(content: bytes, dataset: Dataset, block: int) -> None:
    with TemporaryDirectory() as directory:
        folder = Path(directory)
        source, quarantine = folder / "upload", folder / "quarantine.jsonl"
        source.write_bytes(content)
        refused = ""
        try:
            found = validate(source, dataset, folder, quarantine, name="f", resources=ONE, block=block)
        except DataError as error:
            refused = str(error)
        if refused:
            assert refused.startswith("f: ")
            assert "\n" not in refused
            return
        bad = [json.loads(line) for line in quarantine.read_text(encoding="utf-8").split("\n")[:-1]]
        rows = sum(len(duckdb.read_parquet(str(part.path)).fetchall()) for part in found.parts)
        assert (rows, len(bad)) == (found.rows_good, found.rows_rejected)
        assert found.rows_in == found.rows_good + found.rows_rejected
        assert [row["line"] for row in bad] == sorted(row["line"] for row in bad)


@given(tail=tails, start=st.sampled_from([b"", HEADER, HEADER + GOOD]), block=st.sampled_from([90, 1 << 20]))
@settings(max_examples=100, deadline=None)
def test_any_bytes_behind_the_header_of_a_csv_are_counted_or_refused(tail: bytes, start: bytes, block: int) -> None:
    ends_well(start + tail + b"\n" + GOOD, rides(), block)


@given(tail=tails, start=st.sampled_from([b"", LINE, LINE[:-10]]), block=st.sampled_from([90, 1 << 20]))
@settings(max_examples=100, deadline=None)
def test_any_bytes_in_json_lines_are_counted_or_refused(tail: bytes, start: bytes, block: int) -> None:
    ends_well(start + tail + b"\n" + LINE, rides(format="jsonl"), block)


@given(note=st.text(), miles=st.floats(allow_nan=False, allow_infinity=False), zone=st.integers(-(2**63), 2**63 - 1))
@settings(max_examples=100, deadline=None)
def test_a_sound_json_line_is_read_as_python_reads_it(note: str, miles: float, zone: int) -> None:
    line = {"at": "2019-01-01", "zone": zone, "miles": miles, "note": note}
    with TemporaryDirectory() as directory:
        folder = Path(directory)
        (folder / "upload").write_text(json.dumps(line) + "\n")
        found = validate(
            folder / "upload", rides(format="jsonl"), folder, folder / "bad", name="f", resources=ONE, block=1 << 20
        )
        rows = [row for part in found.parts for row in duckdb.read_parquet(str(part.path)).fetchall()]
    surrogate = any("\ud800" <= letter <= "\udfff" for letter in note)
    if "\0" in note or surrogate:
        assert rows == []
    else:
        assert [row[1:] for row in rows] == [(zone, miles, note)]


@given(
    content=st.binary(max_size=60),
    cut=st.integers(1, 30),
    encoding=st.sampled_from(["utf-8", "utf-16", "cp1252", "gb18030"]),
)
@settings(max_examples=100, deadline=None)
def test_packed_bytes_in_any_encoding_are_counted_or_refused(content: bytes, cut: int, encoding: str) -> None:
    text = (HEADER + GOOD).decode().encode(encoding) + content
    for upload in (text, gzip.compress(text, mtime=0), gzip.compress(text, mtime=0)[:-cut]):
        ends_well(upload, rides(encoding=encoding), 1 << 20)


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("parquet") / "sound.parquet"
    duckdb.execute(
        "COPY (SELECT TIMESTAMP '2019-01-01' + INTERVAL (i) HOUR AS at, i::INTEGER AS zone, i * 0.5 AS miles, "
        f"'note ' || i AS note FROM range(300) AS rows(i)) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 128)"
    )
    return path.read_bytes()


@given(
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=5),
    cut=st.one_of(st.none(), st.floats(0, 1)),
)
@settings(max_examples=100, deadline=None)
def test_a_damaged_parquet_file_is_counted_or_refused(
    parquet: bytes, changes: list[tuple[float, int]], cut: float | None
) -> None:
    damaged = bytearray(parquet)
    for place, byte in changes:
        damaged[int(place * len(damaged))] = byte
    content = bytes(damaged) if cut is None else bytes(damaged)[: int(cut * len(damaged))] + b"PAR1"
    ends_well(content, rides(format="parquet"), 1 << 20)
