"""Which uploads of a dataset are live, and what publishing one more makes of them: the rules that catalogs keep.

What is live is a function of what was uploaded, when, and what was forgotten; the order of publishing has no say:

- Each source (an object's URI) has its latest upload, by ``uploaded_at``. An older one that comes late stays out.
- One upload made into snapshots under two contracts: the run that began later stands, for it read the definitions
  that were deployed later. (A run that began before a deployment and ends after it changes nothing any more.)
- The same content under two sources is one snapshot, live while either has it.
- What is forgotten is gone from every upload, past and to come.
- Where the dataset has a key, what is read of an upload may be another snapshot: without the rows that later uploads
  supersede. The original is kept, for its rows are read again when the later upload is corrected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from perennial.records import Moment, Record, Snapshot


class Pointer(Record):
    """Which content a source has, and since which upload."""

    snapshot_id: str
    """The original as it was published; rows may have been forgotten since (`DatasetState.kept`)."""
    source_version: str | None
    uploaded_at: Moment | None
    began: Moment
    """When the run began that published it."""


class LiveUpload(Record):
    """Some content that is live, with the sources that have it."""

    original: Snapshot
    """All its good rows, but those forgotten."""
    snapshot: Snapshot
    """What is read: the original, or what was made from it without superseded rows."""
    sources: dict[str, Pointer]
    """Each source that has it."""

    def rank(self, without: str = "") -> tuple[datetime, str]:
        """Return what says whose row stands when two uploads share a key: the higher one's.

        It is the time and the source of the latest upload; of one from another source than ``without``.
        """
        return max(_rank(source, pointer) for source, pointer in self.sources.items() if source != without)


@dataclass(frozen=True)
class DatasetState:
    """What a catalog knows of a dataset, beside the records of snapshots."""

    revision: int = 0
    pointers: Mapping[str, Pointer] = field(default_factory=dict)
    """By source."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """Published original to what is left of it, where rows were forgotten."""
    read: Mapping[str, str] = field(default_factory=dict)
    """Original to the snapshot that is read in its place, where rows are superseded."""

    def original(self, snapshot_id: str) -> str:
        """Return what is left of an original."""
        return self.kept.get(snapshot_id, snapshot_id)

    def originals(self) -> dict[str, dict[str, Pointer]]:
        """Return each live original with the sources that have it."""
        found: dict[str, dict[str, Pointer]] = {}
        for source, pointer in sorted(self.pointers.items()):
            found.setdefault(self.original(pointer.snapshot_id), {})[source] = pointer
        return found

    def live(self) -> frozenset[str]:
        """Return the snapshots that are read."""
        return frozenset(self.read.get(original, original) for original in self.originals())

    def stands(self, snapshot: Snapshot) -> str:
        """Return the original that a snapshot's source has."""
        return self.original(self.pointers[snapshot.source].snapshot_id)

    def uploads(self, records: Mapping[str, Snapshot]) -> list[LiveUpload]:
        """Return the live uploads, oldest event time first; KeyError if a record is missing."""
        found = [
            LiveUpload(original=records[original], snapshot=records[self.read.get(original, original)], sources=sources)
            for original, sources in self.originals().items()
        ]
        return sorted(found, key=lambda upload: upload.snapshot.order())

    def publish(self, snapshot: Snapshot, known: Snapshot | None, read: Mapping[str, Snapshot]) -> DatasetState:
        """Return the state after a snapshot is published; the very same if it changes nothing.

        Parameters
        ----------
        snapshot : Snapshot
            An upload's good rows, but those forgotten.
        known : Snapshot or None
            The record of the same id that is there already.
        read : dict
            Original to what is to be read in its place, which may be the original itself.
        """
        pointer = self.pointers.get(snapshot.source)
        if pointer is not None and self._stays(pointer, snapshot, known):
            return self
        pointers = dict(self.pointers)
        repeated = pointer is not None and self.original(pointer.snapshot_id) == snapshot.snapshot_id
        if pointer is None or not repeated or _moment(pointer.uploaded_at) < _moment(snapshot.uploaded_at):
            pointers[snapshot.source] = Pointer(
                snapshot_id=snapshot.snapshot_id,
                source_version=snapshot.source_version,
                uploaded_at=snapshot.uploaded_at,
                began=snapshot.created_at,
            )
        before = {original: name for original, name in self.read.items() if original in self.originals()}
        return self._settled(replace(self, pointers=pointers), {**before, **_ids(read)})

    def forget(self, originals: Mapping[str, Snapshot], read: Mapping[str, Snapshot]) -> DatasetState:
        """Return the state after rows were forgotten.

        Parameters
        ----------
        originals : dict
            Original to what is left of it.
        read : dict
            Original, as it is left, to what is to be read in its place, which may be the original itself.
        """
        kept = dict(self.kept)
        for pointer in self.pointers.values():
            left = originals.get(self.original(pointer.snapshot_id))
            if left is not None:
                kept[pointer.snapshot_id] = left.snapshot_id
        state = self._settled(replace(self, kept=kept), {**self.read, **_ids(read)})
        return replace(state, revision=self.revision + 1)

    def _stays(self, pointer: Pointer, snapshot: Snapshot, known: Snapshot | None) -> bool:
        """Tell whether what a source has is later than a snapshot of it."""
        if pointer.uploaded_at is not None and snapshot.uploaded_at is not None:
            if self.original(pointer.snapshot_id) == snapshot.snapshot_id:
                return snapshot.uploaded_at < pointer.uploaded_at
            return (snapshot.uploaded_at, snapshot.created_at) < (pointer.uploaded_at, pointer.began)
        # Without times, an upload that was there and is no longer the source's is an old event come again.
        superseded = known is not None and known.upload() == snapshot.upload()
        return superseded and pointer.source_version != snapshot.source_version

    def _settled(self, state: DatasetState, read: Mapping[str, str]) -> DatasetState:
        """Return a state without what no longer counts, and with the next revision if other snapshots are live."""
        pointed = {pointer.snapshot_id for pointer in state.pointers.values()}
        kept = {published: left for published, left in state.kept.items() if published in pointed}
        state = replace(state, kept=kept)
        originals = state.originals()
        taken = {original: name for original, name in read.items() if original in originals and name != original}
        state = replace(state, read=taken)
        if state == self:
            return self
        return state if state.live() == self.live() else replace(state, revision=self.revision + 1)


def moved_on(dataset: str, seen: int | None, revision: int) -> str:
    """Return the message of a ConflictError: the dataset is not as the caller saw it."""
    return f"dataset {dataset} is at revision {revision} by now, not at {seen}; look at its uploads and compute again"


def _rank(source: str, pointer: Pointer) -> tuple[datetime, str]:
    return _moment(pointer.uploaded_at), source


def _moment(at: datetime | None) -> datetime:
    return at or datetime.min.replace(tzinfo=UTC)


def _ids(read: Mapping[str, Snapshot]) -> dict[str, str]:
    return {original: snapshot.snapshot_id for original, snapshot in read.items()}
