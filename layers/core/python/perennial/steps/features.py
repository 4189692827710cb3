"""Bring the feature views that depend on a dataset up to date, offline and online."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pydantic import BaseModel

from perennial.data.contract.schema import check_fits
from perennial.data.engine import DEFAULTS, Resources
from perennial.data.views.view_sql import try_request_view
from perennial.ports import Ports
from perennial.records import Snapshot
from perennial.steps.recording import recorded
from perennial.steps.snapshots.snapshot_files import fetch_parts, read_manifest
from perennial.steps.views.view_build import BUCKET_ROWS
from perennial.steps.views.view_tables import ViewTables

_FIGURES = {
    "ingest": ("snapshot_id", "rows", "rejected", "published"),
    "gather": ("uploads", "refused", "rows", "rejected", "published"),
    "forget": ("erasure_id", "rows", "uploads", "uploads_deleted", "published"),
}
"""Step that may come before this one to what of its output is the run's."""


class Request(BaseModel):
    """Whose views."""

    run_id: str
    dataset: str
    rebuild: bool = False
    """Whether to compute every part of every view, also those whose inputs are the same."""


class Refreshed(BaseModel):
    """How many rows each stored view has now."""

    run_id: str
    dataset: str
    views: dict[str, int]
    computed: dict[str, int]
    """Stored view to the number of its parts that had to be computed."""


def run(
    request: Request, ports: Ports, *, resources: Resources = DEFAULTS, bucket_rows: int = BUCKET_ROWS
) -> Refreshed:
    """Refresh the stored views, each after those that it reads, with the online store; close the run.

    Request views are computed when they are needed; they are only tried here on the first rows of the newest snapshot.

    Raises
    ------
    DefinitionError
        A view's SQL fails on the rows, knows values before their time, or looks further back than its window.
    NotFoundError
        There is no such dataset or run.
    """
    with recorded(ports, request.run_id, "features") as output:
        dataset = ports.definitions.dataset(request.dataset)
        snapshots, _ = ports.catalog.snapshots(dataset.name)
        views: dict[str, int] = {}
        with tempfile.TemporaryDirectory() as folder:
            tables = ViewTables(ports, Path(folder), resources, bucket_rows)
            if snapshots:
                newest = max(snapshots, key=lambda snapshot: (snapshot.created_at, snapshot.snapshot_id))
                _try_request_views(newest, ports, Path(folder), resources)
                for view in ports.definitions.views_of(dataset.name):
                    views[view.name] = tables.refresh(view, rebuild=request.rebuild)[0].rows
        computed = {name: tables.computed[name] for name in views}
        refreshed = Refreshed(run_id=request.run_id, dataset=dataset.name, views=views, computed=computed)
        output.update(refreshed.model_dump(mode="json"))
    ports.catalog.finish_run(
        request.run_id, "succeeded", ports.clock.now(), outputs={**_before(request, ports), "views": views}
    )
    return refreshed


def _try_request_views(snapshot: Snapshot, ports: Ports, folder: Path, resources: Resources) -> None:
    dataset = ports.definitions.dataset(snapshot.dataset)
    views = ports.definitions.request_views_of(dataset.name)
    if not views:
        return
    manifest = read_manifest(ports, snapshot)
    check_fits(manifest, dataset)
    files = fetch_parts(ports.artifacts, manifest.parts[:1], folder)
    for view in views:
        for file in files:
            try_request_view(view, dataset, file, folder, resources=resources)


def _before(request: Request, ports: Ports) -> dict[str, object]:
    """Return what the step before this one found, for the run's outputs."""
    found = {step.step: step.output for step in ports.catalog.steps(request.run_id) if step.step in _FIGURES}
    return {name: found[step][name] for step in found for name in _FIGURES[step] if name in found[step]}
