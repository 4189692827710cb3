r"""Opening an uploaded text file as one stream of UTF-8, whatever it is packed in and however it is encoded.

gzip and zstd are known by their first bytes and unpacked as a stream, never to a file and never as a whole, so a
small file that unpacks to a huge one costs time and no memory. Text is read in the encoding that the dataset
declares and in no other: bytes that are plainly another encoding, or no text at all, refuse the file. Bytes that
the declared encoding does not know become ``\xff``, which UTF-8 never holds, so the record goes to quarantine
and the rest of the file goes on.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from perennial.data.reading.sources import Readable
from perennial.definitions import Dataset
from perennial.errors import DataError

UNDECODABLE = b"\xff"
"""What stands for bytes that the declared encoding does not know."""
FORMAT_NAMES = {"csv": "CSV", "jsonl": "JSON Lines", "parquet": "Parquet"}
"""What messages call a dataset's format."""

_SNIFFED = 4096
"""Bytes by which an encoding is told."""
_MARK = "perennial.undecodable"
_PACKINGS = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}
_NO_TEXT = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook"),
    (b"PAR1\x15", 'Parquet (declare format = "parquet" to upload such files)'),
    (b"PARE\x15", "encrypted Parquet"),
    (b"ARROW1\0", "Arrow"),
    (b"Obj\x01", "Avro"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"%PDF-", "a PDF"),
    (b"\xfd7zXZ\0", "packed with xz, where gzip and zstd are read"),
    (b"BZh91AY&SY", "packed with bzip2, where gzip and zstd are read"),
    (b"7z\xbc\xaf\x27\x1c", "packed with 7-Zip, where gzip and zstd are read"),
    (b"\x04\x22\x4d\x18", "packed with LZ4, where gzip and zstd are read"),
)
_BOMS = (
    # UTF-32's little-endian mark begins with UTF-16's.
    (codecs.BOM_UTF32_LE, "utf-32", ("utf-32", "utf-32-le")),
    (codecs.BOM_UTF32_BE, "utf-32", ("utf-32", "utf-32-be")),
    (codecs.BOM_UTF8, "utf-8", ("utf-8", "utf-8-sig")),
    (codecs.BOM_UTF16_LE, "utf-16", ("utf-16", "utf-16-le")),
    (codecs.BOM_UTF16_BE, "utf-16", ("utf-16", "utf-16-be")),
)


@contextmanager
def open_text(source: Path, dataset: Dataset, name: str) -> Iterator[Readable]:
    """Open a file as a stream of UTF-8 bytes without a byte order mark.

    Parameters
    ----------
    source : Path
        The file: plain, gzip or zstd (also several members or frames in a row).
    dataset : Dataset
        Its contract; ``encoding`` says how the text is written.
    name : str
        What messages call the file. A name that ends in ``.gz`` or ``.zst`` must say the truth.

    Raises
    ------
    DataError
        The file is broken or truncated gzip or zstd, is packed twice, is not what its name says, is no text, or is
        plainly in another encoding than the declared one. Broken packing may show as late as in ``read``.
    """
    with source.open("rb") as file, _unpacked(file, name) as unpacked:
        start = unpacked.read(_SNIFFED)
        _check_text(start, dataset, name)
        encoding = codecs.lookup(dataset.encoding).name
        if encoding in ("utf-8", "utf-8-sig"):
            yield _Rewound(start.removeprefix(codecs.BOM_UTF8), unpacked)
        else:
            yield _Transcoded(_Rewound(start, unpacked), encoding, name)


@contextmanager
def _unpacked(file: IO[bytes], name: str) -> Iterator[Readable]:
    start = file.read(len(codecs.BOM_UTF32_LE))
    file.seek(0)
    packing = _packing(start)
    promised = next((packing for suffix, packing in _PACKINGS.items() if name.lower().endswith(suffix)), None)
    if start and promised is not None and packing != promised:
        suffix = name[name.rfind(".") :]
        raise DataError(f"{name}: is named {suffix} but is not {promised}; compress it or name it without {suffix}")
    if packing == "gzip":
        with gzip.open(file) as stream:
            yield _Unpacked(stream, packing, (EOFError, gzip.BadGzipFile, zlib.error), name)
    elif packing == "zstd":
        from backports import zstd  # the standard library's own from Python 3.14 on

        with zstd.open(file) as stream:
            yield _Unpacked(stream, packing, (EOFError, zstd.ZstdError), name)
    else:
        yield file


def _packing(start: bytes) -> str | None:
    if start.startswith(b"\x1f\x8b"):
        return "gzip"
    # A zstd file may begin with a frame to be skipped, of one of 16 kinds.
    if start.startswith(b"\x28\xb5\x2f\xfd") or (start[1:4] == b"\x2a\x4d\x18" and start[0] >> 4 == 5):
        return "zstd"
    return None


