"""Make a version again from its recorded snapshots, definitions and seed, and say what is not the same, and why."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel

from perennial import keys
from perennial.data.engine import DEFAULTS, Resources
from perennial.definitions.files import Definitions
from perennial.errors import DataError, NotFoundError
from perennial.manifest import Manifest
from perennial.ports import Ports
from perennial.records import Erasure, ModelVersion, Run, StepRecord, TrainingInputs, TrainingSet, Trigger
from perennial.serving.scorer import FLAT_FILE
from perennial.steps import train, training_set
from perennial.steps.kept_definitions import as_json, differences, kept
from perennial.steps.rebuilding.scratch import scratch_ports
from perennial.steps.recording import recorded
from perennial.steps.verified import read_verified
from perennial.steps.views.view_online import read_view_manifest
from perennial.training.report import CandidateReport
from perennial.training.rows import read_rows
from perennial.training.scoring import score


class Request(BaseModel):
    """Which version is to be made again."""

    run_id: str
    model: str
    version: int
    trigger: Trigger


class Finding(BaseModel):
    """Something that is not as it was; not all of it need have changed the result."""

    what: Literal["code", "libraries", "definition", "input", "training_set", "onnx", "flat"]
    sentence: str


class Rebuilt(BaseModel):
    """How a version that was made again compares with the one that was registered."""

    run_id: str
    model: str
    version: int
    identical: bool
    """Whether training rows, held-out rows and the model's files are the same to the byte."""
    findings: tuple[Finding, ...]
    files: dict[str, tuple[str, str | None]]
    """``train``, ``holdout`` and each of the version's files to their SHA-256 of then and of now; None where none could
    be made."""
    max_difference: float | None = None
    """Largest difference of a prediction on the held-out rows, if the ONNX files differ."""
    report_key: str


@dataclass(frozen=True)
class _Then:
    """What was recorded of a version."""

    version: ModelVersion
    manifest: Manifest
    train_run: Run
    definitions: Definitions
    inputs: TrainingInputs

    @property
    def training_set(self) -> TrainingSet:
        return self.version.training_set


@dataclass(frozen=True)
class _Now:
    """What was made again."""

    training_set: TrainingSet
    report: CandidateReport
    max_difference: float | None


def run(request: Request, ports: Ports, *, resources: Resources = DEFAULTS) -> Rebuilt:
    """Make a version again, compare, and close the run; nothing but the report and the run's record is left of it.

    That something differs is an answer, not an error: the run succeeds, and its outputs say ``identical``.

    Raises
    ------
    NotFoundError
        There is no such version.
    DataError
        Not enough was recorded of it, as before definitions were kept or of a model that was trained elsewhere.
    """
    version = ports.catalog.version(request.model, request.version)
    ports.catalog.start_run(
        Run(
            run_id=request.run_id,
            kind="rebuild",
            subject=request.model,
            status="running",
            trigger=request.trigger,
            started_at=ports.clock.now(),
            code_version=ports.code_version,
            inputs={"version": request.version, "trained_by": version.run_id},
        )
    )
    with recorded(ports, request.run_id, "rebuild") as output:
        with tempfile.TemporaryDirectory() as folder:
            then = _recorded(ports, version, Path(folder))
            rebuilt = _rebuild(request, ports, then, Path(folder), resources)
        ports.artifacts.put(rebuilt.report_key, rebuilt.model_dump_json(indent=2).encode(), "application/json")
        output.update(rebuilt.model_dump(mode="json"))
    outputs = {
        "version": rebuilt.version,
        "identical": rebuilt.identical,
        "findings": [finding.sentence for finding in rebuilt.findings],
        "report_key": rebuilt.report_key,
    }
    ports.catalog.finish_run(request.run_id, "succeeded", ports.clock.now(), outputs=outputs)
    return rebuilt


