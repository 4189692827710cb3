"""Writing a snapshot: its parts, then its manifest; nobody sees it before the catalog publishes its record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from perennial import keys
from perennial.data.contract.validate import PartFile
from perennial.data.engine import sha256_of
from perennial.ports import ObjectStore, Ports
from perennial.records import Part, Snapshot, SnapshotManifest
from perennial.steps.snapshots.part_files import read_by_range
from perennial.steps.snapshots.snapshot_files import several


@dataclass(frozen=True)
class Origin:
    """Where a snapshot comes from, beside what its manifest says."""

    run_id: str
    began: datetime
    """When the run began."""
    uploaded_at: datetime | None = None
    quarantine_key: str | None = None
    rewritten_from: str | None = None


def plain_id(source_sha256: str, contract: str) -> str:
    """Return the id of the snapshot that holds all good rows of a file."""
    return hashlib.sha256((source_sha256 + contract).encode()).hexdigest()[:32]


def write_snapshot(
    ports: Ports, draft: SnapshotManifest, pieces: Sequence[Part | PartFile], origin: Origin, kind: str = ""
) -> tuple[Snapshot, SnapshotManifest]:
    """Upload the pieces that are files, several at a time, and the manifest; return the record and the manifest.

    Parameters
    ----------
    draft : SnapshotManifest
        All but the parts and their rows; also without the id where ``kind`` is set.
    pieces : sequence of Part or PartFile
        In the order of the rows; a part that another snapshot holds is shared.
    origin : Origin
        What the record says beside.
    kind : str
        ``forgotten`` or ``superseded``: rows were taken out. The id then follows from the rows that are left.
    """
    digests = several(lambda piece: piece.sha256 if isinstance(piece, Part) else sha256_of(piece.path), pieces)
    snapshot_id = draft.snapshot_id
    if kind:
        content = json.dumps([draft.source_sha256, draft.contract, kind, digests])
        snapshot_id = hashlib.sha256(content.encode()).hexdigest()[:32]

    def write(piece: Part | PartFile, sha256: str) -> Part:
        if isinstance(piece, Part):
            return piece
        key = keys.snapshot_part(draft.dataset, snapshot_id, sha256)
        ports.artifacts.upload(piece.path, key)
        return Part(
            key=key,
            sha256=sha256,
            rows=piece.rows,
            size=piece.path.stat().st_size,
            chunks=read_by_range(piece.path),
            min_event_time=piece.min_event_time.replace(tzinfo=UTC),
            max_event_time=piece.max_event_time.replace(tzinfo=UTC),
        )

    parts = several(lambda pair: write(*pair), zip(pieces, digests, strict=True))
    rows = sum(part.rows for part in parts)
    manifest = draft.model_copy(update={"snapshot_id": snapshot_id, "parts": tuple(parts), "rows": rows})
    text = manifest.model_dump_json().encode()
    sha256 = hashlib.sha256(text).hexdigest()
    key = keys.snapshot_manifest(draft.dataset, snapshot_id, sha256)
    ports.artifacts.put(key, text, "application/json")
    return _record(manifest, key, sha256, origin), manifest


def _record(manifest: SnapshotManifest, key: str, sha256: str, origin: Origin) -> Snapshot:
    earliest = [part.min_event_time for part in manifest.parts if part.min_event_time]
    latest = [part.max_event_time for part in manifest.parts if part.max_event_time]
    return Snapshot(
        snapshot_id=manifest.snapshot_id,
        dataset=manifest.dataset,
        source=manifest.source,
        source_version=manifest.source_version,
        uploaded_at=origin.uploaded_at,
        source_sha256=manifest.source_sha256,
        contract=manifest.contract,
        manifest_key=key,
        manifest_sha256=sha256,
        rows=manifest.rows,
        rejected=manifest.rejected,
        size=sum(part.size for part in manifest.parts),
        quarantine_key=origin.quarantine_key,
        months=tuple(sorted(manifest.months)),
        min_event_time=min(earliest, default=None),
        max_event_time=max(latest, default=None),
        rewritten_from=origin.rewritten_from,
        run_id=origin.run_id,
        created_at=origin.began,
    )


def purge(store: ObjectStore, key: str, *, older: bool = False) -> None:
    """Delete an object for good, in every version; or only what stood there before its latest version."""
    for version in store.versions(key)[1 if older else 0 :]:
        store.delete(key, version)
