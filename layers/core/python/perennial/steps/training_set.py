"""Make the rows that a run learns from and is judged on."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
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
from perennial.records import CompiledView, Made, Run, Snapshot, TrainingInputs, TrainingSet, ViewManifest, ViewVersion
from perennial.steps.recording import StepOutput, recorded
from perennial.steps.reuse import Work, remember, reuse, training_set_depends_on
from perennial.steps.snapshots.part_files import PartFiles
from perennial.steps.snapshots.snapshot_rows import SnapshotRows
from perennial.steps.verified import download_verified, same_definition
from perennial.steps.view_program import compiled_request_view
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
    snapshots and definitions give the same training set, and what an earlier run made of them is taken over
    (`perennial.steps.reuse`). Its record names all live snapshots, also those too old to be
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
        train_run = same_definition(ports, model.name, request.run_id)
        with tempfile.TemporaryDirectory() as folder:
            try:
                return _reused_or_made(model, train_run, ports, output, Path(folder), resources)
            except NotFoundError:  # rows may have been forgotten since the catalog was read: look once more
                return _reused_or_made(model, train_run, ports, output, Path(folder), resources)


@dataclass(frozen=True)
class Inputs:
    """What a training set is made from."""

    snapshots: Sequence[Snapshot]
    tables: Mapping[str, ViewManifest]
    """Stored view to what its table consists of."""
    table_keys: Mapping[str, str]
    """Stored view to the key of its table's manifest."""


def _reused_or_made(
    model: Model, train_run: Run, ports: Ports, output: StepOutput, folder: Path, resources: Resources
) -> TrainingSet:
    inputs = _live_inputs(model, ports, folder, resources)
    depends_on = training_set_depends_on(
        model,
        ports.definitions.dataset(model.dataset).fingerprint,
        [[snapshot.snapshot_id, snapshot.manifest_sha256] for snapshot in inputs.snapshots],
        {view: ports.definitions.view_version(view) for view in model.features},
        inputs.table_keys,
    )
    more = {"code": ports.code_version, "libraries": duckdb.__version__}
    work = Work(train_run, "training_set", {**depends_on, **more})
    if reuse(ports, work, output, lambda made: _unaltered(ports, made, folder)):
        return TrainingSet.model_validate(output)
    training_set = make(model, ports, inputs, folder, resources)
    output.update(training_set.model_dump(mode="json"))
    remember(ports, work, output)
    return training_set


def _unaltered(ports: Ports, made: Made, folder: Path) -> None:
    """Make sure that the files of a training set are what they were; NotFoundError or DataError if not."""
    for key, sha256 in made.output["sha256"].items():
        download_verified(ports.artifacts, key, sha256, folder / "looked_at").unlink()


def _live_inputs(model: Model, ports: Ports, folder: Path, resources: Resources) -> Inputs:
    snapshots, _ = ports.catalog.snapshots(model.dataset)
    if not snapshots:
        raise DataError(f"model {model.name}: dataset {model.dataset} has no snapshot; upload a file first")
    tables = ViewTables(ports, folder, resources)
    views = [view for view in map(ports.definitions.view, model.features) if view.kind == "stored"]
    stored: dict[str, tuple[ViewVersion, ViewManifest]] = {view.name: tables.stored(view) for view in views}
    return Inputs(
        snapshots,
        {name: manifest for name, (_, manifest) in stored.items()},
        {name: version.manifest_key for name, (version, _) in stored.items()},
    )


def make(model: Model, ports: Ports, inputs: Inputs, folder: Path, resources: Resources) -> TrainingSet:
    """Make a training set from given inputs, and upload its files; errors as `run`."""
    dataset, snapshots = ports.definitions.dataset(model.dataset), inputs.snapshots
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
    stored = _stored(model, ports, inputs.tables, folder, period)
    train, holdout = folder / "train.parquet", folder / "holdout.parquet"
    made = write_training_set(model, ports.definitions, parts, stored, period, train, holdout, resources=resources)
    request = compiled_request_view(
        model, ports.definitions, parts, period.split_at, made.categories, folder, resources=resources
    )
    placed = [_place(ports, model, part, path) for part, path in (("train", train), ("holdout", holdout))]
    return _record(model, made, period, placed, inputs, _place_inputs(ports, model, inputs), request)


def _stored(
    model: Model, ports: Ports, tables: Mapping[str, ViewManifest], folder: Path, period: Period
) -> dict[str, list[Path]]:
    """Return the files of the parts of the model's stored views that were known in the period."""
    files = PartFiles(ports.artifacts, folder)
    paths: dict[str, list[Path]] = {}
    for view in (ports.definitions.view(name) for name in model.features):
        if view.kind == "stored":
            time = str(view.feature_time)
            # A value never ages without a ttl: then even the oldest counts.
            since = None if period.since is None or view.ttl is None else period.since - view.ttl
            wanted = Wanted(frozenset((*view.entity, time, *model.features[view.name])), time, since, period.latest)
            paths[view.name] = files.fetch(tables[view.name].parts, wanted)
    return paths


def _place(ports: Ports, model: Model, part: str, path: Path) -> tuple[str, str]:
    """Upload one part of a training set; return its key and its SHA-256."""
    digest = sha256_of(path)
    key = keys.training_set(model.name, digest, part)
    ports.artifacts.upload(path, key)
    return key, digest


def _place_inputs(ports: Ports, model: Model, inputs: Inputs) -> tuple[str, str]:
    """Write down exactly what is read; return the key and the SHA-256."""
    timeless = {"run_id": "", "created_at": datetime.fromtimestamp(0, UTC)}
    record = TrainingInputs(
        model=model.name,
        dataset=model.dataset,
        definition_hash=ports.definitions.fingerprint(model.name),
        snapshots=tuple(snapshot.model_copy(update=timeless) for snapshot in inputs.snapshots),
        views=dict(inputs.table_keys),
    )
    content = record.model_dump_json().encode()
    digest = hashlib.sha256(content).hexdigest()
    key = keys.training_inputs(model.name, digest)
    ports.artifacts.put(key, content, "application/json")
    return key, digest


def _record(
    model: Model,
    made: TrainingParts,
    period: Period,
    placed: list[tuple[str, str]],
    inputs: Inputs,
    described: tuple[str, str],
    request: CompiledView | None,
) -> TrainingSet:
    sha256 = dict(placed)
    tables = {key: Path(key).stem for key in inputs.table_keys.values()}
    snapshots = tuple(snapshot.snapshot_id for snapshot in inputs.snapshots)
    behind_views = {name for table in inputs.tables.values() for names in table.snapshots.values() for name in names}
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
        view_snapshots=tuple(sorted(behind_views.difference(snapshots))),
        views=dict(inputs.table_keys),
        request=request,
        inputs_key=described[0],
        sha256={**sha256, **tables, described[0]: described[1]},
    )
