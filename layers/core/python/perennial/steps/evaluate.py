"""Judge every candidate, and the champion, on the same held-out rows."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from perennial import keys
from perennial.definitions import Model
from perennial.manifest import Manifest
from perennial.ports import Ports
from perennial.records import TrainingSet, Verdict
from perennial.reporting.page import page
from perennial.serving.artifact import read_files
from perennial.serving.integrity import read_manifest
from perennial.serving.scorer import scorer_of, served_file
from perennial.steps.admit import candidates_of
from perennial.steps.judged_files import judged_by
from perennial.steps.recording import recorded
from perennial.steps.verified import (
    download_verified,
    read_candidate,
    read_training_set,
    same_definition,
)
from perennial.training.baseline import read_known
from perennial.training.evaluation import aligned, metrics
from perennial.training.evaluation_page import sections, subtitle, title
from perennial.training.evaluation_report import EvaluationReport
from perennial.training.gate import Opponent
from perennial.training.judging import Case, Contender, judge_candidates
from perennial.training.rows import columns_of, read_rows
from perennial.training.slices import read_slices

Matrix = npt.NDArray[np.float64]


class Request(BaseModel):
    """Which run's candidates."""

    run_id: str
    model: str


def run(request: Request, ports: Ports) -> Verdict:
    """Score the artifacts on the held-out rows, apply the gate to the best, and write the report and its page.

    What is scored are the files that would serve, not the estimators that they were made from.

    Raises
    ------
    DataError
        A file is not the one that was recorded, or a candidate was not trained to the end.
    ConflictError
        The model's definition was changed while the run was under way.
    """
    with recorded(ports, request.run_id, "evaluate") as output:
        same_definition(ports, request.model, request.run_id)
        model = ports.definitions.model(request.model)
        training_set = read_training_set(ports, request.run_id)
        with tempfile.TemporaryDirectory() as folder:
            report = _judge(ports, model, request.run_id, training_set, Path(folder))
        verdict = report.verdict
        html = page(title(report), sections(report), subtitle=subtitle(report))
        page_key = keys.evaluation_report(model.name, request.run_id, "html")
        ports.artifacts.put(page_key, html.encode(), "text/html; charset=utf-8")
        ports.artifacts.put(verdict.report_key, report.model_dump_json(indent=2).encode(), "application/json")
        output.update(verdict.model_dump(mode="json"))
    return verdict


def _judge(ports: Ports, model: Model, run_id: str, training_set: TrainingSet, folder: Path) -> EvaluationReport:
    holdout, train = folder / "holdout.parquet", folder / "train.parquet"
    for key, path in ((training_set.holdout_key, holdout), (training_set.train_key, train)):
        download_verified(ports.artifacts, key, training_set.sha256[key], path)
    classes = training_set.classes or (() if model.task == "regression" else ("false", "true"))
    rows = read_rows(holdout, training_set.features, training_set.categories, training_set.classes)
    texts = read_slices(holdout, training_set.slices)
    slices = {name: np.delete(values, rows.dropped) for name, values in texts.items()}
    case = Case(
        model=model,
        run_id=run_id,
        training_set=training_set,
        holdout=rows,
        slices=slices,
        known=read_known(train, classes),
        rejected=_rejected(ports, model.dataset, training_set),
        report_key=keys.evaluation_report(model.name, run_id),
    )
    train.unlink()
    contenders = []
    for name in candidates_of(ports, run_id):
        found, files = read_candidate(ports, model.name, run_id, name, training_set)
        score = judged_by(files)
        prediction = _shaped(score(case.holdout.features), model, training_set.classes)
        contenders.append(Contender(found, score, len(files.graph), prediction))
    return judge_candidates(case, contenders, *_champion(ports, model, training_set, holdout))


def _shaped(prediction: Matrix, model: Model, classes: Sequence[str]) -> Matrix:
    """Return predictions of several classes with a column for each."""
    return prediction.reshape(-1, len(classes)) if model.task == "multiclass" else prediction


def _champion(
    ports: Ports, model: Model, training_set: TrainingSet, holdout: Path
) -> tuple[Opponent | None, Matrix | None]:
    """Score the champion on the held-out rows, read by its own features; nothing when nothing serves."""
    champion = ports.catalog.champion(model.name)
    if champion is None:
        return None, None
    manifest = read_manifest(ports.artifacts.get(champion.manifest_key), champion.manifest_sha256)
    contents = read_files(manifest, lambda file: ports.artifacts.get(keys.artifact(model.name, champion.version, file)))
    scorer = scorer_of(manifest, contents[served_file(manifest.files)])
    obstacle = _obstacle(ports, model, manifest, training_set, columns_of(holdout))
    if obstacle:
        return Opponent(champion.version, None, obstacle), None
    rows = read_rows(holdout, manifest.features, manifest.categories, training_set.classes)
    prediction = _shaped(scorer.score_matrix(rows.features), model, manifest.classes)
    if model.task == "multiclass":
        prediction = aligned(prediction, manifest.classes, training_set.classes)
    return Opponent(champion.version, metrics(rows.target, prediction, model.task)), prediction


def _obstacle(
    ports: Ports, model: Model, manifest: Manifest, training_set: TrainingSet, columns: tuple[str, ...]
) -> str:
    """Say why the held-out rows are no fair test of the champion; empty when they are.

    A view whose SQL was changed may give another quantity under the same column name: the champion never learnt that.
    """
    if manifest.task != model.task:
        return f"it was made for the task {manifest.task}, which is {model.task} by now"
    if manifest.target != model.target:
        return f"it predicts {manifest.target!r}, but the target is {model.target!r} by now"
    absent = [name for name in manifest.features if name not in columns]
    if absent:
        return f"it reads {', '.join(absent)}, which the model has no longer"
    recoded = sorted(set(manifest.features) & (manifest.categories.keys() ^ training_set.categories.keys()))
    if recoded:
        return f"{', '.join(recoded)} was a number or a category to it, and is the other by now"
    views = ports.definitions.views
    changed = [view.name for view in manifest.stored if ports.definitions.view_version(view.name) != view.version]
    if manifest.request is not None and views[manifest.request.name].sql != manifest.request.sql:
        changed.append(manifest.request.name)
    return f"the SQL of {', '.join(changed)} was changed since it was trained" if changed else ""


def _rejected(ports: Ports, dataset: str, training_set: TrainingSet) -> tuple[int, int] | None:
    """Return how many rows of the uploads that were learnt from were quarantined, and how many they had.

    Rows that were superseded since count as good ones. None if none of these uploads is live any more.
    """
    learnt = set(training_set.snapshots)
    uploads, _ = ports.catalog.uploads(dataset)
    found = [each.original for each in uploads if each.snapshot.snapshot_id in learnt]
    bad = sum(each.rejected for each in found)
    return (bad, bad + sum(each.rows for each in found)) if found else None
