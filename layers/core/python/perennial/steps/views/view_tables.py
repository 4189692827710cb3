"""The offline tables of stored views in the object store: what they are, and the files that hold them."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from perennial import keys
from perennial.data.engine import DEFAULTS, Resources
from perennial.data.views.view_parts import outgrows_window
from perennial.definitions import FeatureView
from perennial.errors import NotFoundError, TransientError
from perennial.ports import Ports
from perennial.records import ViewManifest, ViewPart, ViewVersion
from perennial.steps.snapshots.snapshot_files import fetch_parts
from perennial.steps.views.view_build import BUCKET_ROWS, ViewBuild, rows_of
from perennial.steps.views.view_inputs import ViewInputs
from perennial.steps.views.view_online import bring_online, find_view_manifest
from perennial.utc import naive_utc

TRIES = 8
"""How often a refresh starts again because uploads or other refreshes came between."""


def parts_between(
    manifest: ViewManifest, since: datetime | None = None, until: datetime | None = None
) -> list[ViewPart]:
    """Return the parts with rows whose feature times reach into ``[since, until]`` (UTC, with or without zone).

    A reader of what was known at a moment passes that moment as ``until``, and as ``since`` the moment less the
    view's ttl; without a ttl there is no ``since``, for a value never ages.
    """
    since, until = (None if at is None else naive_utc(at) for at in (since, until))
    return [
        part
        for part in manifest.parts
        if part.min_event_time is not None
        and part.max_event_time is not None
        and (until is None or naive_utc(part.min_event_time) <= until)
        and (since is None or naive_utc(part.max_event_time) >= since)
    ]


@dataclass
class ViewTables:
    """Brings stored views up to date and fetches their parts.

    Parameters
    ----------
    ports : Ports
        The stores and the catalog.
    folder : Path
        Where files are kept meanwhile; each part is downloaded once at most.
    resources : Resources
        What DuckDB may use.
    bucket_rows : int
        Rows of a dataset beyond which a view's entities are spread over buckets.

    Attributes
    ----------
    computed : Counter
        View to the number of parts that had to be computed.
    """

    ports: Ports
    folder: Path
    resources: Resources = DEFAULTS
    bucket_rows: int = BUCKET_ROWS
    computed: Counter[str] = field(default_factory=Counter)

    def stored(self, view: FeatureView) -> tuple[ViewVersion, ViewManifest]:
        """Return a stored view's table over the live snapshots; it is refreshed first if they are others by now.

        The table always has a part, though perhaps without rows, so that its columns are known.

        Raises
        ------
        DefinitionError
            The SQL fails on the rows, knows values before their time, or looks further back than its window.
        TransientError
            Uploads come faster than the view can be computed.
        """
        return self.refresh(view)

    def refresh(self, view: FeatureView, *, rebuild: bool = False) -> tuple[ViewVersion, ViewManifest]:
        """As `stored`; ``rebuild`` computes every part again.

        The online store is written last: a step that is killed before that does it when it is repeated.
        """
        for _ in range(TRIES):
            published = self._published(view)
            before = None if published is None else find_view_manifest(self.ports, published.manifest_key)
            # Read after the published table: what this run sees is never behind what that one saw.
            inputs = self._inputs(view)
            if inputs is None:
                continue
            manifest = before
            if published is None or manifest is None or published.revisions != inputs.revisions or rebuild:
                try:
                    made = self._make(inputs, published, before, rebuild=rebuild)
                except NotFoundError:  # rows were forgotten, and the snapshots that held them deleted
                    if inputs.are_live():
                        raise
                    continue
                if made is None:
                    continue
                published, manifest = made
            bring_online(self.ports, view, published, manifest, self.folder, self.resources)
            return published, manifest
        raise TransientError(f"view {view.name}: its datasets change faster than it is computed; it is tried again")

    def fetch(self, manifest: ViewManifest, since: datetime | None = None, until: datetime | None = None) -> list[Path]:
        """Return the files of a table's parts that reach into a stretch of feature time (`parts_between`)."""
        return fetch_parts(self.ports.artifacts, parts_between(manifest, since, until), self.folder)

    def _published(self, view: FeatureView) -> ViewVersion | None:
        try:
            return self.ports.catalog.view(view.name, self.ports.definitions.view_version(view.name))
        except NotFoundError:
            return None

    def _inputs(self, view: FeatureView) -> ViewInputs | None:
        """Return what the view reads, or None if an upload came between the views that it reads and its datasets."""
        tables = [(read, self.stored(read)[1]) for read in self.ports.definitions.reads(view.name)[1]]
        datasets = self.ports.definitions.datasets_of(view.name)
        live = {dataset.name: self.ports.catalog.snapshots(dataset.name) for dataset in datasets}
        for _, manifest in tables:
            if any(live[name][1] != revision for name, revision in manifest.revisions.items()):
                return None
        return ViewInputs(self.ports, view, live, tables)

    def _make(
        self, inputs: ViewInputs, published: ViewVersion | None, before: ViewManifest | None, *, rebuild: bool
    ) -> tuple[ViewVersion, ViewManifest] | None:
        """Compute and publish a table; None if somebody else has published one meanwhile."""
        rows = sum(snapshot.rows for snapshot in inputs.own)
        check = published is None or before is None or rows >= 2 * published.checked_rows
        # The window can be tried from when there are rows that it leaves out.
        check = check or (
            outgrows_window(inputs.view, inputs.months()) and not outgrows_window(inputs.view, _months(before))
        )
        build = ViewBuild(self.ports, inputs, self.folder, self.resources, self.bucket_rows)
        built = build.build(None if rebuild else before, check=check)
        self.computed[inputs.view.name] += built.computed
        content = built.manifest.model_dump_json().encode()
        sha256 = hashlib.sha256(content).hexdigest()
        key = keys.view_manifest(inputs.view.name, inputs.version, sha256)
        seen = None if published is None else published.manifest_key
        self.ports.artifacts.put(key, content, "application/json")
        version = ViewVersion(
            view=inputs.view.name,
            version=inputs.version,
            revision=sum(inputs.revisions.values()),
            revisions=inputs.revisions,
            manifest_key=key,
            manifest_sha256=sha256,
            rows=rows_of(built.manifest),
            snapshots=tuple(name for names in built.manifest.snapshots.values() for name in names),
            pending=_pending(published, key),
            checked_rows=rows if check or published is None else published.checked_rows,
            created_at=self.ports.clock.now(),
        )
        return (version, built.manifest) if self.ports.catalog.publish_view(version, seen) else None


def _months(manifest: ViewManifest | None) -> list[str]:
    """Return the months of a table's parts, those aside that are open-ended."""
    return [] if manifest is None else sorted({part.period for part in manifest.parts if len(part.period) == 7})


def _pending(published: ViewVersion | None, key: str) -> tuple[str, ...]:
    """Return the tables of which rows may be online when another one is published in the place of the last."""
    if published is None:
        return ("",)
    return tuple(sorted({*published.pending, published.manifest_key} - {key}))
