"""What a stored view is made from: the live snapshots of its datasets and the tables of the views that it reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from perennial.data.contract.schema import check_fits
from perennial.data.views.view_parts import Cell, earliest_month, last_month, since
from perennial.data.views.view_sql import DatasetTable, Table, ViewTable
from perennial.definitions import Dataset, FeatureView
from perennial.ports import Ports
from perennial.records import Part, Snapshot, SnapshotManifest, ViewManifest
from perennial.steps.snapshots.snapshot_files import fetch_parts, read_manifests
from perennial.utc import naive_utc

Buckets = Mapping[str, Mapping[str, str]]
"""Snapshot to month to its rows' buckets, as `ViewManifest.cells` has them."""


def parts_between(parts: Sequence[Part], start: datetime | None, end: datetime | None) -> list[Part]:
    """Return the parts that have rows whose times reach into ``[start, end)``; None means no bound."""
    return [
        part
        for part in parts
        if part.min_event_time is not None
        and part.max_event_time is not None
        and (end is None or naive_utc(part.min_event_time) < end)
        and (start is None or naive_utc(part.max_event_time) >= start)
    ]


@dataclass
class ViewInputs:
    """All that a view's SELECT reads, at one revision of each dataset.

    Parameters
    ----------
    ports : Ports
        The artifacts and the definitions.
    view : FeatureView
        Whose inputs.
    live : dict
        Dataset, of all that the view depends on, to its live snapshots and its revision.
    tables : list of (FeatureView, ViewManifest)
        The views that it reads itself, at the same revisions.
    """

    ports: Ports
    view: FeatureView
    live: dict[str, tuple[list[Snapshot], int]]
    tables: list[tuple[FeatureView, ViewManifest]]
    _manifests: dict[str, SnapshotManifest] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The view's version."""
        return self.ports.definitions.view_version(self.view.name)

    @property
    def revisions(self) -> dict[str, int]:
        """Dataset to its revision."""
        return {name: revision for name, (_, revision) in sorted(self.live.items())}

    @property
    def own(self) -> list[Snapshot]:
        """The live snapshots of the view's own dataset."""
        return self.live[self.view.dataset][0]

    def are_live(self) -> bool:
        """Tell whether the datasets are still at these revisions."""
        return all(self.ports.catalog.snapshots(name)[1] == revision for name, revision in self.revisions.items())

    def months(self) -> list[str]:
        """Return the months in which the view's own dataset has rows."""
        return sorted({month for snapshot in self.own for month in snapshot.months})

    def digest(self, cell: Cell, buckets: Buckets, hashing: str) -> str:
        """Return the SHA-256 of what a part is computed from: as long as it is the same, so is the part."""
        read = {
            dataset.name: [
                [snapshot.snapshot_id, snapshot.rows, snapshot.size]
                for snapshot in self._snapshots(dataset, cell, buckets)
            ]
            for dataset in self._datasets()
        }
        views = {
            view.name: [part.sha256 for part in parts_between(manifest.parts, None, cell.period.end)]
            for view, manifest in self.tables
        }
        part = [self.version, cell.period.name, cell.bucket, cell.buckets, hashing]
        return hashlib.sha256(json.dumps([*part, read, views]).encode()).hexdigest()

    def fetch(
        self, cells: Sequence[Cell], buckets: Buckets, folder: Path, *, whole_history: bool = False
    ) -> list[list[Table]]:
        """Download what parts are computed from; return the tables that each cell's SELECT reads.

        Raises
        ------
        DataError
            A snapshot cannot be read under the contract of today.
        """
        wanted = [self._parts(cell, buckets, whole_history) for cell in cells]
        parts = [part for each in wanted for _, those in each for part in those]
        files = dict(zip(parts, fetch_parts(self.ports.artifacts, parts, folder), strict=True))
        return [[_table(definition, [files[part] for part in those]) for definition, those in each] for each in wanted]

    def snapshot_table(self, snapshot: Snapshot, folder: Path) -> Table:
        """Download all rows of one snapshot of the view's own dataset."""
        dataset = self.ports.definitions.dataset(self.view.dataset)
        parts = self._snapshot_parts(dataset, [snapshot], None, None)
        return DatasetTable(dataset, fetch_parts(self.ports.artifacts, parts, folder))

    def _parts(
        self, cell: Cell, buckets: Buckets, whole_history: bool
    ) -> list[tuple[Dataset | FeatureView, Sequence[Part]]]:
        found: list[tuple[Dataset | FeatureView, Sequence[Part]]] = []
        for dataset in self._datasets():
            snapshots = self._snapshots(dataset, cell, buckets, whole_history)
            start = since(self.view, cell.period) if dataset.name == self.view.dataset and not whole_history else None
            found.append((dataset, self._snapshot_parts(dataset, snapshots, start, cell.period.end)))
        for view, manifest in self.tables:
            # A table without rows is read for its columns.
            found.append((view, parts_between(manifest.parts, None, cell.period.end) or manifest.parts[:1]))
        return found

    def _datasets(self) -> list[Dataset]:
        return self.ports.definitions.reads(self.view.name)[0]

    def _snapshots(self, dataset: Dataset, cell: Cell, buckets: Buckets, whole_history: bool = False) -> list[Snapshot]:
        """Return the snapshots with rows that a part may see, in the order in which they are read."""
        snapshots, _ = self.live[dataset.name]
        own = dataset.name == self.view.dataset
        first = earliest_month(self.view, cell.period) if own and not whole_history else ""
        last = last_month(cell.period)

        def is_seen(snapshot: Snapshot, month: str) -> bool:
            if not first <= month <= last:
                return False
            spread = own and cell.buckets > 1
            return not spread or bool(int(buckets[snapshot.snapshot_id].get(month, "0"), 16) >> cell.bucket & 1)

        return [snapshot for snapshot in snapshots if any(is_seen(snapshot, month) for month in snapshot.months)]

    def _snapshot_parts(
        self, dataset: Dataset, snapshots: Sequence[Snapshot], start: datetime | None, end: datetime | None
    ) -> list[Part]:
        unread = [snapshot for snapshot in snapshots if snapshot.manifest_key not in self._manifests]
        for snapshot, manifest in zip(unread, read_manifests(self.ports, unread), strict=True):
            check_fits(manifest, dataset)
            self._manifests[snapshot.manifest_key] = manifest
        manifests = [self._manifests[snapshot.manifest_key] for snapshot in snapshots]
        return [part for manifest in manifests for part in parts_between(manifest.parts, start, end)]


def _table(definition: Dataset | FeatureView, files: Sequence[Path]) -> Table:
    return DatasetTable(definition, files) if isinstance(definition, Dataset) else ViewTable(definition, files)
