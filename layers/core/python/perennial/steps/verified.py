"""Reading what earlier steps made, and refusing what is not what they made."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from perennial import keys
from perennial.errors import ConflictError, DataError, NotFoundError
from perennial.ports import ObjectStore, Ports
from perennial.records import Run, TrainingSet, Verdict
from perennial.serving.scorer import FLAT_FILE
from perennial.steps.candidate_files import BASELINE_FILE, GRAPH_FILE, REPORT_FILE, ModelFiles
from perennial.training.evaluation_report import EvaluationReport
from perennial.training.report import CandidateReport


def read_verified(store: ObjectStore, key: str, sha256: str) -> bytes:
    """Return an object's bytes.

    Raises
    ------
    DataError
        Its SHA-256 is another one than was recorded: a person must look at how it was changed.
    NotFoundError
        There is no such object.
    """
    content = store.get(key)
    _compare(store, key, sha256, hashlib.sha256(content).hexdigest())
    return content


def download_verified(store: ObjectStore, key: str, sha256: str, path: Path) -> Path:
    """Copy an object into a file and return the file's path; errors as `read_verified`."""
    store.download(key, path)
    with path.open("rb") as file:
        _compare(store, key, sha256, hashlib.file_digest(file, "sha256").hexdigest())
    return path


def read_training_set(ports: Ports, run_id: str) -> TrainingSet:
    """Return the training set of a run, or raise NotFoundError if its step has not succeeded."""
    return TrainingSet.model_validate(_output(ports, run_id, "training_set"))


def read_verdict(ports: Ports, run_id: str) -> Verdict:
    """Return what the gate said in a run, or raise NotFoundError if the step ``evaluate`` has not succeeded."""
    return Verdict.model_validate(_output(ports, run_id, "evaluate"))


def read_evaluation(ports: Ports, verdict: Verdict) -> EvaluationReport:
    """Return all that judging found.

    Raises
    ------
    DataError
        The report is not the one of this verdict: it was changed, or the step ran again meanwhile.
    """
    again = f"s3://{ports.artifacts.bucket}/{verdict.report_key}: it is not the report of what was recorded"
    try:
        report = EvaluationReport.model_validate_json(ports.artifacts.get(verdict.report_key))
    except ValidationError as error:
        raise DataError(f"{again}; start the run again") from error
    if report.verdict != verdict:
        raise DataError(f"{again}; start the run again")
    return report


def read_candidate(
    ports: Ports, model: str, run_id: str, name: str, training_set: TrainingSet
) -> tuple[CandidateReport, ModelFiles]:
    """Return what training a candidate found, and its files, all as the step ``train#<name>`` recorded them.

    Raises
    ------
    DataError
        The candidate was not trained to the end, or on another training set, or a file is not the one recorded.
    """
    output = ports.catalog.step(run_id, f"train#{name}").output
    if "report_sha256" not in output:
        raise DataError(f"run {run_id}: candidate {name!r} was not trained to the end; start the run again")
    if output["training_set_id"] != training_set.training_set_id:
        raise DataError(f"run {run_id}: candidate {name!r} was trained on another training set; start the run again")
    place = keys.candidate(model, run_id, name, REPORT_FILE)
    report = CandidateReport.model_validate_json(read_verified(ports.artifacts, place, output["report_sha256"]))

    def read(file: str, sha256: str) -> bytes:
        return read_verified(ports.artifacts, keys.candidate(model, run_id, name, file), sha256)

    return report, ModelFiles(
        read(GRAPH_FILE, report.onnx_sha256),
        None if report.flat_sha256 is None else read(FLAT_FILE, report.flat_sha256),
        None if report.baseline_sha256 is None else read(BASELINE_FILE, report.baseline_sha256),
    )


def same_definition(ports: Ports, model: str, run_id: str) -> Run:
    """Return the run, having made sure that the model means what it meant when the run was admitted.

    Raises
    ------
    ConflictError
        Definitions were deployed while the run was under way: its parts would not fit together.
    """
    run = ports.catalog.run(run_id)
    if run.definition_hash != ports.definitions.fingerprint(model):
        raise ConflictError(
            f"run {run_id}: the definition of model {model!r} was changed while it was under way; start another run"
        )
    return run


def _output(ports: Ports, run_id: str, name: str) -> dict[str, Any]:
    step = ports.catalog.step(run_id, name)
    if step.status != "succeeded":
        raise NotFoundError(f"run {run_id!r}: its step {name!r} has not succeeded; start the run again")
    return step.output


def _compare(store: ObjectStore, key: str, expected: str, actual: str) -> None:
    if actual != expected:
        raise DataError(
            f"s3://{store.bucket}/{key}: its SHA-256 is {actual[:12]}…, but {expected[:12]}… was recorded; "
            "it was changed after it was made: restore it, or train again"
        )
