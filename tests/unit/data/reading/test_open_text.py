"""Opening an upload as UTF-8: packings, encodings, and what is told from another by its first bytes."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.data.reading.open_text import open_text
from perennial.errors import DataError
from tests.support.dirty_files import rides


def text_of(folder: Path, content: bytes, encoding: str = "utf-8", name: str = "f", size: int = 1000) -> bytes:
    source = folder / "upload"
    source.write_bytes(content)
    with open_text(source, rides(encoding=encoding), name) as stream:
        return b"".join(iter(lambda: stream.read(size), b""))


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"]
)
@pytest.mark.parametrize("size", [1, 3, 1 << 20])
def test_text_comes_as_utf_8_however_it_is_cut(tmp_path: Path, encoding: str, size: int) -> None:
    text = "at,zone\nGrün,ß\n" * 3

    assert text_of(tmp_path, text.encode(encoding), encoding, size=size) == text.encode()


@pytest.mark.parametrize("encoding", ["shift_jis", "gb18030", "big5", "euc_kr", "iso2022_jp"])
def test_letters_of_several_bytes_may_straddle_reads(tmp_path: Path, encoding: str) -> None:
    text = "a,中\n" * 3000 if encoding != "shift_jis" else "a,日\n" * 3000

    assert text_of(tmp_path, text.encode(encoding), encoding, size=7).decode() == text


@given(text=st.text(st.characters(codec="utf-8")), size=st.integers(1, 50), mark=st.booleans())
@settings(max_examples=100, deadline=None)
def test_utf_8_goes_through_unchanged_but_for_its_mark(
    tmp_path_factory: pytest.TempPathFactory, text: str, size: int, mark: bool
) -> None:
    content = b"at,zone\n" + text.encode()

    opened = text_of(tmp_path_factory.mktemp("text"), b"\xef\xbb\xbf" * mark + content, size=size)

    assert opened == content


def test_only_the_first_mark_is_dropped(tmp_path: Path) -> None:
    assert text_of(tmp_path, b"\xef\xbb\xbfa\xef\xbb\xbfb") == b"a\xef\xbb\xbfb"


@pytest.mark.parametrize(
    ("content", "encoding", "text"),
    [
        (b"a\x81b\n", "cp1252", b"a\xffb\n"),
        (b"a\xe4b\n", "ascii", b"a\xffb\n"),
        ("a\n".encode("utf-16-le") + b"\x00\xd8b\x00", "utf-16-le", b"a\n\xffb"),
        ("ab".encode("utf-16-le") + b"c", "utf-16-le", b"ab\xff"),
        (b"a,+2AA-\n", "utf-7", b"a,\xff\n"),
    ],
)
def test_what_the_encoding_does_not_know_becomes_a_byte_that_is_no_utf_8(
    tmp_path: Path, content: bytes, encoding: str, text: bytes
) -> None:
    assert text_of(tmp_path, content, encoding) == text


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_packed_text_is_unpacked_and_transcoded(tmp_path: Path, pack: object) -> None:
    assert callable(pack)

    assert text_of(tmp_path, pack("ü\n".encode("utf-16")), "utf-16") == "ü\n".encode()


def test_a_frame_to_be_skipped_may_come_first(tmp_path: Path) -> None:
    skipped = b"\x5a\x2a\x4d\x18\x04\x00\x00\x00abcd"

    assert text_of(tmp_path, skipped + zstd.compress(b"a\n")) == b"a\n"


@pytest.mark.parametrize("at", [5, 40, 200, -1])
@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
def test_packing_that_ends_early_never_passes_for_a_shorter_file(tmp_path: Path, pack: object, at: int) -> None:
    assert callable(pack)
    content = pack("".join(f"{i},{i * i}\n" for i in range(1000)).encode())[:at]

    with pytest.raises(DataError, match=r"^f: is broken (gzip|zstd) .*; compress and upload it again$"):
        text_of(tmp_path, content)


def test_a_zstd_window_that_no_memory_holds_is_refused(tmp_path: Path) -> None:
    frame = b"\x28\xb5\x2f\xfd\x00" + bytes([(31 - 10) << 3]) + b"\x01\x00\x00"

    with pytest.raises(DataError, match="too much memory"):
        text_of(tmp_path, frame)


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
def test_a_bomb_takes_no_memory(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    (tmp_path / "upload").write_bytes(pack(b"a,b\n" * (1 << 18)) * 200)
    tracemalloc.start()
    try:
        with open_text(tmp_path / "upload", rides(), "f") as stream:
            total = sum(map(len, iter(lambda: stream.read(1 << 16), b"")))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert total == 200 << 20
    assert peak < 4 << 20


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"PK\x03\x04", "a zip archive or an Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook"),
        (b"PAR1\x15\x00", "Parquet"),
        (b"%PDF-1.7", "a PDF"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh91AY&SY", "bzip2"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, start: bytes, what: str) -> None:
    with pytest.raises(DataError, match=f"^f: is not CSV but .*{what}"):
        text_of(tmp_path, start + bytes(100))


def test_a_header_may_begin_with_the_letters_of_another_format(tmp_path: Path) -> None:
    for start in (b"PAR1,x\n", b"BZh9,x\n", b"PK,x\n", b"Obj,x\n"):
        assert text_of(tmp_path, start) == start


@pytest.mark.parametrize(
    ("written", "declared", "hint"),
    [
        ("utf-16", "utf-8", "utf-16"),
        ("utf-16-le", "utf-8", "utf-16-le"),
        ("utf-16-be", "latin-1", "utf-16-be"),
        ("utf-32", "utf-16", "utf-32"),
        ("utf-32-le", "utf-8", "utf-32-le"),
        ("utf-32-be", "utf-8", "utf-32-be"),
        ("utf-8-sig", "cp1252", "utf-8"),
        ("utf-8", "utf-16", "utf-8"),
        ("utf-16-be", "utf-16", "utf-16-be"),
    ],
)
def test_another_encoding_is_named_with_the_mend(tmp_path: Path, written: str, declared: str, hint: str) -> None:
    with pytest.raises(DataError) as error:
        text_of(tmp_path, "at,zone,miles\nGrün,1,2\n".encode(written), declared)

    assert f'write encoding = "{hint}" in datasets/rides.toml' in str(error.value)
    assert text_of(tmp_path, "at,zone,miles\nGrün,1,2\n".encode(written), hint).decode() == "at,zone,miles\nGrün,1,2\n"


@pytest.mark.parametrize("content", [b"", b"a", b"a\0", b"a\0b", b"at,zone\n1,a\0\0b\n"])
def test_a_short_text_or_a_few_nul_bytes_are_no_other_encoding(tmp_path: Path, content: bytes) -> None:
    assert text_of(tmp_path, content) == content


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("f.csv.gz", b"at\n"),
        ("f.csv.GZ", zstd.compress(b"at\n")),
        ("f.zst", b"at\n"),
        ("f.zstd", gzip.compress(b"at\n", mtime=0)),
    ],
)
def test_a_name_that_promises_a_packing_keeps_its_word(tmp_path: Path, name: str, content: bytes) -> None:
    with pytest.raises(DataError, match=r"is named .* but is not (gzip|zstd); compress it or name it without"):
        text_of(tmp_path, content, name=name)
