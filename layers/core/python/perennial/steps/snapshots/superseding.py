"""What is read of each upload where several uploads of a dataset share keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from perennial.data.contract.validate import PartFile
from perennial.data.engine import DEFAULTS, Resources, connect
from perennial.data.live_rows.rewrite import Rewritten, months_left, rewrite_part
from perennial.data.live_rows.supersession import Keys, comparable, find_owners, may_share, superseded, touched
from perennial.data.parquet_chunks import Wanted
from perennial.definitions import Dataset
from perennial.live_uploads import LiveUpload
from perennial.ports import Ports
from perennial.records import Part, Snapshot, SnapshotManifest
from perennial.steps.snapshots.part_files import PartFiles
from perennial.steps.snapshots.snapshot_files import fetch_parts, read_manifests
from perennial.steps.snapshots.snapshot_writer import Origin, write_snapshot


@dataclass(frozen=True)
class Contender:
    """An upload's original with what it consists of; of two that share a key, the one further behind in a list wins."""

    original: Snapshot
    manifest: SnapshotManifest


@dataclass(frozen=True)
class StandIns:
    """Makes the snapshots that are read in the place of originals that hold superseded rows.

    What is read of an original is computed from originals alone: from its own rows and the keys of those uploaded
    later. So the outcome is the same in whatever order they come; and a row comes back when the upload that superseded
    it is corrected. Of the originals that may share a key with another one by the ranges of their key columns, only
    the key columns are read; only parts that hold superseded rows are written again.

    Parameters
    ----------
    ports : Ports
        The stores.
    dataset : Dataset
        With its key.
    folder : Path
        For files meanwhile.
    origin : Origin
        The run that asks.
    """

    ports: Ports
    dataset: Dataset
    folder: Path
    origin: Origin
    resources: Resources = DEFAULTS

    def make(self, contenders: Sequence[Contender], around: Sequence[SnapshotManifest]) -> dict[str, Snapshot]:
        """Return what is read in the place of each original that the change of some may concern.

        Parameters
        ----------
        contenders : sequence of Contender
            All that will be live, in the order of their uploads.
        around : sequence of SnapshotManifest
            What is new, and what will be live no more.

        Returns
        -------
        dict of str to Snapshot
            Original to what is read in its place: the original itself where no row is superseded. Their files are
            written.
        """
        able = [one for one in contenders if comparable(one.manifest, self.dataset)]
        near = [manifest for manifest in around if comparable(manifest, self.dataset)]
        concerned = [one for one in able if any(_near(one.manifest, other) for other in near)]
        rivals = [
            one for one in able if any(one is not other and _near(one.manifest, other.manifest) for other in concerned)
        ]
        held = self._keys(able, rivals)
        read = {one.original.snapshot_id: one.original for one in concerned}
        with connect(self.folder, self.resources) as connection:
            find_owners(connection, self.dataset, list(held.values()))
            for one in concerned:
                own = held.get(one.original.snapshot_id)
                changed = {} if own is None else self._rewrite(connection, one, own)
                if changed:
                    read[one.original.snapshot_id] = self._write(one, changed)
        return read

    def _keys(self, able: Sequence[Contender], rivals: Sequence[Contender]) -> dict[str, Keys]:
        """Fetch the key columns of those originals that may share keys."""
        ranks = {one.original.snapshot_id: rank for rank, one in enumerate(able)}
        files = PartFiles(self.ports.artifacts, self.folder)
        wanted = Wanted(columns=frozenset(self.dataset.key), time=self.dataset.key[0])
        return {
            one.original.snapshot_id: Keys(
                ranks[one.original.snapshot_id], tuple(files.fetch(one.manifest.parts, wanted))
            )
            for one in rivals
        }

    def _rewrite(self, connection: duckdb.DuckDBPyConnection, one: Contender, own: Keys) -> dict[int, Rewritten]:
        """Return what is left of those parts of an original that hold superseded rows."""
        hit = touched(connection, self.dataset, own)
        whole = fetch_parts(self.ports.artifacts, [one.manifest.parts[place] for place in hit], self.folder)
        condition, time = superseded(self.dataset, own.rank), self.dataset.event_time
        changed = {}
        for place, path in zip(hit, whole, strict=True):
            new = rewrite_part(connection, path, condition, time, path.with_suffix(f".{own.rank}.left"))
            if new is not None:
                changed[place] = new
        return changed

    def _write(self, one: Contender, changed: dict[int, Rewritten]) -> Snapshot:
        origin = replace(
            self.origin,
            uploaded_at=one.original.uploaded_at,
            quarantine_key=one.original.quarantine_key,
            rewritten_from=one.original.snapshot_id,
        )
        return write_without(self.ports, one.manifest, changed, origin, "superseded")[0]


def _near(manifest: SnapshotManifest, other: SnapshotManifest) -> bool:
    return may_share(manifest.key_ranges, other.key_ranges)


def write_without(
    ports: Ports, manifest: SnapshotManifest, changed: dict[int, Rewritten], origin: Origin, kind: str, **more: object
) -> tuple[Snapshot, SnapshotManifest]:
    """Write a snapshot that shares another one's parts, but for those that were written again.

    Parameters
    ----------
    manifest : SnapshotManifest
        Of the other one.
    changed : dict
        Position of a part to what is left of it.
    origin, kind
        As in `write_snapshot`.
    more
        Fields of the manifest that differ, beside the parts, rows and months.
    """
    pieces: list[Part | PartFile] = []
    for place, part in enumerate(manifest.parts):
        new = changed.get(place)
        if new is None:
            pieces.append(part)
        elif new.part is not None:
            pieces.append(new.part)
    months = months_left(manifest.months, list(changed.values()))
    draft = manifest.model_copy(update={"months": months, "parts": (), **more})
    return write_snapshot(ports, draft, pieces, origin, kind)


def contenders_of(ports: Ports, uploads: Sequence[LiveUpload]) -> list[Contender]:
    """Return the originals of live uploads with their manifests, in the order of the uploads."""
    ordered = [upload.original for upload in sorted(uploads, key=LiveUpload.rank)]
    return [Contender(*pair) for pair in zip(ordered, read_manifests(ports, ordered), strict=True)]
