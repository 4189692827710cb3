"""Computing the parts of a stored view that are not there yet."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from perennial import keys
from perennial.data.engine import Resources, sha256_of, share_of
from perennial.data.views.leak_check import check_leaks, check_window
from perennial.data.views.locality import is_entity_local
from perennial.data.views.view_parts import (
    Cell,
    PartFile,
    bucket_count,
    earliest_month,
    hash_probe,
    months_by_bucket,
    periods,
    write_part,
)
from perennial.data.views.view_sql import Table
from perennial.ports import Ports
from perennial.records import ViewManifest, ViewPart
from perennial.steps.snapshots.part_files import read_by_range
from perennial.steps.snapshots.snapshot_files import several
from perennial.steps.views.view_inputs import Buckets, ViewInputs

BUCKET_ROWS = 5_000_000
"""Rows of its dataset beyond which a view's entities are spread over buckets."""
CHECKED_CELLS = 2
"""How many parts, those with the most rows, are tried for leaks, beside the last one."""


@dataclass(frozen=True)
class Built:
    """A view's table, and how much of it had to be computed."""

    manifest: ViewManifest
    computed: int
    """Parts."""


@dataclass
class ViewBuild:
    """Makes a view's table from its inputs, taking over the parts of an earlier table whose inputs are the same.

    Parameters
    ----------
    ports : Ports
        Where parts are kept.
    inputs : ViewInputs
        What the view reads.
    folder : Path
        Where files are kept meanwhile.
    resources : Resources
        What DuckDB may use; parts are computed several at a time, each on one thread.
    bucket_rows : int
        Rows beyond which entities are spread over buckets.
    """

    ports: Ports
    inputs: ViewInputs
    folder: Path
    resources: Resources
    bucket_rows: int = BUCKET_ROWS

    def build(self, earlier: ViewManifest | None, *, check: bool) -> Built:
        """Return the table over the inputs; its new parts are written to the object store, but nobody sees them yet.

        Parameters
        ----------
        earlier : ViewManifest or None
            The table whose parts may be taken over; None computes all of them.
        check : bool
            Whether to try the view for leaks, and for a window that is too short.

        Raises
        ------
        DefinitionError
            The SQL fails on the rows, knows values before their time, or looks further back than its window.
        DataError
            A snapshot cannot be read under the contract of today.
        """
        inputs = self.inputs
        buckets = self._bucket_count()
        hashing = hash_probe() if buckets > 1 else ""
        hits = self._hits(buckets, hashing, earlier) if buckets > 1 else {}
        months = inputs.months()
        cells = [Cell(period, bucket, buckets) for period in periods(inputs.view, months) for bucket in range(buckets)]
        digests = {cell: inputs.digest(cell, hits, hashing) for cell in cells}
        known = {part.inputs: part for part in earlier.parts} if earlier is not None else {}
        stale = [cell for cell in cells if digests[cell] not in known]
        made = self._make(stale, digests, hits, check=check)
        manifest = ViewManifest(
            view=inputs.view.name,
            version=inputs.version,
            buckets=buckets,
            revisions=inputs.revisions,
            snapshots={
                name: tuple(snapshot.snapshot_id for snapshot in live)
                for name, (live, _) in sorted(inputs.live.items())
            },
            parts=tuple(made[cell] if cell in made else known[digests[cell]] for cell in cells),
            cells={name: dict(months) for name, months in sorted(hits.items())},
            hashing=hashing,
        )
        return Built(manifest, len(stale))

    def _bucket_count(self) -> int:
        rows = sum(snapshot.rows for snapshot in self.inputs.own)
        wanted = bucket_count(rows, self.bucket_rows)
        return wanted if wanted > 1 and is_entity_local(self.inputs.view) else 1

    def _hits(self, buckets: int, hashing: str, earlier: ViewManifest | None) -> Buckets:
        """Return which buckets each snapshot's rows fall in; those of the earlier table are known."""
        known: Mapping[str, Mapping[str, str]] = {}
        if earlier is not None and (earlier.buckets, earlier.hashing) == (buckets, hashing):
            known = earlier.cells
        found: dict[str, Mapping[str, str]] = {}
        entity = self.inputs.view.entity
        for snapshot in self.inputs.own:
            found[snapshot.snapshot_id] = known.get(snapshot.snapshot_id) or {
                month: f"{bits:x}"
                for month, bits in months_by_bucket(
                    self.inputs.snapshot_table(snapshot, self.folder),
                    entity,
                    buckets,
                    self.folder,
                    resources=self.resources,
                ).items()
            }
        return found

    def _make(
        self, cells: Sequence[Cell], digests: Mapping[Cell, str], hits: Buckets, *, check: bool
    ) -> dict[Cell, ViewPart]:
        """Compute parts, try the view on some of them, write them to the object store."""
        if not cells:
            return {}
        tables = dict(zip(cells, self.inputs.fetch(cells, hits, self.folder), strict=True))
        view, memory = self.inputs.view, share_of(self.resources.memory, self._workers(len(cells)))

        def compute(cell: Cell) -> PartFile:
            return write_part(view, tables[cell], cell, self._place(cell), memory=memory)

        files = dict(zip(cells, self._at_once(compute, cells), strict=True))
        if check:
            self._check(files, tables, hits)
        parts = {cell: self._part(cell, file, digests[cell]) for cell, file in files.items()}
        # Parts without rows may be alike: one object is written once.
        places = {part.key: self._place(cell) for cell, part in parts.items()}
        several(lambda key: self.ports.artifacts.upload(places[key], key), places)
        return parts

    def _check(self, files: Mapping[Cell, PartFile], tables: Mapping[Cell, Sequence[Table]], hits: Buckets) -> None:
        """Try the view on the parts with the most rows and the last one, its window on the last behind others."""
        view, memory = self.inputs.view, self.resources.memory
        folder = self.folder / "check"
        folder.mkdir(exist_ok=True)
        fullest = sorted((cell for cell in files if files[cell].rows), key=lambda cell: -files[cell].rows)
        last = [cell for cell in files if files[cell].rows][-1:]
        for cell in dict.fromkeys([*fullest[:CHECKED_CELLS], *last]):
            check_leaks(view, tables[cell], cell, self._place(cell), folder, memory=memory)
        months = self.inputs.months()
        later = [cell for cell in files if files[cell].rows and months[0] < earliest_month(view, cell.period)]
        for cell in later[-1:]:
            (whole,) = self.inputs.fetch([cell], hits, self.folder, whole_history=True)
            check_window(view, whole, cell, self._place(cell), folder, memory=memory)

    def _part(self, cell: Cell, file: PartFile, digest: str) -> ViewPart:
        path = self._place(cell)
        sha256 = sha256_of(path)
        return ViewPart(
            key=keys.view_part(self.inputs.view.name, self.inputs.version, sha256),
            sha256=sha256,
            rows=file.rows,
            size=path.stat().st_size,
            chunks=read_by_range(path),
            min_event_time=file.min_feature_time,
            max_event_time=file.max_feature_time,
            period=cell.period.name,
            bucket=cell.bucket,
            inputs=digest,
        )

    def _place(self, cell: Cell) -> Path:
        """Return a part's file, in a folder of its own: engines that spill at the same time must not meet."""
        version = self.inputs.version[:16]
        folder = self.folder / f"{self.inputs.view.name}-{version}-{cell.period.name}-{cell.bucket}-{cell.buckets}"
        folder.mkdir(exist_ok=True)
        return folder / "part.parquet"

    def _at_once(self, compute: Callable[[Cell], PartFile], cells: Sequence[Cell]) -> list[PartFile]:
        with ThreadPoolExecutor(self._workers(len(cells))) as pool:
            futures = [pool.submit(compute, cell) for cell in cells]
            try:
                return [future.result() for future in futures]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _workers(self, cells: int) -> int:
        return max(1, min(cells, self.resources.threads or os.cpu_count() or 1))


def rows_of(manifest: ViewManifest) -> int:
    """Return how many rows a table has."""
    return sum(part.rows for part in manifest.parts)


def by_period(manifest: ViewManifest) -> list[list[ViewPart]]:
    """Return a table's parts with rows, the latest feature times first, those of one period together."""
    order = Counter(part.period for part in manifest.parts)
    return [
        found
        for period in reversed(order)
        if (found := [part for part in manifest.parts if part.period == period and part.rows])
    ]
