"""Bringing the online store up to date with a stored view's published table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from perennial.data.engine import Resources
from perennial.data.views.latest_rows import online_changes
from perennial.definitions import FeatureView
from perennial.errors import NotFoundError
from perennial.ports import Ports
from perennial.records import ViewManifest, ViewPart, ViewVersion
from perennial.steps.snapshots.snapshot_files import fetch_parts
from perennial.steps.verified import read_verified
from perennial.steps.views.view_build import by_period


def read_view_manifest(ports: Ports, key: str) -> ViewManifest:
    """Return what a stored view's table consists of, checked against the SHA-256 that its key bears.

    Raises
    ------
    DataError
        It was changed after it was made.
    NotFoundError
        It is gone.
    """
    return ViewManifest.model_validate_json(read_verified(ports.artifacts, key, Path(key).stem))


def find_view_manifest(ports: Ports, key: str) -> ViewManifest | None:
    """As `read_view_manifest`; None if it is gone: rows were forgotten, and with them all tables that may hold some."""
    try:
        return read_view_manifest(ports, key)
    except NotFoundError:
        return None


def bring_online(
    ports: Ports, view: FeatureView, published: ViewVersion, manifest: ViewManifest, folder: Path, resources: Resources
) -> None:
    """Write what differs of the latest rows and those before them from earlier tables, withdraw entities that are gone.

    What is compared with are all tables of which rows may be online: a run that was killed, or overtaken, may have
    left some. When all is written the published record says so; until then every refresh comes by here again.
    """
    if not published.pending:
        return
    found = [find_view_manifest(ports, key) if key else None for key in published.pending]
    earlier = [each for each in found if each is not None]
    tables = [_shas(each) for each in (manifest, *earlier)]
    unknown = None in found
    if unknown:
        tables.append({})  # as to an empty store: every row is new
    alike = set.intersection(*(set(table) for table in tables))
    parts = {sha: part for table in tables for sha, part in table.items() if sha not in alike and part.rows}
    if parts:
        changed = fetch_parts(ports.artifacts, list(parts.values()), folder)
        bases = [_stretches(ports, each, folder) for each in earlier]
        bases += [iter(())] if unknown else []
        latest = _stretches(ports, manifest, folder)
        with online_changes(view, changed, latest, bases, folder, resources=resources) as changes:
            ports.online.write(view.name, published.version, changes.rows(), published.revision)
            ports.online.withdraw(view.name, published.version, changes.gone(), published.revision)
    # Somebody who published a later table meanwhile has this one among those that they compare with.
    ports.catalog.publish_view(published.model_copy(update={"pending": ()}), published.manifest_key)


def _shas(manifest: ViewManifest) -> dict[str, ViewPart]:
    return {part.sha256: part for part in manifest.parts}


def _stretches(ports: Ports, manifest: ViewManifest, folder: Path) -> Iterator[Sequence[Path]]:
    for parts in by_period(manifest):
        yield fetch_parts(ports.artifacts, parts, folder)
