"""Validating one upload against its dataset's contract: typed Parquet of the good rows, a reason for each bad one."""

from __future__ import annotations

import itertools
import os
import shutil
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import BinaryIO

import duckdb

from perennial.data.contract import file_rules
from perennial.data.contract.column_sql import Limits
from perennial.data.contract.judge import MAX_CATEGORIES, Judge
from perennial.data.contract.noted_rows import NotedRows, note_rows
from perennial.data.contract.uniqueness import without_repeated_keys
from perennial.data.contract.verdict import Seen, Verdict
from perennial.data.engine import DEFAULTS, Resources, connect, share_of
from perennial.data.reading import csv_source, json_source, parquet_source
from perennial.data.reading.sources import BLOCK, Prepare, Source
from perennial.definitions import Dataset
from perennial.errors import DataError

WORKERS = 4
"""Most blocks that are worked on at a time: each takes memory."""
OPENERS: Mapping[str, Callable[..., AbstractContextManager[Source]]] = {
    "csv": csv_source.open_csv,
    "jsonl": json_source.open_jsonl,
    "parquet": parquet_source.open_parquet,
}
"""Format to what opens a file of it."""


@dataclass(frozen=True)
class PartFile:
    """Parquet of some of a file's good rows."""

    path: Path
    rows: int
    min_event_time: datetime
    """Naive UTC."""
    max_event_time: datetime


@dataclass(frozen=True)
class Validated:
    """What validating a file found; ``rows_in == rows_good + rows_rejected``."""

    rows_in: int
    rows_good: int
    rows_rejected: int
    parts: tuple[PartFile, ...] = ()
    """In the order of the file's rows."""
    months: Mapping[str, int] = field(default_factory=dict)
    """Good rows by the month of their event time, such as ``2019-01``, in order."""
    min_event_time: datetime | None = None
    """Of the good rows; naive UTC."""
    max_event_time: datetime | None = None
    rejected_by: Mapping[str, int] = field(default_factory=dict)
    """Rejected rows by ``column: rule`` (or ``rule`` alone), most frequent first."""
    added_columns: tuple[str, ...] = ()
    """Columns of the file that the contract does not know."""
    absent_columns: tuple[str, ...] = ()
    """Optional columns that the file lacks."""
    new_categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of open categorical columns."""
    refusal: str | None = None
    """Why the file is refused as a whole; its parts are not to be published then."""


def validate(
    source: Path,
    dataset: Dataset,
    folder: Path,
    quarantine: Path,
    *,
    name: str,
    uploaded_at: datetime | None = None,
    resources: Resources = DEFAULTS,
    block: int = BLOCK,
) -> Validated:
    """Split an uploaded file into typed Parquet and a quarantine.

    Nothing is inferred and nothing is dropped: a row is written to a part, in the file's order, or to ``quarantine``
    as one JSON line ``{"line", "column", "value", "rule", "reason", "raw", "faults"}``, where ``faults`` lists all
    that the row breaks and the other fields tell the first of it.

    Parameters
    ----------
    source : Path
        The file.
    dataset : Dataset
        Its contract.
    folder : Path
        Receives the parts: ``part-00000.parquet`` …, columns in the contract's order. The same file always makes the
        same bytes, whatever the number of threads. The engine works there as well.
    quarantine : Path
        JSON Lines to write, by line number.
    name : str
        What messages call the file, and what ``bounds.file_period`` is read from.
    uploaded_at : datetime or None
        When the file was uploaded; None leaves rules about it out. Without time zone it is UTC.
    resources : Resources
        What DuckDB may use, all threads together.
    block : int
        Bytes of text handled at a time; memory is a small multiple of it, whatever the file's size.

    Raises
    ------
    DataError
        The file as a whole is unusable: empty, no rows, broken gzip, another encoding, columns missing or twice.
    """
    limits = file_rules.limits(dataset, name, uploaded_at)
    opener = OPENERS[dataset.format]
    blocks = folder / "blocks"
    blocks.mkdir()
    try:
        with opener(source, dataset, blocks, name=name, block=block) as opened:
            found = _Findings(dataset, folder)
            with quarantine.open("wb") as rejects, _judges(dataset, name, limits, source, blocks, resources) as judges:
                for verdict in judges.verdicts(opened.stretches()):
                    found.add(verdict, rejects)
        if found.rows_in == 0:
            what = "has a header and no rows" if dataset.format == "csv" else "has no rows"
            raise DataError(f"{name}: {what}; upload a file with rows")
        if dataset.key and found.verdicts:
            with opener(source, dataset, blocks, name=name, block=block) as again:
                found.drop_repeated_keys(again, blocks, quarantine, resources)
    finally:
        shutil.rmtree(blocks)
    return found.result(opened, name, uploaded_at)


class _Judges:
    """Threads that judge stretches, each with a connection of its own, in the file's order."""

    def __init__(
        self, judge: Judge, opened: Callable[[], duckdb.DuckDBPyConnection], workers: int, folder: Path
    ) -> None:
        self._judge = judge
        self._opened = opened
        self._free: SimpleQueue[tuple[duckdb.DuckDBPyConnection, NotedRows]] = SimpleQueue()
        self._workers = workers
        self._folder = folder

    def verdicts(self, stretches: Iterator[Prepare]) -> Iterator[Verdict]:
        with ThreadPoolExecutor(max_workers=self._workers) as pool:
            pending: deque[Future[Verdict]] = deque()
            for number, prepare in enumerate(stretches):
                pending.append(pool.submit(self._work, prepare, number))
                # Two stretches wait for a free thread while the next one is cut: memory is bounded.
                if len(pending) > self._workers + 1:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def _work(self, prepare: Prepare, number: int) -> Verdict:
        try:
            connection, noted = self._free.get_nowait()
        except Empty:  # there are never more connections than threads, and a file of one stretch needs but one
            connection = self._opened()
            noted = note_rows(connection)
        try:
            return self._judge.judge(connection, noted, prepare, number, self._folder)
        finally:
            self._free.put((connection, noted))


