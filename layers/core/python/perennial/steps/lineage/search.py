"""Finding what somebody means by a name, and its lineage."""

from __future__ import annotations

import re

from perennial.errors import DataError, NotFoundError
from perennial.ports import Ports
from perennial.records import ModelVersion, Run, TrainingSet
from perennial.serving.ids import PredictionId, parse_prediction_id
from perennial.steps.lineage.graph import Lineage
from perennial.steps.lineage.walk import Walk
from perennial.steps.prediction_log import FoundPrediction, find_prediction
from perennial.steps.verified import read_training_set

RUNS = 1000
"""How many of the latest runs are looked through for one whose id begins so."""
_VERSION = re.compile(r"([a-z][a-z0-9_]*)(?:@|\s+)(\d+)")
_FORMS = (
    "a prediction id, MODEL@VERSION, a snapshot, a training set, a run, or an uploaded file (s3://… or dataset/file)"
)


def lineage_of(ports: Ports, thing: str, latest_runs: int = RUNS) -> Lineage:
    """Return what something was made from and what was made from it.

    Parameters
    ----------
    thing : str
        A prediction id; ``fare@3`` or ``fare 3``; the id of a snapshot, a training set or a run, or its beginning; an
        uploaded file, as ``s3://bucket/trips/2019-01.csv`` or ``trips/2019-01.csv``.
    latest_runs : int
        How many of the latest runs are looked through for one whose id only begins so; 0 looks through none.

    Raises
    ------
    NotFoundError
        There is no such thing.
    DataError
        Several begin so.
    """
    thing, walk = thing.strip(), Walk(ports)
    if not thing:  # every id would begin so
        raise NotFoundError(f"a blank names nothing; name {_FORMS}")
    if match := _VERSION.fullmatch(thing):
        return _of_version(walk, ports.catalog.version(match[1], int(match[2])))
    if "/" in thing:
        uri = thing if thing.startswith("s3://") else f"s3://{ports.raw.bucket}/{thing}"
        return walk.lineage(walk.file(uri))
    try:
        prediction = parse_prediction_id(thing)
    except NotFoundError:
        return _of_id(walk, thing, latest_runs)
    return walk.lineage(walk.prediction(*_found(ports, prediction)))


def _found(ports: Ports, prediction: PredictionId) -> tuple[ModelVersion, FoundPrediction]:
    """Return a prediction with the version that made it: the log has it under one of the models."""
    for model in ports.catalog.models():
        found = find_prediction(ports.artifacts, model, prediction)
        if found is not None:
            return ports.catalog.version(model, prediction.version), found
    raise NotFoundError(
        f"no model logged a prediction {prediction}; it takes minutes to come to the log, a model may keep a share "
        "only, and its log may have been deleted"
    )


def _of_version(walk: Walk, version: ModelVersion) -> Lineage:
    walk.version_after(version)
    return walk.lineage(walk.version_before(version))


def _of_training_set(walk: Walk, model: str, made: TrainingSet) -> Lineage:
    found = walk.training_set_before(model, made)
    for version in walk.versions:
        if version.training_set.training_set_id == made.training_set_id:
            walk.made(found, walk.version_after(version))
    return walk.lineage(found)


def _of_snapshot(walk: Walk, snapshot_id: str) -> Lineage:
    walk.snapshot_after(snapshot_id)
    return walk.lineage(walk.snapshot_before(snapshot_id))


def _of_run(walk: Walk, run: Run) -> Lineage:
    """A run stands beside what it made: a version, a training set, a snapshot, predictions of files."""
    found = walk.run(run)
    for version in walk.versions:
        if run.run_id == version.run_id:
            walk.version_before(version)
            walk.version_after(version)
            return walk.lineage(found)
    if run.kind == "train":
        try:
            made = walk.training_set_before(run.subject, read_training_set(walk.ports, run.run_id))
        except NotFoundError:
            return walk.lineage(found)
        walk.made(found, made)
    if run.kind == "batch_predict" and "result_key" in run.outputs:
        bulk = walk.bulk(run)
        walk.made(walk.version_before(walk.ports.catalog.version(run.subject, run.outputs["version"])), bulk)
        walk.made(found, bulk)
    for snapshot in walk.snapshots.values():
        if snapshot.run_id == run.run_id:
            walk.snapshot_before(snapshot.snapshot_id)
            walk.made(found, walk.snapshot_after(snapshot.snapshot_id))
    return walk.lineage(found)


def _of_id(walk: Walk, thing: str, latest_runs: int) -> Lineage:
    """Return the lineage of what has an id, or of the one whose id begins so."""
    catalog = walk.ports.catalog
    try:
        return _of_run(walk, catalog.run(thing))
    except NotFoundError:
        pass
    snapshots = [name for name in walk.snapshots if name.startswith(thing)]
    sets = {
        version.training_set.training_set_id: (version.model, version.training_set)
        for version in walk.versions
        if version.training_set.training_set_id.startswith(thing)
    }
    if not (snapshots or sets):
        latest = catalog.runs(latest_runs) if latest_runs else []
        runs = [run for run in latest if run.run_id.startswith(thing)]
        if len(runs) == 1:
            return _of_run(walk, runs[0])
        if runs:
            raise DataError(f"{len(runs)} runs begin with {thing!r}; write more of the id")
        raise NotFoundError(f"there is no {thing!r}; name {_FORMS}")
    if len(snapshots) + len(sets) > 1:
        raise DataError(f"{len(snapshots) + len(sets)} ids begin with {thing!r}; write more of it")
    if snapshots:
        return _of_snapshot(walk, snapshots[0])
    return _of_training_set(walk, *next(iter(sets.values())))
