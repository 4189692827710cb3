"""The offline tables of feature views in the object store: made when they are not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from perennial import keys
from perennial.data.engine import DEFAULTS, Resources, sha256_of
from perennial.data.views import latest_rows, write_request_view, write_stored_view
from perennial.definitions import FeatureView
from perennial.errors import NotFoundError
from perennial.ports import Ports
from perennial.records import Snapshot, ViewVersion
from perennial.steps.verified import download_verified


@dataclass
class ViewTables:
    """Makes and fetches the tables of one dataset's views.

    Parameters
    ----------
    ports : Ports
        The stores and the catalog.
    folder : Path
        Where files are kept meanwhile; each snapshot is downloaded once at most.
    resources : Resources
        What DuckDB may use.
    """

    ports: Ports
    folder: Path
    resources: Resources = DEFAULTS

    def snapshot(self, snapshot: Snapshot) -> Path:
        """Return a snapshot's Parquet as a file, checked against its recorded SHA-256."""
        path = self.folder / f"{snapshot.snapshot_id}.parquet"
        if not path.exists():
            download_verified(self.ports.artifacts, snapshot.key, snapshot.sha256, path)
        return path

    def make_request(self, view: FeatureView, snapshot: Snapshot) -> Path | None:
        """Make a request view's table over a snapshot unless it is there; return it if it was made."""
        key = keys.request_view(view.name, view.fingerprint, snapshot.snapshot_id)
        if self.ports.artifacts.exists(key):
            return None
        path = self.folder / f"{view.name}-{snapshot.snapshot_id}.parquet"
        dataset = self.ports.definitions.dataset(view.dataset)
        write_request_view(view, dataset, self.snapshot(snapshot), path, resources=self.resources)
        self.ports.artifacts.upload(path, key)
        return path

    def request(self, view: FeatureView, snapshot: Snapshot) -> Path:
        """Return a request view's table over a snapshot as a file; it is made first if it is not there."""
        made = self.make_request(view, snapshot)
        if made is not None:
            return made
        path = self.folder / f"{view.name}-{snapshot.snapshot_id}.parquet"
        self.ports.artifacts.download(keys.request_view(view.name, view.fingerprint, snapshot.snapshot_id), path)
        return path

    def make_stored(self, view: FeatureView, snapshots: Sequence[Snapshot], revision: int) -> tuple[ViewVersion, Path]:
        """Compute a stored view over snapshots, publish its table and bring the online store up to date.

        The online store is written last: a step that is killed before that does it when it is repeated. When
        a later revision was published meanwhile, the online store is left to the run that did so.
        """
        path = self.folder / f"{view.name}.parquet"
        dataset = self.ports.definitions.dataset(view.dataset)
        files = [self.snapshot(snapshot) for snapshot in snapshots]
        rows = write_stored_view(view, dataset, files, path, resources=self.resources)
        sha256 = sha256_of(path)
        version = ViewVersion(
            view=view.name,
            version=view.fingerprint,
            revision=revision,
            key=keys.stored_view(view.name, view.fingerprint, sha256),
            sha256=sha256,
            rows=rows,
            snapshots=tuple(snapshot.snapshot_id for snapshot in snapshots),
            created_at=self.ports.clock.now(),
        )
        self.ports.artifacts.upload(path, version.key)
        if self.ports.catalog.publish_view(version):
            online = latest_rows(view, path, resources=self.resources)
            self.ports.online.write(view.name, view.fingerprint, online, revision)
        return version, path

    def stored(self, view: FeatureView, snapshots: Sequence[Snapshot], revision: int) -> tuple[ViewVersion, Path]:
        """Return a stored view's table over exactly these snapshots; it is made first if it is not there.

        It may be missing, or older, when the view was deployed after the last upload or a file is being ingested.
        """
        try:
            version = self.ports.catalog.view(view.name, view.fingerprint)
        except NotFoundError:
            return self.make_stored(view, snapshots, revision)
        if version.snapshots != tuple(snapshot.snapshot_id for snapshot in snapshots):
            return self.make_stored(view, snapshots, revision)
        path = self.folder / f"{view.name}.parquet"
        return version, download_verified(self.ports.artifacts, version.key, version.sha256, path)
