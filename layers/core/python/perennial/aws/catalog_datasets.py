"""Snapshots and views, on DynamoDB."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from perennial import keys
from perennial.aws.retrying import attempts
from perennial.aws.table import Table, item
from perennial.errors import ConflictError, NotFoundError
from perennial.live_uploads import DatasetState, LiveUpload, Pointer, moved_on
from perennial.records import Erasure, Snapshot, ViewVersion


class Datasets:
    """The part of the catalog that says which data there is.

    A dataset is a counter (its revision, and how often anything of it was moved), a record of each snapshot, one
    pointer from each source to its content, and the replacements: which snapshot stands in for which, spread over
    items by the first letter of the id. A record that nothing points at is not there for readers, so records of any
    number are written before the transaction that points at them. Pointers and replacements bear the number of the
    move that set them, and the counter knows these numbers, so a reader can tell that it saw all of a move and
    nothing later.
    """

    _table: Table

    def publish_snapshot(
        self, snapshot: Snapshot, read: Mapping[str, Snapshot] | None = None, revision: int | None = None
    ) -> tuple[Snapshot, bool]:
        """Make an upload's snapshot visible and raise its dataset's revision, in one transaction."""
        dataset = snapshot.dataset
        for _ in attempts(f"dataset {dataset}"):
            # The counter is read first: if it is the same in the transaction, nothing read after it has changed.
            state, counter = self._state(dataset)
            known = self._snapshot(dataset, snapshot.snapshot_id)
            after = state.publish(snapshot, known, read or {})
            if after == state:
                return self._known(dataset, after.stands(snapshot)), False
            if revision not in (None, state.revision):
                raise ConflictError(moved_on(dataset, revision, state.revision))
            changed = after.revision != state.revision
            records = [self._table.putting(item(keys.dataset_snapshot(dataset, snapshot.snapshot_id), snapshot))]
            if changed:
                self._stage((read or {}).values(), apart_from=snapshot.snapshot_id)
            if self._move(dataset, state, after, counter, records if changed else []):
                return (snapshot, True) if changed else (self._known(dataset, after.stands(snapshot)), False)
        raise AssertionError("attempts() ends by raising")

    def snapshots(self, dataset: str) -> tuple[list[Snapshot], int]:
        """Return the live snapshots of a dataset, oldest event time first, and the dataset's revision."""
        uploads, revision = self.uploads(dataset)
        return [upload.snapshot for upload in uploads], revision

    def ever_published(self, dataset: str) -> list[Snapshot]:
        """Return all snapshots that a dataset ever had, live or not, in the order of their ids."""
        found = self._table.query(keys.dataset_snapshot(dataset))
        return [Snapshot.model_validate_json(entry["body"]["S"]) for entry in found]

    def uploads(self, dataset: str) -> tuple[list[LiveUpload], int]:
        """Return the live snapshots with their originals and latest uploads, and the dataset's revision."""
        for _ in attempts(f"dataset {dataset}"):
            state, _ = self._state(dataset)
            by_id = {snapshot.snapshot_id: snapshot for snapshot in self.ever_published(dataset)}
            if by_id.keys() >= state.live() | state.originals().keys():
                return state.uploads(by_id), state.revision
        raise AssertionError("attempts() ends by raising")

    def publish_erasure(
        self, erasure: Erasure, originals: Mapping[str, Snapshot], read: Mapping[str, Snapshot], revision: int
    ) -> None:
        """Record that rows were forgotten, and put others in the place of the snapshots that held them."""
        dataset, place = erasure.dataset, keys.erasure(erasure.dataset, erasure.erasure_id)
        for _ in attempts(f"dataset {dataset}"):
            if self._table.get(place) is not None:
                return
            state, counter = self._state(dataset)
            if state.revision != revision:
                raise ConflictError(moved_on(dataset, revision, state.revision))
            self._stage((*originals.values(), *read.values()))
            record = self._table.putting(item(place, erasure), "attribute_not_exists(pk)")
            if self._move(dataset, state, state.forget(originals, read), counter, [record]):
                return

    def erasures(self, dataset: str) -> list[Erasure]:
        """Return what was forgotten of a dataset, in the order of the ids."""
        found = self._table.query(keys.erasure(dataset))
        return [Erasure.model_validate_json(entry["body"]["S"]) for entry in found]

    def publish_view(self, view: ViewVersion, seen: str | None) -> bool:
        """Make a view's offline table visible if the one that the caller saw is still there; tell whether."""
        return self._table.put(
            item(keys.view_version(view.view, view.version), view, manifest_key=view.manifest_key),
            "attribute_not_exists(pk)" if seen is None else "#manifest_key = :seen",
            None if seen is None else {"seen": seen},
        )

    def view(self, view: str, version: str) -> ViewVersion:
        """Return the published offline table of a view's version, or raise NotFoundError."""
        found = self._table.get(keys.view_version(view, version))
        if found is None:
            raise NotFoundError(f"view {view} has no published table of version {version[:12]}; ingest data first")
        return ViewVersion.model_validate_json(found["body"]["S"])

    def _state(self, dataset: str) -> tuple[DatasetState, _Counter]:
        """Return a dataset's state, whole, and its counter."""
        for _ in attempts(f"dataset {dataset}"):
            # A query may see half of a transaction, so it is repeated until all agrees with the counter.
            found = self._table.get(keys.dataset(dataset))
            counter = _Counter()
            if found is not None:
                numbers = int(found["revision"]["N"]), int(found["moves"]["N"])
                counter = _Counter(*numbers, json.loads(found["parts"]["S"]))
            pointers, shards = self._pointers(dataset), self._replacements(dataset)
            seen = {shard: set_by for shard, (set_by, _) in shards.items()}
            if pointers:
                seen[_POINTERS] = max(set_by for set_by, _ in pointers.values())
            if seen == counter.parts:
                state = DatasetState(
                    counter.revision,
                    {source: pointer for source, (_, pointer) in pointers.items()},
                    {old: new for _, shard in shards.values() for old, new in shard["kept"].items()},
                    {old: new for _, shard in shards.values() for old, new in shard["read"].items()},
                )
                return state, counter
        raise AssertionError("attempts() ends by raising")

    def _move(
        self, dataset: str, before: DatasetState, after: DatasetState, counter: _Counter, more: list[Any]
    ) -> bool:
        """Write what differs between two states, if the first still is the dataset's; tell whether."""
        move = counter.moves + 1
        parts, writes = dict(counter.parts), list(more)
        for source, pointer in after.pointers.items():
            if before.pointers.get(source) != pointer:
                parts[_POINTERS] = move
                writes.append(
                    self._table.putting(item(keys.dataset_source(dataset, source), pointer, move=move, source=source))
                )
        for shard in sorted({name[:1] for table in (before, after) for name in (*table.kept, *table.read)}):
            content = _shard(after, shard)
            if _shard(before, shard) != content:
                parts[shard] = move
                place = keys.dataset_replacements(dataset, shard)
                writes.append(self._table.putting(item(place, move=move, content=json.dumps(content))))
        text = json.dumps(parts, sort_keys=True)
        new = item(keys.dataset(dataset), revision=after.revision, moves=move, parts=text)
        if counter.moves:
            moved = self._table.putting(new, "#moves = :seen", {"seen": counter.moves})
        else:
            moved = self._table.putting(new, "attribute_not_exists(pk)")
        return self._table.transact([moved, *writes], f"dataset {dataset}, revision {after.revision}")

    def _stage(self, snapshots: Iterable[Snapshot], apart_from: str = "") -> None:
        """Write records that nothing points at yet; one that is there stays."""
        for snapshot in snapshots:
            if snapshot.snapshot_id != apart_from:
                place = keys.dataset_snapshot(snapshot.dataset, snapshot.snapshot_id)
                self._table.put(item(place, snapshot), "attribute_not_exists(pk)")

    def _snapshot(self, dataset: str, snapshot_id: str) -> Snapshot | None:
        found = self._table.get(keys.dataset_snapshot(dataset, snapshot_id))
        return None if found is None else Snapshot.model_validate_json(found["body"]["S"])

    def _known(self, dataset: str, snapshot_id: str) -> Snapshot:
        found = self._snapshot(dataset, snapshot_id)
        assert found is not None, "a snapshot is written before what points at it"
        return found

    def _pointers(self, dataset: str) -> dict[str, tuple[int, Pointer]]:
        """Return each source's pointer with the move that set it."""
        return {
            entry["source"]["S"]: (int(entry["move"]["N"]), Pointer.model_validate_json(entry["body"]["S"]))
            for entry in self._table.query(keys.dataset_source(dataset))
        }

    def _replacements(self, dataset: str) -> dict[str, tuple[int, dict[str, dict[str, str]]]]:
        """Return each shard of the replacements with the move that set it."""
        place = keys.dataset_replacements(dataset)
        return {
            entry["sk"]["S"].removeprefix(place[1]): (int(entry["move"]["N"]), json.loads(entry["content"]["S"]))
            for entry in self._table.query(place)
        }


_POINTERS = "*"
"""What the counter calls the pointers; shards are named by the first letter of an id."""


@dataclass(frozen=True)
class _Counter:
    revision: int = 0
    moves: int = 0
    parts: Mapping[str, int] = field(default_factory=dict)
    """Pointers, or shard of the replacements, to the last move that set any of it."""


def _shard(state: DatasetState, shard: str) -> dict[str, dict[str, str]]:
    """Return the replacements of those ids that begin with a letter."""
    return {
        "kept": {name: other for name, other in state.kept.items() if name.startswith(shard)},
        "read": {name: other for name, other in state.read.items() if name.startswith(shard)},
    }
