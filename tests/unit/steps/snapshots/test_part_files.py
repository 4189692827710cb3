"""Of large parts only what is wanted travels, and only what was written is believed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from perennial.data.engine import sha256_of
from perennial.data.parquet_chunks import Wanted, chunks_of
from perennial.errors import DataError, NotFoundError
from perennial.records import Part
from perennial.steps.snapshots import part_files
from perennial.steps.snapshots.part_files import PartFiles, joined
from tests.support.large_parts import COLUMNS, GROUP, GROUPS, START, CountingStore, stored


def want(*columns: str, since: int | None = None, until: int | None = None) -> Wanted:
    """Want columns of the rows between two minutes."""
    first, last = (None if minute is None else START + timedelta(minutes=minute) for minute in (since, until))
    return Wanted(frozenset(("began", *columns)), "began", first, last)


def values(path: Path, query: str) -> list[Any]:
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW rows AS FROM read_parquet('{path}')")
        return connection.execute(query).fetchall()


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def files(store: CountingStore, tmp_path: Path) -> PartFiles:
    folder = tmp_path / "files"
    folder.mkdir()
    return PartFiles(store, folder)


def test_two_of_twenty_columns_are_read_by_ranges_and_hold_what_was_written(
    store: CountingStore, files: PartFiles, tmp_path: Path
) -> None:
    part = stored(store, tmp_path)
    (path,) = files.fetch([part], want("c3"))
    query = "SELECT began, c3 FROM rows ORDER BY began"
    assert values(path, query) == values(tmp_path / "p-0.source", query)
    assert store.downloads == []
    assert store.read < 0.12 * part.size
    assert path.stat().st_size == part.size


def test_row_groups_outside_the_wanted_time_are_not_read(
    store: CountingStore, files: PartFiles, tmp_path: Path
) -> None:
    part = stored(store, tmp_path)
    (path,) = files.fetch([part], want("c3", since=2 * GROUP - 1, until=2 * GROUP))
    wanted = [it for it in chunks_of([path])[path] if it.row_group in (1, 2) and it.column in ("began", "c3")]
    assert store.read == part_files.TAIL + sum(chunk.size for chunk in wanted)
    bounds = f"began BETWEEN '{START + timedelta(minutes=2 * GROUP - 1)}' AND '{START + timedelta(minutes=2 * GROUP)}'"
    query = f"SELECT began, c3 FROM rows WHERE {bounds}"
    assert len(values(path, query)) == 2
    assert values(path, query) == values(tmp_path / "p-0.source", query)


@pytest.mark.parametrize("query", ["SELECT sum(c4) FROM rows", "SELECT sum(c3) FROM rows"])
def test_reading_what_was_not_fetched_fails(store: CountingStore, files: PartFiles, tmp_path: Path, query: str) -> None:
    (path,) = files.fetch([stored(store, tmp_path)], want("c3", until=GROUP - 1))
    with pytest.raises(duckdb.Error):
        values(path, query)


def test_a_file_grows_by_what_is_missing(store: CountingStore, files: PartFiles, tmp_path: Path) -> None:
    part = stored(store, tmp_path)
    first = files.fetch([part], want("c3"))
    before = store.read
    assert files.fetch([part], want("c3")) == first
    assert store.read == before
    assert files.fetch([part, part], want("c3", "c9")) == first * 2
    assert 0 < store.read - before < 0.07 * part.size
    query = "SELECT c3, c9 FROM rows"
    assert values(first[0], query) == values(tmp_path / "p-0.source", query)


def test_a_part_of_which_most_is_wanted_is_downloaded_whole(
    store: CountingStore, files: PartFiles, tmp_path: Path
) -> None:
    part = stored(store, tmp_path)
    files.fetch([part], want("c0"))
    (path,) = files.fetch([part], want(*COLUMNS[:15]))
    assert (store.downloads, sha256_of(path)) == ([part.key], part.sha256)
    before = store.read
    assert files.fetch([part], want("c1")) == [path]
    assert (store.read, len(store.downloads)) == (before, 1)


def test_a_small_part_is_downloaded_whole(store: CountingStore, files: PartFiles, tmp_path: Path) -> None:
    part = stored(store, tmp_path, rows=100)
    (path,) = files.fetch([part], want("c0"))
    assert part.chunks == ()
    assert (store.ranges, sha256_of(path)) == ([], part.sha256)


def test_parts_outside_the_wanted_time_are_left_alone(store: CountingStore, files: PartFiles, tmp_path: Path) -> None:
    part = stored(store, tmp_path, rows=100)
    assert files.fetch([part], want("c0", since=100)) == []
    assert files.fetch([part], want("c0", until=-1)) == []
    assert (store.ranges, store.downloads) == ([], [])
    assert len(files.fetch([part], want("c0", since=99, until=99))) == 1


def test_a_footer_longer_than_the_first_read_is_read_again(
    store: CountingStore, files: PartFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_files, "TAIL", 100)
    part = stored(store, tmp_path)
    (path,) = files.fetch([part], want("c3"))
    assert store.ranges[0] == (part.key, part.size - 100, 100)
    assert values(path, "SELECT count(c3) FROM rows") == [(GROUPS * GROUP,)]


def flipped(place: int) -> Callable[[bytes, Part], bytes]:
    """Change one bit; a place below 0 counts from the end."""
    return lambda content, _: content[:place] + bytes([content[place] ^ 1]) + content[place:][1:]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (flipped(1000), "column began in row group 0"),
        (flipped(-1000), "the footer"),
        (flipped(-6), "the footer"),
        (lambda content, part: content[: part.size // 2], "the footer"),
        (lambda content, part: b"", "the footer"),
        (lambda content, part: b"x" * part.size, "the footer"),
    ],
)
def test_a_part_that_was_changed_is_refused(
    store: CountingStore, files: PartFiles, tmp_path: Path, change: Callable[[bytes, Part], bytes], says: str
) -> None:
    part = stored(store, tmp_path)
    store.put(part.key, change(store.get(part.key), part))
    with pytest.raises(DataError, match=f"s3://artifacts/parts/p: {says} is not what was recorded"):
        files.fetch([part], want("c3"))


def test_a_part_with_other_values_of_the_same_shape_is_refused(
    store: CountingStore, files: PartFiles, tmp_path: Path
) -> None:
    part = stored(store, tmp_path)
    stored(store, tmp_path, seed=1)
    with pytest.raises(DataError, match="is not what was recorded"):
        files.fetch([part], want("c3"))


def test_a_part_that_is_gone_is_not_found(store: CountingStore, files: PartFiles, tmp_path: Path) -> None:
    part = stored(store, tmp_path)
    store.delete(part.key)
    with pytest.raises(NotFoundError, match="parts/p"):
        files.fetch([part], want("c3"))


def test_near_stretches_are_one_read_and_long_ones_several() -> None:
    gap, longest = part_files.GAP, part_files.LONGEST
    assert joined([]) == []
    assert joined([(100 + gap, 5), (0, 100)]) == [(0, 105 + gap)]
    assert joined([(0, 100), (101 + gap, 5)]) == [(0, 100), (101 + gap, 5)]
    assert joined([(3, 2 * longest + 1)]) == [(3, longest), (3 + longest, longest), (3 + 2 * longest, 1)]
