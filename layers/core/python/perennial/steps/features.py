"""Bring a dataset's feature views up to date, offline and online."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pydantic import BaseModel

from perennial.data.engine import DEFAULTS, Resources
from perennial.errors import NotFoundError
from perennial.ports import Ports
from perennial.steps.recording import recorded
from perennial.steps.view_tables import ViewTables


class Request(BaseModel):
    """Whose views."""

    run_id: str
    dataset: str


class Refreshed(BaseModel):
    """How many rows each view has now."""

    run_id: str
    dataset: str
    views: dict[str, int]


def run(request: Request, ports: Ports, *, resources: Resources = DEFAULTS) -> Refreshed:
    """Compute what is missing of request views, all of the stored ones, write the online store, close the run.

    Raises
    ------
    DefinitionError
        A view's SQL fails on the rows.
    NotFoundError
        There is no such dataset or run.
    """
    with recorded(ports, request.run_id, "features") as output:
        dataset = ports.definitions.dataset(request.dataset)
        snapshots, revision = ports.catalog.snapshots(dataset.name)
        views: dict[str, int] = {}
        with tempfile.TemporaryDirectory() as folder:
            tables = ViewTables(ports, Path(folder), resources)
            for view in ports.definitions.views_of(dataset.name):
                if view.kind == "request":
                    for snapshot in snapshots:
                        tables.make_request(view, snapshot)
                    views[view.name] = sum(snapshot.rows for snapshot in snapshots)
                elif snapshots:
                    views[view.name] = tables.make_stored(view, snapshots, revision)[0].rows
        refreshed = Refreshed(run_id=request.run_id, dataset=dataset.name, views=views)
        output.update(refreshed.model_dump(mode="json"))
    ports.catalog.finish_run(
        request.run_id, "succeeded", ports.clock.now(), outputs={**_ingested(request, ports), "views": views}
    )
    return refreshed


def _ingested(request: Request, ports: Ports) -> dict[str, object]:
    """Return what the run's ingest step found, for the run's outputs."""
    try:
        found = ports.catalog.step(request.run_id, "ingest").output
    except NotFoundError:
        return {}
    return {name: found[name] for name in ("snapshot_id", "rows", "rejected", "published") if name in found}
