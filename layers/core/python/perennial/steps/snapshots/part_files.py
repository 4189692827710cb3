"""Parts as local files that hold only the columns and the stretch of time that are needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from perennial.data.parquet_chunks import (
    MAGIC,
    Chunk,
    Wanted,
    chunk_digests,
    chunks_of,
    digest,
    digest_of,
    footer_size,
)
from perennial.errors import DataError
from perennial.ports import ObjectStore
from perennial.records import Part
from perennial.steps.snapshots.snapshot_files import fetch_parts, several
from perennial.utc import naive_utc

SMALL = 1 << 20
"""Bytes below which a part is read whole: one request costs more than such a part's transfer."""
MOST = 0.6
"""Share of a part's bytes beyond which it is read whole."""
TAIL = 1 << 16
"""Bytes that are read of a part's end at first: almost every footer fits."""
GAP = 1 << 16
"""Bytes that are read in vain rather than in another request."""
LONGEST = 1 << 23
"""Bytes of the longest single read."""

Stretch = tuple[int, int]
"""Start and length in a file."""


def read_by_range(path: Path) -> tuple[str, ...]:
    """Return the digests that a part's record holds (`Part.chunks`); none if it is read whole anyway."""
    return chunk_digests(path) if path.stat().st_size >= SMALL else ()


def may_hold(earliest: datetime | None, latest: datetime | None, wanted: Wanted) -> bool:
    """Tell whether what lies between two moments (None: nobody knows) can hold rows of the wanted stretch of time."""
    too_early = wanted.since is not None and latest is not None and naive_utc(latest) < wanted.since
    too_late = wanted.until is not None and earliest is not None and naive_utc(earliest) > wanted.until
    return not (too_early or too_late)


@dataclass
class PartFiles:
    """Fetches parts, each into one file that grows as more of it is wanted.

    A part that is small, or of which most is wanted, is downloaded whole and checked against its SHA-256. Of another
    one only the footer and the wanted column chunks are read, into a sparse file of the part's full size; each is
    checked against its own digest in the manifest (`Part.chunks`), as the manifest is against the catalog. So every
    byte that is used is one that was written: a part that was replaced, cut or altered is refused as soon as something
    differs that is wanted. What is not detected is a change in a chunk that nobody reads. Where a chunk was not
    fetched, the file holds zeros: no page of Parquet begins so, and the engine fails when asked for it.

    Parameters
    ----------
    store : ObjectStore
        Where the parts are.
    folder : Path
        Where files are kept.
    """

    store: ObjectStore
    folder: Path
    _sparse: dict[str, _SparseFile] = field(default_factory=dict)
    _whole: dict[str, Path] = field(default_factory=dict)

    def fetch(self, parts: Iterable[Part], wanted: Wanted) -> list[Path]:
        """Return the files of those parts that can hold wanted rows, in the parts' order.

        A file may hold more than is wanted: readers name their columns and bound the time themselves.

        Raises
        ------
        DataError
            A part is not the one that was recorded.
        NotFoundError
            A part is gone.
        """
        chosen = [part for part in parts if may_hold(part.min_event_time, part.max_event_time, wanted)]
        ranged = {part.sha256: part for part in chosen if part.chunks and part.sha256 not in self._whole}
        self._grow(list(ranged.values()), wanted)
        whole = [part for part in chosen if part.sha256 not in self._sparse]
        for part, path in zip(whole, fetch_parts(self.store, whole, self.folder), strict=True):
            self._whole[part.sha256] = path
        return [self._whole.get(part.sha256) or self._sparse[part.sha256].path for part in chosen]

    def _grow(self, parts: Sequence[Part], wanted: Wanted) -> None:
        """Read what is missing of the parts' wanted chunks; drop the files of which most is wanted."""
        new = [part for part in parts if part.sha256 not in self._sparse]
        paths = several(lambda part: open_sparse(self.store, part, self.folder), new)
        for part, (path, chunks) in zip(new, chunks_of(paths).items(), strict=True):
            self._sparse[part.sha256] = _SparseFile(part, path, chunks)
        jobs: list[tuple[_SparseFile, Stretch, list[Stretch]]] = []
        growing: list[tuple[_SparseFile, list[Chunk]]] = []
        for part in parts:
            file = self._sparse[part.sha256]
            chunks = wanted.of(file.chunks)
            if file.bytes_with(chunks) > MOST * part.size:
                del self._sparse[part.sha256]
            else:
                missing = [chunk for chunk in chunks if chunk not in file.held]
                growing.append((file, missing))
                stretches = [stretch for chunk in missing for stretch in chunk.stretches]
                jobs += [(file, reach, stretches) for reach in joined(stretches)]
        several(lambda job: job[0].read(self.store, job[1], job[2]), jobs)
        for file, missing in growing:
            file.check(self.store, missing)


@dataclass
class _SparseFile:
    """A file of a part's size that holds its footer and some of its chunks."""

    part: Part
    path: Path
    chunks: tuple[Chunk, ...]
    held: set[Chunk] = field(default_factory=set)
    """Chunks that were read and found to be what was written."""

    def bytes_with(self, chunks: Iterable[Chunk]) -> int:
        return sum(chunk.size for chunk in self.held.union(chunks))

    def read(self, store: ObjectStore, reach: Stretch, stretches: Iterable[Stretch]) -> None:
        """Read once, and keep of it what belongs to the stretches: what lies between them is not checked."""
        first, length = reach
        content = store.read_range(self.part.key, first, length)
        with self.path.open("r+b") as file:
            for start, size in stretches:
                begin, end = max(start, first), min(start + size, first + length)
                if begin < end:
                    file.seek(begin)
                    file.write(content[begin - first : end - first])

    def check(self, store: ObjectStore, chunks: Iterable[Chunk]) -> None:
        expected = dict(zip(self.chunks, self.part.chunks[1:], strict=True))
        with self.path.open("rb") as file:
            for chunk in chunks:
                if digest_of(file, chunk) != expected[chunk]:
                    raise _changed(store, self.part, f"column {chunk.column} in row group {chunk.row_group}")
        self.held.update(chunks)


def open_sparse(store: ObjectStore, part: Part, folder: Path) -> Path:
    """Make a sparse file of a part's size with its magic and its footer, which is checked; return its path."""
    tail = store.read_range(part.key, max(0, part.size - TAIL), TAIL)
    size = footer_size(tail)
    if len(tail) < size <= part.size:
        tail = store.read_range(part.key, part.size - size, size)
    footer = tail[-size:]
    if digest([footer]) != part.chunks[0]:
        raise _changed(store, part, "the footer")
    path = folder / f"{part.sha256}.some.parquet"
    with path.open("wb") as file:
        file.write(MAGIC)
        file.seek(part.size - size)
        file.write(footer)
    return path


def joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Return the reads that cover stretches: near ones are one read, long ones are several."""
    reaches: list[Stretch] = []
    for start, length in sorted(stretches):
        if reaches and start - sum(reaches[-1]) <= GAP and start + length - reaches[-1][0] <= LONGEST:
            reaches[-1] = (reaches[-1][0], start + length - reaches[-1][0])
        else:
            reaches += [(start + done, min(LONGEST, length - done)) for done in range(0, length, LONGEST)]
    return reaches


def _changed(store: ObjectStore, part: Part, what: str) -> DataError:
    return DataError(
        f"s3://{store.bucket}/{part.key}: {what} is not what was recorded; the object was changed after it was made: "
        "restore it, or upload the file again"
    )
