"""CSV files: their headers, records and lines, whatever stands in them."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.definitions import Column
from perennial.errors import DataError
from tests.support.validated import GOOD, HEADER, refusal, row, small, upload


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (HEADER, "has a header and no rows"),
        (HEADER[:-1], "has a header and no rows"),
        (b"\n" + GOOD, "lacks the columns at, zone, miles, note"),
        (b"at,zone,mils,note\n", "lacks the column miles (and has the column mils"),
        (b"at,zone,miles,note,zone\n", "names the column zone more than once"),
        (b"at;zone;miles;note\n", "is the delimiter right?"),
        (b"at,zone,miles,not\xff\n", "the header is not utf-8"),
        (HEADER.decode().encode("utf-16"), 'encoding = "utf-16"'),
        (gzip.compress(b"", mtime=0), "is empty"),
        (gzip.compress(HEADER + GOOD * 100, mtime=0)[:-9], "is broken gzip"),
        (b"\x1f\x8bnot gzip at all", "is broken gzip"),
        (gzip.compress(HEADER + GOOD, mtime=0) + b"tail", "is broken gzip"),
    ],
)
def test_a_file_that_is_broken_as_a_whole_is_refused_in_one_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    assert says in refusal(tmp_path, content)


def test_a_corrupt_gzip_body_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(HEADER + GOOD * 1000, mtime=0))
    packed[len(packed) // 2] ^= 0xFF
    assert "is broken gzip" in refusal(tmp_path, bytes(packed), name="f.csv.gz")


def test_a_plain_file_that_is_named_gz_is_refused(tmp_path: Path) -> None:
    assert "is named .gz but is not gzip" in refusal(tmp_path, HEADER + GOOD, name="f.csv.gz")


def test_gzip_is_known_by_its_bytes_whatever_the_name(tmp_path: Path) -> None:
    assert len(upload(tmp_path, gzip.compress(HEADER + GOOD, mtime=0), name="upload").rows) == 1


def test_a_stretch_without_any_line_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perennial.data.reading.csv_source.BLOCK", 1000)
    with pytest.raises(DataError, match="there is no line end"):
        upload(tmp_path, HEADER + b"x" * 5000, block=500)


def test_columns_may_stand_in_any_order_and_a_bom_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbfnote,miles,zone,at\nx,2.5,7,2019-01-01\ny,-1,7,2019-01-01\n"
    outcome = upload(tmp_path, content)
    assert [(found[1], found[2], found[3]) for found in outcome.rows] == [(7, 2.5, "x")]
    assert outcome.bad[0]["value"] == "-1"


# --- lines --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("last", [b"", b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("block", [1, 7, 64, 1 << 20])
def test_any_line_end_and_any_mixture_of_them_gives_the_same_rows(
    tmp_path: Path, end: bytes, last: bytes, block: int
) -> None:
    lines = [HEADER[:-1], GOOD[:-1], row(zone="x")[:-1], GOOD[:-1], GOOD[:-1]]
    outcome = upload(tmp_path, end.join(lines) + last, block=block)
    assert outcome.faults() == [(3, "zone", "type")]
    assert outcome.bad[0]["raw"] == "2019-01-01 00:00:00,x,2.5,x"
    assert len(outcome.rows) == 3


def test_a_row_that_is_wider_narrower_or_empty_is_quarantined_with_its_line(tmp_path: Path) -> None:
    content = HEADER + GOOD + b"2019-01-01,1\n" + GOOD + GOOD[:-1] + b",y\n" + b"\n" + row(zone="x") + GOOD
    outcome = upload(tmp_path, content)
    assert outcome.faults() == [(3, None, "width"), (5, None, "width"), (6, None, "width"), (7, "zone", "type")]
    assert [bad["reason"] for bad in outcome.bad[:3]] == [
        "the row has 2 fields, but the header has 4",
        "the row has 5 fields, but the header has 4",
        "the line is empty, but the header has 4 columns",
    ]
    assert len(outcome.rows) == 3


@pytest.mark.parametrize("block", [16, 1 << 20])
def test_line_numbers_stay_right_behind_fields_that_span_lines(tmp_path: Path, block: int) -> None:
    content = HEADER + row(note='"a\nb\n\nc"') + row(zone="x") + row(note='"d\r\ne"') + row(zone="y") + GOOD
    outcome = upload(tmp_path, content, block=block)
    assert outcome.faults() == [(6, "zone", "type"), (9, "zone", "type")]
    assert [found[3] for found in outcome.rows] == ["a\nb\n\nc", "d\r\ne", "x"]


@pytest.mark.parametrize("block", [16, 1 << 20])
@pytest.mark.parametrize(
    "broken",
    [
        b'2019-01-01,1,2.5,"never closed\n',
        b'2019-01-01,1,2.5,5" pipe\n',
        b'2019-01-01,1,2.5,"closed" early\n',
        b'2019-01-01,1,"2.5,x\n',
    ],
)
def test_a_broken_quote_costs_its_own_row_and_no_other(tmp_path: Path, broken: bytes, block: int) -> None:
    content = HEADER + GOOD + broken + GOOD + row(note='"q"') + row(zone="x") + GOOD
    outcome = upload(tmp_path, content, block=block)
    assert outcome.faults() == [(3, None, "quotes"), (6, "zone", "type")]
    assert outcome.bad[0]["raw"] == broken.decode().rstrip("\n")
    assert [found[3] for found in outcome.rows] == ["x", "x", "q", "x"]


def test_a_quote_that_is_never_closed_does_not_swallow_the_rest_of_the_file(tmp_path: Path) -> None:
    outcome = upload(tmp_path, HEADER + b'2019-01-01,1,2.5,"open\n' + GOOD * 5000)
    assert outcome.faults() == [(2, None, "quotes")]
    assert len(outcome.rows) == 5000


def test_a_row_that_is_not_utf8_or_holds_nul_is_quarantined_alone(tmp_path: Path) -> None:
    content = HEADER + GOOD + b"2019-01-01,1,2.5,caf\xe9\n" + row(note="café") + b"2019-01-01,1,2.5,a\0b\n" + GOOD
    outcome = upload(tmp_path, content)
    assert outcome.faults() == [(3, None, "not_utf8"), (5, None, "nul_byte")]
    assert outcome.bad[0]["raw"] == "2019-01-01,1,2.5,caf\\xe9"
    assert [found[3] for found in outcome.rows] == ["x", "café", "x"]


def test_a_row_longer_than_a_mebibyte_is_quarantined_and_its_raw_text_is_cut(tmp_path: Path) -> None:
    outcome = upload(tmp_path, HEADER + GOOD + row(note="é" * (1 << 20)) + row(note='"' + "y" * (1 << 20) + '"') + GOOD)
    assert outcome.faults() == [(3, None, "too_long"), (4, None, "too_long")]
    assert all(len(bad["raw"]) == 10_000 for bad in outcome.bad)
    assert len(outcome.rows) == 2


def test_a_row_of_almost_a_mebibyte_is_read(tmp_path: Path) -> None:
    outcome = upload(tmp_path, HEADER + row(note="y" * ((1 << 20) - 100)) + GOOD)
    assert [len(found[3]) for found in outcome.rows] == [(1 << 20) - 100, 1]


def test_a_file_of_one_column_may_have_empty_lines_as_absent_values(tmp_path: Path) -> None:
    columns = {"at": Column(type="timestamp")}
    outcome = upload(tmp_path, b"at\n2019-01-01\n\n2019-01-02\n", small(columns=columns))
    assert outcome.faults() == [(3, "at", "absent")]
    assert len(outcome.rows) == 2


@pytest.mark.parametrize("delimiter", [";", "\t", "|", " ", "§"])
def test_any_delimiter_can_be_agreed_on(tmp_path: Path, delimiter: str) -> None:
    lines = [
        ["at", "zone", "miles", "note"],
        ["2019-01-01", "1", "2.5", f'"a{delimiter}b"'],
        ["2019-01-01", "x", "1", "y"],
    ]
    content = "\n".join(delimiter.join(fields) for fields in lines).encode()
    outcome = upload(tmp_path, content, small(delimiter=delimiter))
    assert [found[3] for found in outcome.rows] == [f"a{delimiter}b"]
    assert outcome.faults() == [(3, "zone", "type")]
    assert outcome.bad[0]["value"] == "x"


# --- properties ---------------------------------------------------------------------------------------

TEXT = st.text(st.sampled_from('ab,"\n\r é;\\'), max_size=6)


@settings(max_examples=40, deadline=None)
@given(notes=st.lists(TEXT, min_size=1, max_size=12), block=st.sampled_from([1, 13, 1 << 20]))
def test_whatever_a_csv_writer_writes_is_read_back_unchanged(
    tmp_path_factory: pytest.TempPathFactory, notes: list[str], block: int
) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(["at", "zone", "miles", "note"])
    writer.writerows(["2019-01-01", number, "1", note] for number, note in enumerate(notes))
    outcome = upload(tmp_path_factory.mktemp("p"), buffer.getvalue().encode(), block=block)
    assert outcome.bad == []
    assert [found[1:] for found in outcome.rows] == [(n, 1.0, note or None) for n, note in enumerate(notes)]


FAULTY = st.sampled_from(
    [
        row(zone="x"),
        row(miles="-1"),
        b"\n",
        b"1,2\n",
        b"1,2,3,4,5\n",
        b"2019-01-01,1,1,a\xff\n",
        b'2019-01-01,1,1,5" pipe\n',
        b'2019-01-01,1,1,"a"b\n',
        b"2019-01-01,1,1,\0\n",
    ]
)
SOUND = st.sampled_from([GOOD, row(note='"q, ""r"""'), row(note='"two\nlines"'), row(note=""), GOOD[:-1] + b"\r\n"])


