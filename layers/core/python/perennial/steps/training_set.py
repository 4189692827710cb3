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
from perennial.data.point_in_time import SnapshotFiles, TrainingParts, write_training_set
from perennial.definitions import Model
from perennial.ports import Ports
from perennial.records import TrainingSet, ViewVersion
from perennial.steps.recording import recorded
from perennial.steps.verified import same_definition
from perennial.steps.view_tables import ViewTables


class Request(BaseModel):
    """For which model."""

    run_id: str
    model: str


def run(request: Request, ports: Ports, *, resources: Resources = DEFAULTS) -> TrainingSet:
    """Join the live snapshots with the model's features point-in-time and split them by event time.

    The files are addressed by their content: the same snapshots and definitions give the same training set.

    Raises
    ------
    DataError
        There are no rows to learn from, or none to judge by.
    ConflictError
        The model's definition changed since the run was admitted.
    NotFoundError
        There is no such run or model.
    """
    with recorded(ports, request.run_id, "training_set") as output:
        model = ports.definitions.model(request.model)
        same_definition(ports, model.name, request.run_id)
        with tempfile.TemporaryDirectory() as folder:
            training_set = _make(model, ports, Path(folder), resources)
        output.update(training_set.model_dump(mode="json"))
    return training_set


def _make(model: Model, ports: Ports, folder: Path, resources: Resources) -> TrainingSet:
    snapshots, revision = ports.catalog.snapshots(model.dataset)
    tables = ViewTables(ports, folder, resources)
    views = [ports.definitions.view(name) for name in model.features]
    request = next((view for view in views if view.kind == "request"), None)
    files = [
        SnapshotFiles(tables.snapshot(snapshot), tables.request(request, snapshot) if request else None)
        for snapshot in snapshots
    ]
    stored = {view.name: tables.stored(view, snapshots, revision) for view in views if view.kind == "stored" and files}
    train, holdout = folder / "train.parquet", folder / "holdout.parquet"
    paths = {name: path for name, (_, path) in stored.items()}
    parts = write_training_set(model, ports.definitions, files, paths, train, holdout, resources=resources)
    sha256: dict[str, str] = {}
    placed: list[str] = []
    for part, path in (("train", train), ("holdout", holdout)):
        digest = sha256_of(path)
        key = keys.training_set(model.name, digest, part)
        ports.artifacts.upload(path, key)
        sha256[key] = digest
        placed.append(key)
    versions = {name: version for name, (version, _) in stored.items()}
    return _record(parts, placed, sha256, tuple(snapshot.snapshot_id for snapshot in snapshots), versions)


def _record(
    parts: TrainingParts,
    placed: list[str],
    sha256: dict[str, str],
    snapshots: tuple[str, ...],
    versions: dict[str, ViewVersion],
) -> TrainingSet:
    identity = json.dumps([parts.features, sorted(sha256.values())])
    return TrainingSet(
        training_set_id=hashlib.sha256(identity.encode()).hexdigest()[:32],
        train_key=placed[0],
        holdout_key=placed[1],
        features=parts.features,
        split_at=parts.split_at.replace(tzinfo=UTC),
        rows_train=parts.rows_train,
        rows_holdout=parts.rows_holdout,
        rows_without_target=parts.rows_without_target,
        snapshots=snapshots,
        views={name: version.key for name, version in versions.items()},
        sha256={**sha256, **{version.key: version.sha256 for version in versions.values()}},
    )
