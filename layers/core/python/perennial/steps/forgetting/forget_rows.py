"""Finding the rows that are to be forgotten in all that a dataset ever was, and taking them out."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from perennial import keys
from perennial.data.contract.quarantine import clean_quarantine
from perennial.data.contract.schema import check_fits
from perennial.data.engine import DEFAULTS, Resources, connect
from perennial.data.live_rows.rewrite import Rewritten, count_rows, rewrite_part
from perennial.data.live_rows.supersession import comparable, key_ranges
from perennial.data.parquet_chunks import Wanted
from perennial.definitions import Dataset
from perennial.errors import NotFoundError
from perennial.live_uploads import LiveUpload
from perennial.ports import Ports
from perennial.records import Erasure, Part, Snapshot, SnapshotManifest
from perennial.sql import identifier, literal
from perennial.steps.forgetting.forget_reports import Reports
from perennial.steps.snapshots.part_files import PartFiles
from perennial.steps.snapshots.snapshot_files import AT_ONCE, fetch_parts, several
from perennial.steps.snapshots.snapshot_writer import Origin, purge
from perennial.steps.snapshots.superseding import Contender, StandIns, contenders_of, write_without
from perennial.steps.views.view_tables import ViewTables


@dataclass
class Change:
    """What takes the place of the live snapshots that hold such rows."""

    matched: frozenset[str]
    """Keys of all parts, also of snapshots that are not live, that hold such rows."""
    rows: int = 0
    """How many were taken out of live uploads, those included that were superseded."""
    originals: dict[str, Snapshot] = field(default_factory=dict)
    """Original to what is left of it."""
    read: dict[str, Snapshot] = field(default_factory=dict)
    """Original, as it is left, to what is read in its place."""


@dataclass
class Search:
    """The rows of one subject.

    Every part is looked at, of snapshots that are live, were superseded or never published: of a large part only the
    columns that name the rows are read. A part whose file lacks one of these columns holds no such row; where a column
    had another type, its values are compared as today's type.
    """

    ports: Ports
    dataset: Dataset
    erasure: Erasure
    texts: Mapping[str, str]
    """Column to value, as the engine writes it."""
    folder: Path
    resources: Resources = DEFAULTS

    def rewrite(self, uploads: Sequence[LiveUpload]) -> Change:
        """Write what is left of the live uploads, which nobody sees yet."""
        contenders = contenders_of(self.ports, uploads)
        change = Change(self._matched())
        around: list[SnapshotManifest] = []
        after: list[Contender] = []
        for one in contenders:
            left = self._left_of(one, change)
            after.append(left or one)
            around += [one.manifest, left.manifest] if left else []
        if self.dataset.key and around:
            origin = self._origin(None)
            stand_ins = StandIns(self.ports, self.dataset, self.folder, origin, self.resources)
            change.read = stand_ins.make(after, around)
        return change

    def count_quarantined(self) -> int:
        """Return how many rejected rows are to be forgotten."""
        return sum(self._clean(key)[1] for key in self._quarantines())

    def uploads(self, change: Change, live: Sequence[LiveUpload]) -> tuple[str, ...]:
        """Return the URIs, with all versions, of the uploaded objects that such parts and quarantines were made of."""
        manifests = self._manifests().values()
        sources = {one.source for one in manifests if any(part.key in change.matched for part in one.parts)}
        for upload in live:
            if upload.original.snapshot_id in change.originals:
                sources |= upload.sources.keys()  # the same content may have come from several
        reports = Reports(self.ports, self.dataset.name)
        for key in self._quarantines():
            if self._clean(key)[1]:
                sources |= reports.sources(key.rpartition("/")[2].removesuffix(".jsonl"))
        raw = f"s3://{self.ports.raw.bucket}/"
        return tuple(
            f"{source}?versionId={version}"
            for source in sorted(sources)
            for version in self.ports.raw.versions(source.removeprefix(raw))
        )

    def delete_traces(self) -> None:
        """Delete for good what still holds such rows, once others have taken its place."""
        store, name = self.ports.artifacts, self.dataset.name
        matched = self._matched()
        # Manifests first: a part without one is still found, but of a manifest without parts nobody would know.
        for key, manifest in self._manifests().items():
            if any(part.key in matched for part in manifest.parts):
                purge(store, key)
        several(lambda key: purge(store, key), sorted(matched))
        for key in self._quarantines():
            cleaned, _ = self._clean(key)
            if cleaned.read_bytes() != store.get(key):
                store.upload(cleaned, key)
            purge(store, key, older=True)
        Reports(self.ports, name).clean(self.erasure, self.texts)
        views = {view.name for view in self.ports.definitions.views_of(name) if view.kind == "stored"}
        learning = [
            model.name
            for model in self.ports.definitions.models.values()
            if model.dataset == name or views & model.features.keys()
        ]
        prefixes = [*(f"features/{view}/" for view in views), *(f"training-sets/{model}/" for model in learning)]
        # Listed before the views are computed: what another run writes from then on knows nothing of such rows.
        listed = [key for prefix in sorted(prefixes) for key in store.keys(prefix)]
        versions = dict(zip(listed, several(store.versions, listed), strict=True))
        current = self._current_tables()
        # Manifests first: who finds one shall find its parts.
        for manifests in (True, False):
            gone = [key for key in listed if key not in current and key.endswith(".json") == manifests]
            several(lambda pair: store.delete(*pair), [(key, version) for key in gone for version in versions[key]])

    def _current_tables(self) -> set[str]:
        """Compute the views anew, without such rows, offline and online; return the keys of what they consist of now.

        It is done before the tables of before are deleted: these tell which entities are to be withdrawn online.
        """
        folder = self.folder / "views"
        folder.mkdir(exist_ok=True)
        tables = ViewTables(self.ports, folder, self.resources)
        found: set[str] = set()
        for view in self.ports.definitions.views_of(self.dataset.name):
            published, manifest = tables.refresh(view)
            found |= {published.manifest_key, *(part.key for part in manifest.parts)}
        return found

    def _left_of(self, one: Contender, change: Change) -> Contender | None:
        """Write an original without such rows; None if it has none."""
        places = [place for place, part in enumerate(one.manifest.parts) if part.key in change.matched]
        if not places:
            return None
        if self.dataset.event_time not in one.manifest.columns:
            check_fits(one.manifest, self.dataset)  # says that the dataset must be backfilled first
        time = self.dataset.event_time
        files = fetch_parts(self.ports.artifacts, [one.manifest.parts[place] for place in places], self.folder)
        changed: dict[int, Rewritten] = {}
        with connect(self.folder, self.resources) as connection:
            for place, path in zip(places, files, strict=True):
                condition = self._condition(connection, path)
                target = path.with_suffix(".forgotten")
                new = rewrite_part(connection, path, condition, time, target) if condition else None
                if new is not None:
                    changed[place] = new
        snapshot, manifest = write_without(
            self.ports,
            one.manifest,
            changed,
            self._origin(one.original),
            "forgotten",
            key_ranges=self._ranges(one.manifest, changed),
        )
        change.rows += sum(new.taken for new in changed.values())
        change.originals[one.original.snapshot_id] = snapshot
        return Contender(snapshot, manifest)

    def _ranges(self, manifest: SnapshotManifest, changed: Mapping[int, Rewritten]) -> dict[str, object]:
        if not self.dataset.key or not comparable(manifest, self.dataset):
            return {}
        others = [part for place, part in enumerate(manifest.parts) if place not in changed]
        files = self._files(others, self.dataset.key)
        files += [new.part.path for new in changed.values() if new.part is not None]
        return key_ranges(files, self.dataset, resources=self.resources)

    def _origin(self, original: Snapshot | None) -> Origin:
        return Origin(
            run_id=self.erasure.run_id,
            began=self.erasure.at,
            uploaded_at=original.uploaded_at if original else None,
            quarantine_key=original.quarantine_key if original else None,
            rewritten_from=original.snapshot_id if original else None,
        )

    def _matched(self) -> frozenset[str]:
        """Return the keys of all parts that hold such rows."""
        found: set[str] = set()
        waiting = iter(self._parts())
        while batch := list(itertools.islice(waiting, AT_ONCE)):
            batch, files = self._still_there(batch)
            with connect(self.folder, self.resources) as connection:
                for part, path in zip(batch, files, strict=True):
                    condition = self._condition(connection, path)
                    if condition and count_rows(connection, path, condition):
                        found.add(part.key)
            for path in files:
                path.unlink(missing_ok=True)
        return frozenset(found)

    def _still_there(self, parts: list[Part]) -> tuple[list[Part], list[Path]]:
        """Return those parts that no other run deletes meanwhile, with their files."""
        while True:
            try:
                return parts, self._files(parts, self.erasure.columns)
            except NotFoundError:
                left = [part for part in parts if self.ports.artifacts.exists(part.key)]
                if len(left) == len(parts):
                    raise
                parts = left

    def _parts(self) -> list[Part]:
        """Return all parts that the dataset has in the store; those of no manifest are known by their key alone."""
        listed = {part.key: part for manifest in self._manifests().values() for part in manifest.parts}
        there = [key for key in self.ports.artifacts.keys(keys.snapshot_files(self.dataset.name)) if _is_part(key)]
        return [
            listed.get(key, Part(key=key, sha256=key.rpartition("/")[2].removesuffix(".parquet"), rows=0, size=0))
            for key in there
        ]

    def _files(self, parts: Sequence[Part], columns: Sequence[str]) -> list[Path]:
        # Of all row groups: any column of the file chooses them when no stretch of time is wanted.
        wanted = Wanted(columns=frozenset(columns), time=columns[0])
        return PartFiles(self.ports.artifacts, self.folder).fetch(parts, wanted)

    def _manifests(self) -> dict[str, SnapshotManifest]:
        """Return every manifest of the dataset that is in the store, by its key."""
        store = self.ports.artifacts
        found = [key for key in store.keys(keys.snapshot_files(self.dataset.name)) if key.endswith(".json")]

        def read(key: str) -> SnapshotManifest | None:
            try:
                return SnapshotManifest.model_validate_json(store.get(key))
            except NotFoundError:  # another run that forgets rows has deleted it meanwhile
                return None

        manifests = zip(found, several(read, found), strict=True)
        return {key: manifest for key, manifest in manifests if manifest is not None}

    def _condition(self, connection: duckdb.DuckDBPyConnection, path: Path) -> str | None:
        """Return the SQL condition, never null, of such rows of a part; None if it lacks a column."""
        described = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(str(path))})").fetchall()
        types = {str(row[0]): str(row[1]) for row in described}
        conditions = []
        for name, today in zip(self.erasure.columns, self.erasure.types, strict=True):
            if name not in types:
                return None
            value = identifier(name)
            if types[name] != today:
                value = f"TRY_CAST(CAST({value} AS VARCHAR) AS {today})"
            conditions.append(f"coalesce(CAST({value} AS VARCHAR) = {literal(self.texts[name])}, false)")
        return " AND ".join(conditions)

    def _quarantines(self) -> list[str]:
        return self.ports.artifacts.keys(keys.quarantine(self.dataset.name, "").removesuffix(".jsonl"))

    def _clean(self, key: str) -> tuple[Path, int]:
        """Return a quarantine without such rows, as a file, and how many these are."""
        source = self.folder / hashlib.sha256(key.encode()).hexdigest()
        self.ports.artifacts.download(key, source)
        target = source.with_suffix(".cleaned")
        return target, clean_quarantine(source, target, self.dataset, [self.erasure])


def _is_part(key: str) -> bool:
    return key.endswith(".parquet")