@settings(max_examples=40, deadline=None)
@given(
    pieces=st.lists(st.tuples(st.booleans(), st.data()), min_size=1, max_size=15).flatmap(
        lambda items: st.tuples(
            *[SOUND.map(lambda p: (True, p)) if ok else FAULTY.map(lambda p: (False, p)) for ok, _ in items]
        )
    ),
    block=st.sampled_from([1, 20, 1 << 20]),
)
def test_no_good_row_is_lost_and_each_bad_row_is_named_by_its_line(
    tmp_path_factory: pytest.TempPathFactory, pieces: tuple[tuple[bool, bytes], ...], block: int
) -> None:
    line, bad_lines = 2, []
    for good, piece in pieces:
        if not good:
            bad_lines.append(line)
        line += piece.count(b"\n")
    outcome = upload(tmp_path_factory.mktemp("p"), HEADER + b"".join(piece for _, piece in pieces), block=block)
    assert [bad["line"] for bad in outcome.bad] == bad_lines
    assert len(outcome.rows) == len(pieces) - len(bad_lines)


@settings(max_examples=60, deadline=None)
@given(
    body=st.binary(max_size=60)
    | st.lists(st.sampled_from([b'"', b",", b"\n", b"\r", b"1", b"\xe9", b"\0"]), max_size=40).map(b"".join)
)
def test_no_bytes_whatsoever_make_it_fail_or_miscount(tmp_path_factory: pytest.TempPathFactory, body: bytes) -> None:
    dataset = small(
        columns={"at": Column(type="timestamp", nullable=False), "note": Column(type="string", nullable=True)}
    )
    outcome = upload(tmp_path_factory.mktemp("p"), b"at,note\n" + body + b"\n2019-01-01,x\n", dataset)
    lines = [bad["line"] for bad in outcome.bad]
    assert lines == sorted(set(lines))


@pytest.mark.parametrize(("encoding", "told"), [("utf-8", True), ("latin-1", False)])
def test_a_header_in_utf8_under_another_encoding_is_told(tmp_path: Path, encoding: str, told: bool) -> None:
    dataset = small(columns={"at": Column(type="timestamp"), "straße": Column(type="string")}, encoding="latin-1")
    known = "straße" if told else "größe"
    with pytest.raises(DataError, match="lacks") as refused:
        upload(tmp_path, f"at,{known}\n2019-01-01,x\n".encode(encoding), dataset)
    assert str(refused.value).endswith("; the file looks like UTF-8: is encoding in the contract right?") is told