def _check_text(start: bytes, dataset: Dataset, name: str) -> None:
    wanted = FORMAT_NAMES[dataset.format]
    if (packing := _packing(start)) is not None:
        raise DataError(f"{name}: is {packing} within {packing}, or packed twice; compress the {wanted} once")
    for magic, what in _NO_TEXT:
        if start.startswith(magic):
            raise DataError(f"{name}: is not {wanted} but {what}; save it as {wanted} and upload it again")
    declared = codecs.lookup(dataset.encoding).name
    hint = _other_encoding(start, declared)
    if hint is not None:
        raise DataError(
            f"{name}: is not {dataset.encoding} text but looks like {hint}; "
            f'write encoding = "{hint}" in datasets/{dataset.name}.toml or save the file as {dataset.encoding}'
        )


def _other_encoding(start: bytes, declared: str) -> str | None:
    """Return the encoding that the bytes plainly are in, if it is not the declared one."""
    for mark, encoding, fitting in _BOMS:
        if start.startswith(mark):
            return None if declared in fitting else encoding
    wide = _wide_encoding(start)
    if wide is not None:
        # Without a mark, Python and Windows take "utf-16" for little-endian.
        return None if declared in (wide, wide.removesuffix("-le")) else wide
    if declared.startswith(("utf-16", "utf-32")) and len(start) >= 4 and b"\0" not in start:
        return "utf-8"  # the line ends and delimiters of wider encodings hold NUL bytes
    return None


def _wide_encoding(start: bytes) -> str | None:
    """Return the UTF-16 or UTF-32 that NUL bytes at every second, or three of four, places give away."""
    count = len(start) // 4
    if count == 0:
        return None
    nuls = [start[place : count * 4 : 4].count(0) / count for place in range(4)]
    if nuls[0] < 0.5 and min(nuls[1:]) > 0.5 and min(nuls[2:]) == 1:
        return "utf-32-le"
    if nuls[3] < 0.5 and min(nuls[:3]) > 0.5 and min(nuls[:2]) == 1:
        return "utf-32-be"
    if max(nuls[0], nuls[2]) < 0.2 and min(nuls[1], nuls[3]) > 0.3:
        return "utf-16-le"
    if max(nuls[1], nuls[3]) < 0.2 and min(nuls[0], nuls[2]) > 0.3:
        return "utf-16-be"
    return None


class _Unpacked:
    """A stream whose errors say what is wrong with the file."""

    def __init__(self, stream: Readable, packing: str, errors: tuple[type[Exception], ...], name: str) -> None:
        self._stream = stream
        self._packing = packing
        self._errors = errors
        self._name = name

    def read(self, size: int, /) -> bytes:
        try:
            return self._stream.read(size)
        except self._errors as error:
            raise DataError(
                f"{self._name}: is broken {self._packing} ({error}); compress and upload it again"
            ) from error


class _Rewound:
    """A stream that gives back what was read of it already."""

    def __init__(self, start: bytes, stream: Readable) -> None:
        self._start = start
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        start, self._start = self._start[:size], self._start[size:]
        return start + self._stream.read(size - len(start)) if len(start) < size else start


class _Transcoded:
    """A stream of UTF-8, made from a stream in another encoding."""

    def __init__(self, stream: Readable, encoding: str, name: str) -> None:
        codecs.register_error(_MARK, _mark)
        self._stream = stream
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)(_MARK)
        self._name = name
        self._text = b""
        self._begun = False
        self._ended = False

    def read(self, size: int, /) -> bytes:
        while len(self._text) < size and not self._ended:
            self._text += self._next(self._stream.read(size))
        text, self._text = self._text[:size], self._text[size:]
        return text

    def _next(self, chunk: bytes) -> bytes:
        self._ended = not chunk
        try:
            text = self._decoder.decode(chunk, final=self._ended)
        except UnicodeError as error:  # a few encodings know no way to go on behind an error
            raise DataError(f"{self._name}: is not {self._encoding} text ({error}); save it as UTF-8") from error
        if text and not self._begun:
            self._begun = True
            text = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
        return text.encode("utf-8", _MARK)


def _mark(error: UnicodeError) -> tuple[str | bytes, int]:
    """Put what UTF-8 cannot hold in the place of bytes, or of half characters, that mean nothing."""
    if isinstance(error, UnicodeDecodeError):
        return "\udcff", error.end
    if isinstance(error, UnicodeEncodeError):
        return UNDECODABLE, error.end
    raise error
