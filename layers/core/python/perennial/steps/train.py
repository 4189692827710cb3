"""Train one candidate, export it to ONNX, try it on earlier times and describe what it learnt from."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import sklearn
from pydantic import BaseModel, Field

from perennial import keys
from perennial.definitions import Candidate, Model
from perennial.errors import DataError
from perennial.monitoring.change_points import change_points, unchanged_since
from perennial.monitoring.histograms import make_histogram, one_number_each
from perennial.ports import Ports
from perennial.records import Made, TrainingSet
from perennial.serving.scorer import FLAT_FILE
from perennial.steps.baselines import baselines, whole_baseline
from perennial.steps.candidate_files import (
    BASELINE_FILE,
    GRAPH_FILE,
    REPORT_FILE,
    ModelFiles,
    write_candidate,
)
from perennial.steps.judged_files import judged_by, require_same_bits
from perennial.steps.recording import recorded
from perennial.steps.reuse import Work, remember, reuse, training_depends_on
from perennial.steps.searched import with_chosen_parameters
from perennial.steps.verified import download_verified, read_training_set, read_verified, same_definition
from perennial.training.backtests import backtest
from perennial.training.candidates import fit, predict, resolved_parameters
from perennial.training.evaluation import metrics, parity_error
from perennial.training.export import export
from perennial.training.flat import flat
from perennial.training.problem import Problem, problem_of
from perennial.training.report import CandidateReport, WindowTrial
from perennial.training.rows import Rows, history_start, read_rows
from perennial.training.scoring import INPUT, OUTPUT, score
from perennial.training.windows import choose_window

Matrix = npt.NDArray[np.float64]


class Request(BaseModel):
    """Which candidate of which model."""

    run_id: str
    model: str
    candidate: str


class Trained(BaseModel):
    """How a candidate's training went."""

    candidate: str
    training_set_id: str
    onnx_sha256: str
    flat_sha256: str | None = None
    """None of a custom estimator, which the ONNX file serves."""
    baseline_sha256: str | None = None
    report_sha256: str
    rows: int
    """Rows that it learnt from."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the estimator."""
    metrics: dict[str, float]
    """On the held-out rows, by scikit-learn."""
    parity_error: float
    seconds: float


def run(request: Request, ports: Ports) -> Trained:
    """Fit a candidate on the run's training set and leave its files and ``candidate.json`` in the artifacts.

    What an earlier run trained from the same inputs is taken over (`perennial.steps.reuse`), its files copied to where
    this run's belong, so that nobody need know.

    Raises
    ------
    DefinitionError
        A parameter is unknown to the estimator, or its value is refused.
    DataError
        There is nothing to learn from or to judge on, or a file is not the one that was recorded.
    ConflictError
        The model's definition was changed while the run was under way.
    """
    with recorded(ports, request.run_id, f"train#{request.candidate}") as output:
        started = ports.clock.now()
        train_run = same_definition(ports, request.model, request.run_id)
        model = ports.definitions.model(request.model)
        candidate = with_chosen_parameters(ports, request.run_id, model.candidate(request.candidate))
        training_set = read_training_set(ports, request.run_id)
        depends_on = training_depends_on(model, candidate, training_set, libraries(candidate))
        depends_on |= {"code": ports.code_version}
        if candidate.estimator is not None:
            depends_on["estimators"] = ports.definitions.estimators.sha256
        work = Work(train_run, f"train#{candidate.name}", depends_on)
        if reuse(ports, work, output, lambda made: _take_over(ports, request, made)):
            return Trained.model_validate(output)
        learning, holdout = _read(ports, training_set)
        problem = problem_of(model, training_set, ports.definitions)
        report, files = train(model, candidate, training_set, problem, learning, holdout)
        report_sha256 = write_candidate(ports, request.model, request.run_id, report, files)
        trained = Trained(
            candidate=candidate.name,
            training_set_id=training_set.training_set_id,
            onnx_sha256=report.onnx_sha256,
            flat_sha256=report.flat_sha256,
            baseline_sha256=report.baseline_sha256,
            report_sha256=report_sha256,
            rows=report.rows,
            parameters=report.parameters,
            metrics=report.metrics,
            parity_error=report.parity_error,
            seconds=(ports.clock.now() - started).total_seconds(),
        )
        output.update(trained.model_dump(mode="json"))
        remember(ports, work, output)
    return trained


