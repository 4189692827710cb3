"""Make the rows that a run learns from and is judged on."""

from __future__ import annotations

import hashlib
import json
import tempfile
from datetime import UTC
from pathlib import Path

from pydantic import BaseModel

from perennial import keys
from perennial.data.engine import DEFAULTS, Resources, sha256_of
from perennial.data.parquet_chunks import Wanted
from perennial.data.training_set import (
    Period,
    TrainingParts,
    columns_judged,
    columns_needed,
    latest_event,
    period_of,
    write_training_set,
)
from perennial.definitions import Model
from perennial.errors import DataError, NotFoundError
from perennial.ports import Ports
from perennial.records import TrainingSet, ViewVersion
from perennial.steps.recording import recorded
from perennial.steps.snapshots.part_files import PartFiles
from perennial.steps.snapshots.snapshot_rows import SnapshotRows
from perennial.steps.verified import same_definition
from perennial.steps.views.view_tables import ViewTables


class Request(BaseModel):
    """For which model."""

    run_id: str
    model: str


def run(request: Request, ports: Ports, *, resources: Resources = DEFAULTS) -> TrainingSet:
    """Join the live snapshots with the model's features point-in-time and split them by event time.

    Only what is needed is read: the columns that the model's filter, target and features name, and the rows from the
    earliest that any candidate learns from (its ``history`` before the holdout) on. The split depends on the latest row
    with a target, which is looked for in the newest parts first. The files are addressed by their content: the same
    snapshots and definitions give the same training set. Its record names all live snapshots, also those too old to be
    read: it has learnt from all there is.

    Raises
    ------
    DataError
        There are no rows to learn from, or none to judge by; or nothing that could be told apart.
    ConflictError
        The model's definition changed since the run was admitted.
    NotFoundError
        There is no such run or model.
    """
    with recorded(ports, request.run_id, "training_set") as output:
        model = ports.definitions.model(request.model)
        same_definition(ports, model.name, request.run_id)
        with tempfile.TemporaryDirectory() as folder:
            try:
                training_set = _make(model, ports, Path(folder), resources)
            except NotFoundError:  # rows may have been forgotten since the catalog was read: look once more
                training_set = _make(model, ports, Path(folder), resources)
        output.update(training_set.model_dump(mode="json"))
    return training_set


def _make(model: Model, ports: Ports, folder: Path, resources: Resources) -> TrainingSet:
    dataset = ports.definitions.dataset(model.dataset)
    snapshots, _ = ports.catalog.snapshots(dataset.name)
    if not snapshots:
        raise DataError(f"model {model.name}: dataset {dataset.name} has no snapshot; upload a file first")
    rows = SnapshotRows(ports, dataset, folder)
    latest = rows.latest(
        snapshots,
        columns_judged(model, dataset),
        lambda paths: latest_event(model, dataset, paths, folder, resources=resources),
    )
    if latest is None:
        raise DataError(
            f"model {model.name}: no row passes the filter and has a target; check filter and target in "
            f"models/{model.name}.toml"
        )
    period = period_of(model, latest)
    parts = rows.fetch(snapshots, rows.wanted(columns_needed(model, ports.definitions), since=period.since))
    versions, stored = _stored(model, ports, folder, period, resources)
    train, holdout = folder / "train.parquet", folder / "holdout.parquet"
    made = write_training_set(model, ports.definitions, parts, stored, period, train, holdout, resources=resources)
    placed = [_place(ports, model, part, path) for part, path in (("train", train), ("holdout", holdout))]
    return _record(model, made, period, placed, tuple(snapshot.snapshot_id for snapshot in snapshots), versions)


def _stored(
    model: Model, ports: Ports, folder: Path, period: Period, resources: Resources
) -> tuple[dict[str, ViewVersion], dict[str, list[Path]]]:
    """Return the model's stored views, and the files of those of their parts that were known in the period."""
    tables = ViewTables(ports, folder, resources)
    files = PartFiles(ports.artifacts, folder)
    versions: dict[str, ViewVersion] = {}
    paths: dict[str, list[Path]] = {}
    for view in (ports.definitions.view(name) for name in model.features):
        if view.kind == "stored":
            versions[view.name], manifest = tables.stored(view)
            time = str(view.feature_time)
            # A value never ages without a ttl: then even the oldest counts.
            since = None if period.since is None or view.ttl is None else period.since - view.ttl
            wanted = Wanted(frozenset((*view.entity, time, *model.features[view.name])), time, since, period.latest)
            paths[view.name] = files.fetch(manifest.parts, wanted)
    return versions, paths


def _place(ports: Ports, model: Model, part: str, path: Path) -> tuple[str, str]:
    """Upload one part of a training set; return its key and its SHA-256."""
    digest = sha256_of(path)
    key = keys.training_set(model.name, digest, part)
    ports.artifacts.upload(path, key)
    return key, digest


def _record(
    model: Model,
    made: TrainingParts,
    period: Period,
    placed: list[tuple[str, str]],
    snapshots: tuple[str, ...],
    versions: dict[str, ViewVersion],
) -> TrainingSet:
    sha256 = dict(placed)
    identity = json.dumps([made.features, sorted(sha256.values())])
    return TrainingSet(
        training_set_id=hashlib.sha256(identity.encode()).hexdigest()[:32],
        train_key=placed[0][0],
        holdout_key=placed[1][0],
        features=made.features,
        categories=made.categories,
        classes=made.classes,
        slices=tuple(model.slices),
        split_at=period.split_at.replace(tzinfo=UTC),
        rows_train=made.rows_train,
        rows_holdout=made.rows_holdout,
        rows_without_target=made.rows_without_target,
        snapshots=snapshots,
        views={name: version.manifest_key for name, version in versions.items()},
        sha256={**sha256, **{version.manifest_key: version.manifest_sha256 for version in versions.values()}},
    )
