"""Take a model that was trained elsewhere as the run's candidate: look at the file before anything else runs it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NotImplemented,
    RuntimeException,
)
from pydantic import BaseModel, ValidationError

from perennial import keys
from perennial.definitions import Model
from perennial.errors import DataError
from perennial.monitoring.histograms import make_histogram, one_number_each
from perennial.ports import Ports
from perennial.records import TrainingSet
from perennial.steps.baselines import baselines
from perennial.steps.candidate_files import ModelFiles, write_candidate
from perennial.steps.recording import recorded
from perennial.steps.verified import download_verified, read_training_set, read_verified, same_definition
from perennial.training.evaluation import Matrix, metrics
from perennial.training.report import CandidateReport
from perennial.training.rows import Rows, read_rows
from perennial.training.scoring import INPUT, OUTPUT, score
from perennial.training.submission import SUBMITTED, Submission, most_bytes
from perennial.training.untrusted import checked, require_conforming
from perennial.utc import naive_utc

_NOT_RUN = (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NotImplemented, RuntimeException)


class Request(BaseModel):
    """Which run's submission."""

    run_id: str
    model: str
    submission: str


class Taken(BaseModel):
    """What the run judges; the same fields as those of a candidate that was trained."""

    candidate: str
    training_set_id: str
    onnx_sha256: str
    report_sha256: str
    rows: int
    metrics: dict[str, float]
    """On the held-out rows."""
    parity_error: float


def run(request: Request, ports: Ports) -> Taken:
    """Check a submission, score it on the held-out rows, and leave it where the step ``train`` leaves a candidate.

    It is recorded as ``train#submitted``. Of what its maker says, what can be checked here is: its bytes, its form, its
    features, and that it did not learn from the rows that judge it.

    Raises
    ------
    DataError
        A file is not the one that was submitted or recorded, or the model is none that can be judged.
    ConflictError
        The model's definition was changed while the run was under way.
    """
    with recorded(ports, request.run_id, f"train#{SUBMITTED}") as output:
        same_definition(ports, request.model, request.run_id)
        model = ports.definitions.model(request.model)
        training_set = read_training_set(ports, request.run_id)
        submission, artifact = _read(ports, model, request.submission)
        _fits(submission, model, training_set)
        columns = len(training_set.classes) if model.task == "multiclass" else 1
        require_conforming(checked(artifact, most_bytes(model)), len(training_set.features), columns)
        report = _report(ports, model, training_set, submission, artifact)
        report_sha256 = write_candidate(ports, model.name, request.run_id, report, ModelFiles(artifact))
        taken = Taken(
            candidate=SUBMITTED,
            training_set_id=training_set.training_set_id,
            onnx_sha256=report.onnx_sha256,
            report_sha256=report_sha256,
            rows=report.rows,
            metrics=report.metrics,
            parity_error=report.parity_error,
        )
        output.update(taken.model_dump(mode="json"))
    return taken


def _read(ports: Ports, model: Model, submission_id: str) -> tuple[Submission, bytes]:
    """Return what was submitted; its id is the hash of the one file, which names the hash of the other."""
    key = keys.submission(model.name, submission_id, "candidate.json")
    try:
        submission = Submission.model_validate_json(read_verified(ports.artifacts, key, submission_id))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DataError(f"candidate.json: {place}: {first['msg'].lower()}; submit it with run.register") from None
    key = keys.submission(model.name, submission_id, "model.onnx")
    size, most = ports.artifacts.size(key), most_bytes(model)
    if size > most:
        raise DataError(f"model.onnx: it has {size:,} bytes, and {most:,} are allowed (gate.max_bytes)")
    return submission, read_verified(ports.artifacts, key, submission.onnx_sha256)


def _fits(submission: Submission, model: Model, training_set: TrainingSet) -> None:
    """Raise DataError unless the model reads what the run's rows have, and did not learn from those that judge."""
    again = "train it again on client.training_frame(…)"
    if submission.model != model.name:
        raise DataError(f"candidate.json: it is for model {submission.model}, not for {model.name}")
    if submission.features != training_set.features:
        raise DataError(
            f"candidate.json: it reads {', '.join(submission.features)}, but the model has "
            f"{', '.join(training_set.features)}; {again}"
        )
    for name, values in training_set.categories.items():
        if submission.categories.get(name) != values:
            raise DataError(
                f"candidate.json: the training set has other categories of {name} than the model learnt; {again}"
            )
    if model.task == "multiclass" and submission.classes != training_set.classes:
        raise DataError(
            f"candidate.json: it tells {', '.join(submission.classes) or 'nothing'} apart, but the classes are "
            f"{', '.join(training_set.classes)}; {again}"
        )
    until, split_at = submission.learnt_until, training_set.split_at
    if until is not None and naive_utc(until) >= naive_utc(split_at):
        raise DataError(
            f"candidate.json: it has learnt from rows until {naive_utc(until)}, and those from {naive_utc(split_at)} "
            "on judge it; learn from the part 'train' alone"
        )


def _report(
    ports: Ports, model: Model, training_set: TrainingSet, submission: Submission, artifact: bytes
) -> CandidateReport:
    holdout = _rows(ports, training_set, training_set.holdout_key)
    prediction = _predict(model, artifact, holdout.features)
    baseline = submission.baseline
    if set(baseline) != set(training_set.features):
        learning = _rows(ports, training_set, training_set.train_key).features
        baseline = baselines(learning, training_set)
    return CandidateReport(
        candidate=SUBMITTED,
        algorithm=SUBMITTED,
        parameters=submission.parameters,
        seed=model.seed,
        features=training_set.features,
        categories=training_set.categories,
        classes=training_set.classes,
        onnx_input=INPUT,
        onnx_output=OUTPUT,
        onnx_sha256=submission.onnx_sha256,
        rows=submission.rows,
        metrics=metrics(holdout.target, prediction, model.task),
        parity_error=submission.parity_error,
        baseline=baseline,
        prediction_baseline=make_histogram(one_number_each(prediction)),
        libraries={**submission.libraries, "onnxruntime": str(onnxruntime.__version__)},
        experiment=submission.experiment,
    )


def _predict(model: Model, artifact: bytes, features: Matrix) -> Matrix:
    try:
        prediction = score(artifact, features)
    except _NOT_RUN as error:
        raise DataError(f"model.onnx: onnxruntime cannot run it: {str(error).splitlines()[0]}") from None
    if len(prediction) != len(features):
        raise DataError(f"model.onnx: it gives {len(prediction)} predictions for {len(features)} rows")
    if model.task != "regression" and np.any((prediction < 0) | (prediction > 1)):
        raise DataError("model.onnx: it must give probabilities, between 0 and 1")
    return prediction


def _rows(ports: Ports, training_set: TrainingSet, key: str) -> Rows:
    with tempfile.TemporaryDirectory() as folder:
        path = download_verified(ports.artifacts, key, training_set.sha256[key], Path(folder) / "rows.parquet")
        return read_rows(path, training_set.features, training_set.categories, training_set.classes)