def _recorded(ports: Ports, version: ModelVersion, folder: Path) -> _Then:
    """Read what was recorded of a version, each object checked against its hash; its estimators go into the folder."""
    made, name = version.training_set, f"version {version.version} of {version.model}"
    if not made.inputs_key:
        raise DataError(f"{name} was trained before it was kept what exactly it learnt from; train the model again")
    train_run = ports.catalog.run(version.run_id)
    content = read_verified(ports.artifacts, version.manifest_key, version.manifest_sha256)
    inputs = read_verified(ports.artifacts, made.inputs_key, made.sha256[made.inputs_key])
    return _Then(
        version,
        Manifest.model_validate_json(content),
        train_run,
        kept(ports, train_run, folder / "definitions"),
        TrainingInputs.model_validate_json(inputs),
    )


def _rebuild(request: Request, ports: Ports, then: _Then, folder: Path, resources: Resources) -> Rebuilt:
    findings = [*_code(ports, then), *_definitions(ports, then)]
    now: _Now | None = None
    try:
        now = _made_again(ports, then, folder, resources)
    except (NotFoundError, DataError) as error:
        findings.append(Finding(what="input", sentence=_missing(ports, then, error)))
    files = _files(then, now)
    if now is not None:
        findings += _results(then, now, files)
    return Rebuilt(
        run_id=request.run_id,
        model=request.model,
        version=request.version,
        identical=all(before == after for before, after in files.values()),
        findings=tuple(findings),
        files=files,
        max_difference=now.max_difference if now else None,
        report_key=keys.rebuild_report(request.model, request.run_id),
    )


def _made_again(ports: Ports, then: _Then, folder: Path, resources: Resources) -> _Now:
    """Do the steps of the training run once more, on what they read then."""
    definitions, name, run_id = _resolved(then), then.version.model, then.version.run_id
    scratch_folder, work = folder / "objects", folder / "work"
    scratch_folder.mkdir()
    work.mkdir()
    scratch = scratch_ports(ports, definitions, then.train_run, scratch_folder)
    tables = {view: read_view_manifest(ports, key) for view, key in then.inputs.views.items()}
    read = training_set.Inputs(then.inputs.snapshots, tables, then.inputs.views)
    made = training_set.make(definitions.model(name), scratch, read, work, resources)
    at = then.train_run.started_at
    done = {"status": "succeeded", "started_at": at, "ended_at": at, "output": made.model_dump(mode="json")}
    scratch.catalog.record_step(StepRecord.model_validate({"run_id": run_id, "step": "training_set", **done}))
    candidate = then.manifest.candidate
    train.run(train.Request(run_id=run_id, model=name, candidate=candidate), scratch)
    stored = {file: scratch.artifacts.get(keys.candidate(name, run_id, candidate, file)) for file in _CANDIDATE}
    report = CandidateReport.model_validate_json(stored["candidate.json"])
    difference = None
    if report.onnx_sha256 != then.manifest.files["model.onnx"]:
        place = keys.artifact(name, then.version.version, "model.onnx")
        before = read_verified(ports.artifacts, place, then.manifest.files["model.onnx"])
        holdout = work / "rebuilt.parquet"
        scratch.artifacts.download(made.holdout_key, holdout)
        difference = _largest_difference(before, stored["model.onnx"], holdout, made)
    return _Now(made, report, difference)


def _resolved(then: _Then) -> Definitions:
    """Return the definitions of then, with the parameters that a search chose in the candidate that won."""
    model = then.definitions.model(then.version.model)
    candidate = model.candidate(then.manifest.candidate)
    if not candidate.space:
        return then.definitions
    chosen = candidate.model_copy(update={"parameters": then.manifest.parameters, "space": {}})
    candidates = tuple(chosen if one.name == chosen.name else one for one in model.candidates)
    resolved = model.model_copy(update={"candidates": candidates})
    # Not model_copy's result itself: it would keep the fingerprint that was computed before.
    resolved = type(model).model_validate(resolved.model_dump(mode="json"))
    return replace(then.definitions, models={model.name: resolved})