@contextmanager
def _judges(
    dataset: Dataset, name: str, limits: Limits, source: Path, blocks: Path, resources: Resources
) -> Iterator[_Judges]:
    workers = min(resources.threads or os.cpu_count() or 1, WORKERS)
    each = Resources(share_of(resources.memory, workers), threads=1)
    numbers = itertools.count()
    with ExitStack() as stack:

        def opened() -> duckdb.DuckDBPyConnection:
            # What one connection spills is no other's to see.
            spill = blocks / f"worker-{next(numbers)}"
            spill.mkdir()
            return stack.enter_context(connect(spill, each, reads=[source, blocks / "any"]))

        yield _Judges(Judge(dataset, name, limits), opened, workers, blocks)


class _Findings:
    """What the verdicts on a file's stretches add up to."""

    def __init__(self, dataset: Dataset, folder: Path) -> None:
        self._dataset = dataset
        self._folder = folder
        self.verdicts: list[Verdict] = []
        """Of the stretches with good rows."""
        self.rows_in = 0
        self._bad = Counter[str]()
        self._seen: dict[str, Seen] = {}
        self._categories: dict[str, set[str]] = {}

    def add(self, verdict: Verdict, rejects: BinaryIO) -> None:
        """Take the next stretch's verdict, its part and its bad rows."""
        self.rows_in += verdict.good + sum(verdict.bad.values())
        self._bad.update(verdict.bad)
        for column, seen in verdict.seen.items():
            self._seen[column] = self._seen.get(column, Seen()) + seen
        for column, categories in verdict.new_categories.items():
            self._categories.setdefault(column, set()).update(categories)
        if verdict.rejects is not None:
            with verdict.rejects.open("rb") as file:
                shutil.copyfileobj(file, rejects)
            verdict.rejects.unlink()
        if verdict.part is not None:
            part = self._folder / f"part-{len(self.verdicts):05d}.parquet"
            verdict.part.replace(part)
            bad_rows = array("i", verdict.bad_rows) if self._dataset.key else ()
            self.verdicts.append(replace(verdict, part=part, bad_rows=bad_rows))

    def drop_repeated_keys(self, source: Source, folder: Path, quarantine: Path, resources: Resources) -> None:
        """Take rows whose key stood in an earlier row out of the parts."""
        self.verdicts, count = without_repeated_keys(
            self.verdicts, source, self._dataset, folder, quarantine, resources
        )
        if count:
            key = self._dataset.key
            self._bad[f"{key[0]}: unique" if len(key) == 1 else "unique"] += count

    def result(self, source: Source, name: str, uploaded_at: datetime | None) -> Validated:
        """Sum up."""
        parts = tuple(
            PartFile(verdict.part, verdict.good, verdict.min_event_time, verdict.max_event_time)
            for verdict in self.verdicts
            if verdict.part and verdict.min_event_time and verdict.max_event_time
        )
        good = sum(part.rows for part in parts)
        months = sum((Counter(verdict.months) for verdict in self.verdicts), Counter[str]())
        last = max((part.max_event_time for part in parts), default=None)
        return Validated(
            self.rows_in,
            good,
            self._bad.total(),
            parts,
            dict(sorted(months.items())),
            min((part.min_event_time for part in parts), default=None),
            last,
            dict(self._bad.most_common()),
            source.added_columns,
            source.absent_columns,
            {column: tuple(sorted(found)[:MAX_CATEGORIES]) for column, found in self._categories.items() if found},
            file_rules.refusal(
                self._dataset,
                name,
                rows=self.rows_in,
                good=good,
                seen=self._seen,
                latest=last,
                uploaded_at=uploaded_at,
            ),
        )
