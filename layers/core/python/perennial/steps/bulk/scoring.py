"""Predicting files chunk by chunk: what is there already is left, what is made is written before it is told."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

from perennial import keys
from perennial.data.bulk.contract import bulk_contract
from perennial.data.bulk.features import FeatureQuery, StoredTable, check_tables
from perennial.data.bulk.stretches import StretchReader, note_rows
from perennial.data.contract.validate import OPENERS, WORKERS
from perennial.data.engine import Resources, connect, sha256_of, share_of
from perennial.data.parquet_chunks import Wanted
from perennial.data.reading.sources import Prepare
from perennial.definitions import Dataset
from perennial.errors import DataError, NotFoundError
from perennial.manifest import Manifest
from perennial.ports import ObjectStore, Ports
from perennial.records import BulkChunk, BulkEnd, BulkPlan, BulkTable
from perennial.serving.integrity import require_sha256
from perennial.serving.scorer import Scorer, scorer_of, served_file
from perennial.steps.bulk.chunks import ChunkScorer, Worker
from perennial.steps.bulk.plans import manifest_of, store_of
from perennial.steps.snapshots.part_files import PartFiles
from perennial.steps.views.view_online import read_view_manifest


@dataclass(frozen=True)
class Share:
    """One of several equal shares of the work."""

    index: int
    of: int

    def has_file(self, number: int) -> bool:
        """Tell whether a file that is not shared belongs to it."""
        return number % self.of == self.index

    def has_chunk(self, file: int, chunk: int) -> bool:
        """Tell whether a chunk of a file that is shared belongs to it."""
        return (file + chunk) % self.of == self.index


def score_files(ports: Ports, plan: BulkPlan, share: Share, folder: Path, resources: Resources, block: int) -> int:
    """Predict the chunks of a share that have no record yet; return how many chunks the share has.

    Parameters
    ----------
    folder : Path
        For files on their way; each is deleted once it is done with.
    block : int
        Bytes of text that make a chunk; memory is a small multiple of it.
    """
    manifest = manifest_of(ports, plan.manifest_key, plan.manifest_sha256)
    work = _Work(ports, plan, share, folder, block)
    counts = {number: work.done(number) for number in range(len(plan.files))}
    waiting = [number for number, count in counts.items() if count is None]
    if not waiting:
        return sum(count or 0 for count in counts.values())
    scorer = _scorer(ports, plan, manifest, folder)
    threads = min(resources.threads or os.cpu_count() or 1, WORKERS)
    each = Resources(share_of(resources.memory, threads), threads=1)
    with ExitStack() as stack, ThreadPoolExecutor(max_workers=threads) as pool:
        workers = _Workers(scorer, folder, each, stack)
        for number in waiting:
            counts[number] = work.score(number, scorer.dataset, pool, threads, workers.score)
    return sum(count or 0 for count in counts.values())


def _scorer(ports: Ports, plan: BulkPlan, manifest: Manifest, folder: Path) -> ChunkScorer:
    predict = _served(ports, plan, manifest).score_matrix
    files = PartFiles(ports.artifacts, folder)
    tables = {table.view.name: _stored(ports, table, manifest, files) for table in plan.tables}
    check_tables(manifest, tables)
    query = FeatureQuery(manifest, tables, plan.at)
    return ChunkScorer(ports.artifacts, plan, manifest, bulk_contract(plan.dataset, manifest), query, predict)


def _served(ports: Ports, plan: BulkPlan, manifest: Manifest) -> Scorer:
    """Return what scores the version, read from the file that the API is served from."""
    name = served_file(manifest.files)
    try:
        content = ports.artifacts.get(keys.artifact(plan.model, plan.version, name))
    except NotFoundError:
        raise DataError(f"{name}: is missing from the registered version; train and register again") from None
    require_sha256(name, content, manifest.files[name])
    return scorer_of(manifest, content)


def _stored(ports: Ports, table: BulkTable, manifest: Manifest, files: PartFiles) -> StoredTable:
    view = table.view
    columns = next(stored.columns for stored in manifest.stored if stored.name == view.name)
    wanted = Wanted(frozenset((*view.entity, str(view.feature_time), *columns)), str(view.feature_time))
    return StoredTable(view, files.fetch(read_view_manifest(ports, table.manifest_key).parts, wanted))


class _Workers:
    """Connections, one for each thread that asks."""

    def __init__(self, scorer: ChunkScorer, folder: Path, each: Resources, stack: ExitStack) -> None:
        self._scorer = scorer
        self._folder = folder
        self._each = each
        self._stack = stack
        self._free: SimpleQueue[Worker] = SimpleQueue()
        self._numbers = itertools.count()

    def score(self, reader: StretchReader, prepare: Prepare, file: int, chunk: int) -> BulkChunk:
        """Predict one chunk on a worker that is free."""
        try:
            worker = self._free.get_nowait()
        except Empty:  # there are never more workers than threads
            worker = self._worker()
        try:
            return self._scorer.score(worker, reader, prepare, file, chunk)
        finally:
            self._free.put(worker)

    def _worker(self) -> Worker:
        own = self._folder / f"worker-{next(self._numbers)}"  # what one connection spills is no other's to see
        own.mkdir()
        connection = self._stack.enter_context(connect(own, self._each, reads=[self._folder / "any"]))
        self._scorer.query.prepare(connection)
        return Worker(connection, note_rows(connection), own)


@dataclass
class _Work:
    """What of the plan's files is left to do for one share."""

    ports: Ports
    plan: BulkPlan
    share: Share
    folder: Path
    block: int

    def __post_init__(self) -> None:
        self._known = set(self._store.keys(keys.bulk_chunks(self.plan.model, self.plan.bulk_id)))

    @property
    def _store(self) -> ObjectStore:
        return self.ports.artifacts

    def done(self, number: int) -> int | None:
        """Return how many chunks of a file are this share's, if all of them are done; None if any is left."""
        if not self._is_shared(number) and not self.share.has_file(number):
            return 0
        end = self._key(number, None)
        if end not in self._known:
            return None
        chunks = BulkEnd.model_validate_json(self._store.get(end)).chunks
        mine = [chunk for chunk in range(chunks) if self._is_mine(number, chunk)]
        return None if any(self._is_left(number, chunk) for chunk in mine) else len(mine)

    def score(
        self,
        number: int,
        contract: Dataset,
        pool: ThreadPoolExecutor,
        threads: int,
        score: Callable[[StretchReader, Prepare, int, int], BulkChunk],
    ) -> int:
        """Read a file and predict what is left of this share's chunks; return how many chunks these are."""
        file = self.plan.files[number]
        path, blocks = self.folder / f"file-{number}", self.folder / f"blocks-{number}"
        blocks.mkdir()
        store_of(self.ports, file.bucket).download(file.key, path, file.version_id)
        reader, chunks, mine = StretchReader(contract, file.name), 0, 0
        pending: deque[Future[BulkChunk]] = deque()
        with OPENERS[contract.format](path, contract, blocks, name=file.name, block=self.block) as source:
            for chunks, prepare in enumerate(source.stretches(), start=1):
                mine += self._is_mine(number, chunks - 1)
                if not self._is_left(number, chunks - 1):
                    continue
                pending.append(pool.submit(partial(score, reader, prepare, number, chunks - 1)))
                # One chunk waits for a free thread while the next one is cut: memory is bounded.
                if len(pending) > threads:
                    pending.popleft().result()
            while pending:
                pending.popleft().result()
        if chunks == 0:
            raise DataError(f"{file.name}: has no rows; name a file with rows")
        end = BulkEnd(chunks=chunks, sha256=sha256_of(path))
        self._store.put_new(self._key(number, None), end.model_dump_json().encode(), "application/json")
        path.unlink()
        return mine

    def _is_shared(self, number: int) -> bool:
        return self.plan.files[number].size > self.plan.shared_above

    def _is_mine(self, number: int, chunk: int) -> bool:
        return self.share.has_chunk(number, chunk) if self._is_shared(number) else self.share.has_file(number)

    def _is_left(self, number: int, chunk: int) -> bool:
        return self._is_mine(number, chunk) and self._key(number, chunk) not in self._known

    def _key(self, number: int, chunk: int | None) -> str:
        return keys.bulk_chunk(self.plan.model, self.plan.bulk_id, number, chunk)