def _code(ports: Ports, then: _Then) -> list[Finding]:
    findings = []
    if then.manifest.code_version != ports.code_version:
        sentence = f"the code was of version {then.manifest.code_version}, and {ports.code_version} is deployed"
        findings.append(Finding(what="code", sentence=sentence))
    model = then.definitions.model(then.version.model)
    libraries = train.libraries(model.candidate(then.manifest.candidate))
    before = then.manifest.libraries
    changed = [
        f"{name} {before.get(name, 'none')} → {libraries.get(name, 'none')}"
        for name in sorted(before.keys() | libraries.keys())
        if before.get(name) != libraries.get(name)
    ]
    if changed:
        findings.append(Finding(what="libraries", sentence=f"libraries changed: {', '.join(changed)}"))
    return findings


def _definitions(ports: Ports, then: _Then) -> list[Finding]:
    """Say where the definitions that are deployed differ from those that are used here."""
    name = then.version.model
    try:
        deployed = as_json(ports.definitions, name)
    except NotFoundError:
        return [Finding(what="definition", sentence=f"model {name} is not defined any more; it is made as it was")]
    changed = differences(as_json(then.definitions, name), deployed)
    if not changed:
        return []
    sentence = f"the definitions changed since, and it is made by those of then: {', '.join(changed)}"
    return [Finding(what="definition", sentence=sentence)]


def _missing(ports: Ports, then: _Then, error: Exception) -> str:
    """Say what of the inputs is gone or altered and, if rows were forgotten, by which erasure."""
    erasures = _erasures(ports, then)
    if isinstance(error, DataError) or not erasures:
        return f"what it was made from is not there as it was: {error}"
    told = "; ".join(
        f"erasure {one.erasure_id} of {one.dataset} on {_day(one.at)} by {one.by}"
        + (f" ({one.reason})" * bool(one.reason))
        for one in erasures
    )
    return f"rows that it was made from were forgotten: {told}"


def _erasures(ports: Ports, then: _Then) -> list[Erasure]:
    """Return the erasures that took rows out of what a version was made from."""
    known = {one.snapshot_id for one in then.inputs.snapshots} | {one.rewritten_from for one in then.inputs.snapshots}
    known |= set(then.training_set.view_snapshots)
    found = [one for dataset in sorted(then.definitions.datasets) for one in ports.catalog.erasures(dataset)]
    # Tables of views are deleted with rows that they may hold, whatever snapshots they were computed from.
    later = [one for one in found if one.at >= then.train_run.started_at]
    return [one for one in found if known & one.snapshots.keys()] or later


def _files(then: _Then, now: _Now | None) -> dict[str, tuple[str, str | None]]:
    made = then.training_set
    again = now.training_set if now else None
    files = {"model.onnx": now.report.onnx_sha256, FLAT_FILE: now.report.flat_sha256} if now else {}
    return {
        "train": (made.sha256[made.train_key], again.sha256[again.train_key] if again else None),
        "holdout": (made.sha256[made.holdout_key], again.sha256[again.holdout_key] if again else None),
        **{name: (sha256, files.get(name)) for name, sha256 in then.manifest.files.items()},
    }


def _results(then: _Then, now: _Now, files: dict[str, tuple[str, str | None]]) -> list[Finding]:
    findings = []
    if any(files[part][0] != files[part][1] for part in ("train", "holdout")):
        before, after = then.training_set, now.training_set
        sentence = (
            f"the training set is another one: {after.rows_train:,} and {after.rows_holdout:,} rows, "
            f"{before.rows_train:,} and {before.rows_holdout:,} then"
        )
        findings.append(Finding(what="training_set", sentence=sentence))
    if files["model.onnx"][0] != files["model.onnx"][1]:
        sentence = (
            f"the ONNX file is another one: predictions on the held-out rows differ by {now.max_difference:g} at most"
        )
        findings.append(Finding(what="onnx", sentence=sentence))
    elif FLAT_FILE in files and files[FLAT_FILE][0] != files[FLAT_FILE][1]:
        findings.append(
            Finding(what="flat", sentence="the flat file is another one, although the ONNX file is the same")
        )
    return findings


def _largest_difference(before: bytes, after: bytes, holdout: Path, made: TrainingSet) -> float:
    rows = read_rows(holdout, made.features, made.categories, made.classes)
    return float(np.max(np.abs(score(before, rows.features) - score(after, rows.features))))


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


_CANDIDATE = ("candidate.json", "model.onnx")
