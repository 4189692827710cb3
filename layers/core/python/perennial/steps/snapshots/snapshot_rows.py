"""Reading the rows of a dataset's snapshots: only the columns and the stretch of time that are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from perennial.data.contract.schema import check_fits
from perennial.data.parquet_chunks import Wanted
from perennial.definitions import Dataset
from perennial.ports import Ports
from perennial.records import Part, Snapshot
from perennial.steps.snapshots.part_files import PartFiles, may_hold
from perennial.steps.snapshots.snapshot_files import read_manifests
from perennial.utc import naive_utc


@dataclass
class SnapshotRows:
    """Fetches parts of a dataset's snapshots; what lies outside the wanted stretch of time is left alone.

    Parameters
    ----------
    ports : Ports
        The stores.
    dataset : Dataset
        The contract under which the rows are read.
    folder : Path
        Where files are kept; nothing is read twice.
    """

    ports: Ports
    dataset: Dataset
    folder: Path
    _files: PartFiles = field(init=False)
    _parts: dict[str, tuple[Part, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._files = PartFiles(self.ports.artifacts, self.folder)

    def wanted(self, columns: Iterable[str], since: datetime | None = None, until: datetime | None = None) -> Wanted:
        """Return what `fetch` takes: columns of the dataset and a stretch of event time, both ends in it."""
        return Wanted(frozenset((self.dataset.event_time, *columns)), self.dataset.event_time, since, until)

    def fetch(self, snapshots: Sequence[Snapshot], wanted: Wanted) -> list[Path]:
        """Return the files of the parts that can hold wanted rows, in the order of snapshots and parts.

        Files hold the wanted columns at least; readers bound the event time themselves.

        Raises
        ------
        DataError
            A manifest or a part is not the one that was recorded, or a snapshot does not fit the contract.
        NotFoundError
            A part is gone, as when its rows were forgotten after the catalog was read.
        """
        chosen = [it for it in snapshots if may_hold(it.min_event_time, it.max_event_time, wanted)]
        self._read_manifests(chosen)
        return self._files.fetch((part for it in chosen for part in self._parts[it.snapshot_id]), wanted)

    def latest(
        self, snapshots: Sequence[Snapshot], columns: Iterable[str], find: Callable[[list[Path]], datetime | None]
    ) -> datetime | None:
        """Return the greatest moment that ``find`` gives for any parts, reading the newest parts first.

        The search ends when no part that is left has rows after the moment that was found: usually with the first.

        Parameters
        ----------
        snapshots : sequence of Snapshot
            Where to look.
        columns : iterable of str
            What ``find`` reads of the dataset, besides the event time.
        find : callable
            Gives the latest event time of the rows that it looks for in files; None if there are none.
        """
        wanted = self.wanted(columns)
        waiting: list[Snapshot | Part] = list(snapshots)
        latest, at_once = None, 1
        while waiting := sorted((it for it in waiting if _may_be_later(it, latest)), key=_end, reverse=True):
            front, waiting = waiting[:at_once], waiting[at_once:]
            opened = [it for it in front if isinstance(it, Snapshot)]
            self._read_manifests(opened)
            waiting += [part for it in opened for part in self._parts[it.snapshot_id]]
            if parts := [it for it in front if isinstance(it, Part)]:
                found = find(self._files.fetch(parts, wanted))
                latest = max((it for it in (latest, found) if it is not None), default=None)
                at_once *= 2
        return latest

    def _read_manifests(self, snapshots: Sequence[Snapshot]) -> None:
        unread = [snapshot for snapshot in snapshots if snapshot.snapshot_id not in self._parts]
        for manifest in read_manifests(self.ports, unread):
            check_fits(manifest, self.dataset)
            self._parts[manifest.snapshot_id] = manifest.parts


def _end(stretch: Snapshot | Part) -> datetime:
    return datetime.max if stretch.max_event_time is None else naive_utc(stretch.max_event_time)


def _may_be_later(stretch: Snapshot | Part, latest: datetime | None) -> bool:
    return latest is None or _end(stretch) > latest