def train(
    model: Model,
    candidate: Candidate,
    training_set: TrainingSet,
    problem: Problem,
    learning: Rows,
    holdout: Rows,
) -> tuple[CandidateReport, ModelFiles]:
    """Fit, export, compare the two on the held-out rows, and count the baselines; no IO.

    Parameters
    ----------
    training_set : TrainingSet
        Whose features are the columns of ``learning.features`` and ``holdout.features``.
    problem : Problem
        What it poses.
    learning : Rows
        All before the split; the candidate's ``history`` is applied here.

    Returns
    -------
    (CandidateReport, ModelFiles)
        What was found, and what it is served from.
    """

    def fit_and_predict(rows: Rows, features: Matrix) -> Matrix:
        return predict(fit(candidate, rows, model.seed, problem), features)

    start = history_start(training_set.split_at, candidate.history)
    windows: tuple[WindowTrial, ...] = ()
    if candidate.windows:
        start, windows = choose_window(
            fit_and_predict, learning, training_set.split_at, model.split.holdout, candidate.windows,
            task=model.task, metric=model.metric, unchanged_since=_unchanged_since,
        )  # fmt: skip
    recent = learning if start is None else learning.since(start)
    fitted = fit(candidate, recent, model.seed, problem)
    files = ModelFiles(export(fitted), flat(fitted, recent.features))
    expected = predict(fitted, holdout.features)
    prediction = judged_by(files)(holdout.features)
    if files.flat is not None:
        require_same_bits(files.flat, holdout.features)
    baseline = whole_baseline(model, training_set, recent, holdout, prediction).model_dump_json().encode()
    report = CandidateReport(
        candidate=candidate.name,
        algorithm=candidate.algorithm,
        estimator=candidate.estimator,
        parameters=resolved_parameters(candidate, problem),
        seed=model.seed,
        features=training_set.features,
        categories=training_set.categories,
        classes=training_set.classes,
        onnx_input=INPUT,
        onnx_output=OUTPUT,
        onnx_sha256=hashlib.sha256(files.graph).hexdigest(),
        flat_sha256=None if files.flat is None else hashlib.sha256(files.flat).hexdigest(),
        baseline_sha256=hashlib.sha256(baseline).hexdigest(),
        rows=len(recent),
        metrics=metrics(holdout.target, expected, model.task),
        backtests=backtest(
            fit_and_predict, learning, training_set.split_at, model.split.holdout, model.split.backtests,
            task=model.task, history=None if start is None else training_set.split_at - start,
        ),
        windows=windows,
        learnt_from=start,
        parity_error=_parity(files, holdout.features, expected, prediction),
        baseline=baselines(recent.features, training_set),
        prediction_baseline=make_histogram(one_number_each(prediction)),
        libraries=libraries(candidate),
    )  # fmt: skip
    return report, replace(files, baseline=baseline)


def _parity(files: ModelFiles, features: Matrix, expected: Matrix, prediction: Matrix) -> float:
    """Compare the estimator with the file that is served and, if that is not the ONNX file, both with the latter."""
    if files.flat is None:
        return parity_error(expected, prediction)
    graph = score(files.graph, features)
    pairs = ((expected, prediction), (expected, graph), (graph, prediction))
    return max(parity_error(one, other) for one, other in pairs)


def _unchanged_since(series: Sequence[float], rows: Sequence[float]) -> int:
    return unchanged_since(change_points(series, rows))


def _take_over(ports: Ports, request: Request, made: Made) -> None:
    """Copy the files that an earlier run trained to where this run's belong, once they are found to be unaltered."""
    files = [
        (file, read_verified(ports.artifacts, keys.candidate(request.model, made.run_id, request.candidate, file), sha))
        for file, sha in (
            (GRAPH_FILE, made.output["onnx_sha256"]),
            (FLAT_FILE, made.output["flat_sha256"]),
            (BASELINE_FILE, made.output["baseline_sha256"]),
            (REPORT_FILE, made.output["report_sha256"]),
        )
        if sha is not None
    ]
    for file, content in files if made.run_id != request.run_id else ():
        kind = "application/json" if file.endswith(".json") else "application/octet-stream"
        ports.artifacts.put(keys.candidate(request.model, request.run_id, request.candidate, file), content, kind)


def _read(ports: Ports, training_set: TrainingSet) -> tuple[Rows, Rows]:
    with tempfile.TemporaryDirectory() as folder:
        parts = []
        for key, name in ((training_set.train_key, "train"), (training_set.holdout_key, "holdout")):
            path = Path(folder) / f"{name}.parquet"
            download_verified(ports.artifacts, key, training_set.sha256[key], path)
            parts.append(read_rows(path, training_set.features, training_set.categories, training_set.classes))
    learning, holdout = parts
    if len(holdout) == 0:
        raise DataError("training set: no rows are held out; widen the split's holdout, or upload newer data")
    return learning, holdout


def libraries(candidate: Candidate) -> dict[str, str]:
    """Return the versions of the libraries that a trained candidate depends on."""
    modules: dict[str, Any] = {"numpy": np, "onnx": onnx, "onnxruntime": onnxruntime, "scikit-learn": sklearn}
    found = {name: str(module.__version__) for name, module in modules.items()}
    return found if candidate.estimator is None else {**found, "skl2onnx": version("skl2onnx")}
