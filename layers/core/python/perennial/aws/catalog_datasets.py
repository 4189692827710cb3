"""Snapshots and views, on DynamoDB."""

from __future__ import annotations

from perennial import keys
from perennial.aws.errors import attempts
from perennial.aws.table import Item, Table, item
from perennial.errors import NotFoundError
from perennial.records import Snapshot, ViewVersion


class Datasets:
    """The part of the catalog that says which data there is.

    A dataset is a counter (its revision), its snapshots, and one pointer from each source to its live snapshot. A
    pointer bears the revision that set it, so a reader can tell that it saw all of a revision and nothing later.
    """

    _table: Table

    def publish_snapshot(self, snapshot: Snapshot) -> tuple[Snapshot, bool]:
        """Make a snapshot visible and raise its dataset's revision, in one transaction."""
        dataset, snapshot_id = snapshot.dataset, snapshot.snapshot_id
        for _ in attempts(f"dataset {dataset}"):
            # The revision is read first: if it is the same in the transaction, nothing read after it has changed.
            revision = self._revision(dataset)
            known = self._snapshot(dataset, snapshot_id)
            pointer = self._table.get(keys.dataset_source(dataset, snapshot.source))
            pointed = None if pointer is None else str(pointer["snapshot_id"]["S"])
            if known is not None and (pointed == snapshot_id or known.upload() == snapshot.upload()):
                return known, False
            if pointer is not None and pointed is not None and _later(pointer, snapshot):
                later = self._snapshot(dataset, pointed)
                assert later is not None, "a pointer is written with its snapshot"
                return later, False
            if known is not None and pointed is None and snapshot_id in self._pointers(dataset):
                if self._point(snapshot, revision):
                    return known, False
            elif self._publish(snapshot, revision):
                return snapshot, True
        raise AssertionError("attempts() ends by raising")

    def snapshots(self, dataset: str) -> tuple[list[Snapshot], int]:
        """Return the live snapshots of a dataset, oldest event time first, and the dataset's revision."""
        for _ in attempts(f"dataset {dataset}"):
            # A query may see half of a transaction, so it is repeated until counter and pointers agree.
            revision = self._revision(dataset)
            pointers = self._pointers(dataset)
            if max(pointers.values(), default=0) != revision:
                continue
            found = self._table.query(keys.dataset_snapshot(dataset))
            known = [Snapshot.model_validate_json(entry["body"]["S"]) for entry in found]
            live = [snapshot for snapshot in known if snapshot.snapshot_id in pointers]
            if len(live) == len(pointers):
                return sorted(live, key=Snapshot.order), revision
        raise AssertionError("attempts() ends by raising")

    def publish_view(self, view: ViewVersion) -> bool:
        """Make a view's offline table visible unless a later revision is there; tell whether."""
        return self._table.put(
            item(keys.view_version(view.view, view.version), view, revision=view.revision),
            "attribute_not_exists(pk) OR #revision <= :revision",
            {"revision": view.revision},
        )

    def view(self, view: str, version: str) -> ViewVersion:
        """Return the published offline table of a view's version, or raise NotFoundError."""
        found = self._table.get(keys.view_version(view, version))
        if found is None:
            raise NotFoundError(f"view {view} has no published table of version {version[:12]}; ingest data first")
        return ViewVersion.model_validate_json(found["body"]["S"])

    def _publish(self, snapshot: Snapshot, revision: int) -> bool:
        dataset, later = snapshot.dataset, revision + 1
        seen = "#revision = :seen" if revision else "attribute_not_exists(pk)"
        return self._table.transact(
            [
                self._table.putting(
                    item(keys.dataset(dataset), revision=later), seen, {"seen": revision} if revision else None
                ),
                self._table.putting(item(keys.dataset_snapshot(dataset, snapshot.snapshot_id), snapshot)),
                self._table.putting(_pointer(snapshot, later)),
            ],
            f"snapshot {snapshot.snapshot_id} of dataset {dataset}",
        )

    def _point(self, snapshot: Snapshot, revision: int) -> bool:
        """Remember one more source of a live snapshot; the data stays the same, so does the revision."""
        return self._table.transact(
            [
                self._table.checking(keys.dataset(snapshot.dataset), "#revision = :seen", {"seen": revision}),
                self._table.putting(_pointer(snapshot, revision)),
            ],
            f"source {snapshot.source} of dataset {snapshot.dataset}",
        )

    def _revision(self, dataset: str) -> int:
        found = self._table.get(keys.dataset(dataset))
        return 0 if found is None else int(found["revision"]["N"])

    def _snapshot(self, dataset: str, snapshot_id: str) -> Snapshot | None:
        found = self._table.get(keys.dataset_snapshot(dataset, snapshot_id))
        return None if found is None else Snapshot.model_validate_json(found["body"]["S"])

    def _pointers(self, dataset: str) -> dict[str, int]:
        """Return each live snapshot with the latest revision that pointed at it."""
        pointers: dict[str, int] = {}
        for entry in self._table.query(keys.dataset_source(dataset)):
            snapshot_id = entry["snapshot_id"]["S"]
            pointers[snapshot_id] = max(int(entry["revision"]["N"]), pointers.get(snapshot_id, 0))
        return pointers


def _pointer(snapshot: Snapshot, revision: int) -> Item:
    """Return the item that says which snapshot a source has, and since which upload."""
    key = keys.dataset_source(snapshot.dataset, snapshot.source)
    pointer = item(key, snapshot_id=snapshot.snapshot_id, revision=revision)
    if snapshot.uploaded_at is not None:
        pointer["uploaded_at"] = {"S": keys.moment(snapshot.uploaded_at)}
    return pointer


def _later(pointer: Item, snapshot: Snapshot) -> bool:
    """Tell whether what a source points at was uploaded after a snapshot of it."""
    if "uploaded_at" not in pointer or snapshot.uploaded_at is None:
        return False
    return keys.moment(snapshot.uploaded_at) < str(pointer["uploaded_at"]["S"])
