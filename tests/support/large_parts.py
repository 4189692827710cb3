"""Parts that are large enough to be read by ranges, and a store that counts what is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from perennial.data.engine import sha256_of
from perennial.fakes import FakeObjectStore
from perennial.records import Part
from perennial.steps.snapshots.part_files import read_by_range

START = datetime(2019, 1, 1)
COLUMNS = tuple(f"c{number}" for number in range(19))
GROUPS, GROUP = 4, 8192


class CountingStore(FakeObjectStore):
    """Remembers what was read."""

    def __init__(self) -> None:
        super().__init__()
        self.ranges: list[tuple[str, int, int]] = []
        self.downloads: list[str] = []

    def read_range(self, key: str, start: int, length: int) -> bytes:
        content = super().read_range(key, start, length)
        self.ranges.append((key, start, len(content)))
        return content

    def download(self, key: str, path: Path, version: str | None = None) -> None:
        self.downloads.append(key)
        super().download(key, path, version)

    @property
    def read(self) -> int:
        """Bytes that came by ranges."""
        return sum(length for _, _, length in self.ranges)


def stored(
    store: FakeObjectStore,
    folder: Path,
    name: str = "p",
    *,
    rows: int = GROUPS * GROUP,
    seed: int = 0,
    start: datetime = START,
) -> Part:
    """Write a part of a row a minute from a moment on, whose row groups follow one another; 5 MB at the usual rows."""
    path = folder / f"{name}-{seed}.source"
    numbers = ", ".join(f"(hash(i * 19 + {n} + {seed}) >> 11) / 7 AS {name}" for n, name in enumerate(COLUMNS))
    duckdb.execute(
        f"COPY (SELECT TIMESTAMP '{start}' + to_minutes(i) AS began, {numbers} FROM range({rows}) t(i)) TO '{path}' "
        f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {GROUP})"
    )
    store.upload(path, f"parts/{name}")
    return Part(
        key=f"parts/{name}",
        sha256=sha256_of(path),
        rows=rows,
        size=path.stat().st_size,
        chunks=read_by_range(path),
        min_event_time=start.replace(tzinfo=UTC),
        max_event_time=(start + timedelta(minutes=rows - 1)).replace(tzinfo=UTC),
    )
