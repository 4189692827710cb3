"""Judge every candidate, and the champion, on the same held-out rows."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from pydantic import BaseModel

from perennial import keys
from perennial.definitions import Model
from perennial.manifest import Manifest
from perennial.ports import Ports
from perennial.records import TrainingSet, Verdict
from perennial.serving.artifact import load_artifact
from perennial.steps.admit import candidates_of
from perennial.steps.recording import recorded
from perennial.steps.verified import (
    download_verified,
    read_candidate,
    read_training_set,
    same_definition,
)
from perennial.training.evaluation import best, metrics
from perennial.training.gate import Opponent, judge
from perennial.training.rows import columns_of, read_rows
from perennial.training.scoring import score


class Request(BaseModel):
    """Which run's candidates."""

    run_id: str
    model: str


def run(request: Request, ports: Ports) -> Verdict:
    """Score the artifacts on the held-out rows, apply the gate to the best, and write the report.

    What is scored are the ONNX files that would serve, not the estimators that they were made from.

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
            holdout = Path(folder) / "holdout.parquet"
            key = training_set.holdout_key
            download_verified(ports.artifacts, key, training_set.sha256[key], holdout)
            verdict, parity = _judge(ports, model, request.run_id, training_set, holdout)
        report = _report(verdict, parity, training_set)
        ports.artifacts.put(verdict.report_key, report, "application/json")
        output.update(verdict.model_dump(mode="json"))
    return verdict


def _judge(
    ports: Ports, model: Model, run_id: str, training_set: TrainingSet, holdout: Path
) -> tuple[Verdict, dict[str, float]]:
    """Return the verdict, and the parity error of every candidate."""
    rows = read_rows(holdout, training_set.features)
    figures: dict[str, dict[str, float]] = {}
    parity: dict[str, float] = {}
    for candidate in candidates_of(ports, run_id):
        found, artifact = read_candidate(ports, model.name, run_id, candidate, training_set)
        figures[candidate] = metrics(rows.target, score(artifact, rows.features))
        parity[candidate] = found.parity_error
    champion = _champion(ports, model, holdout)
    name = best(figures, model.metric)
    ratings = judge(model.gate, model.metric, figures[name], parity[name], champion)
    verdict = Verdict(
        candidate=name,
        passed=all(rating.passed for rating in ratings),
        ratings=ratings,
        metrics=figures[name],
        champion_version=champion.version if champion else None,
        champion_metrics=champion.metrics if champion else None,
        candidates=figures,
        report_key=keys.evaluation_report(model.name, run_id),
    )
    return verdict, parity


def _champion(ports: Ports, model: Model, holdout: Path) -> Opponent | None:
    """Score the champion on the held-out rows, read by its own features; None when nothing serves."""
    champion = ports.catalog.champion(model.name)
    if champion is None:
        return None
    content = ports.artifacts.get(champion.manifest_key)
    artifact = load_artifact(
        content,
        champion.manifest_sha256,
        lambda file: ports.artifacts.get(keys.artifact(model.name, champion.version, file)),
    )
    manifest = artifact.manifest
    obstacle = _obstacle(ports, model, manifest, columns_of(holdout))
    if obstacle:
        return Opponent(champion.version, None, obstacle)
    rows = read_rows(holdout, manifest.features)
    return Opponent(champion.version, metrics(rows.target, artifact.predict(rows.features)))


def _obstacle(ports: Ports, model: Model, manifest: Manifest, columns: tuple[str, ...]) -> str:
    """Say why the held-out rows are no fair test of the champion; empty when they are.

    A view whose SQL was changed may give another quantity under the same column name: the champion never learnt that.
    """
    if manifest.target != model.target:
        return f"it predicts {manifest.target!r}, but the target is {model.target!r} by now"
    absent = [name for name in manifest.features if name not in columns]
    if absent:
        return f"it reads {', '.join(absent)}, which the model has no longer"
    views = ports.definitions.views
    changed = [view.name for view in manifest.stored if ports.definitions.view_version(view.name) != view.version]
    if manifest.request is not None and views[manifest.request.name].sql != manifest.request.sql:
        changed.append(manifest.request.name)
    return f"the SQL of {', '.join(changed)} was changed since it was trained" if changed else ""


def _report(verdict: Verdict, parity: dict[str, float], training_set: TrainingSet) -> bytes:
    report = {
        "training_set_id": training_set.training_set_id,
        "split_at": training_set.split_at.isoformat(),
        "rows_train": training_set.rows_train,
        "rows_holdout": training_set.rows_holdout,
        "parity_errors": parity,
        "verdict": verdict.model_dump(mode="json"),
    }
    return json.dumps(report, indent=2).encode()
