"""Sending files to be predicted, waiting for it, and saving what came of it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from infra.deployment import Deployment
from infra.operations import follow_started, start_machine
from infra.runs import find_run
from infra.waiting import OnStep
from perennial import keys
from perennial.data.bulk.saving import Format, save_as
from perennial.errors import DataError, NotFoundError
from perennial.ports import Ports
from perennial.records import BulkFileResult, BulkResult, Run
from perennial.steps.batch_predict import Asked, AskedFile
from perennial.steps.verified import download_verified

_FORMATS: dict[str, Format] = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl"}
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Target:
    """Where predictions are saved."""

    path: Path
    format: Format | None
    """None: a folder, which gets the parts as they are, the rejected rows and ``result.json``."""

    @classmethod
    def of(cls, path: Path) -> Target:
        """Tell by a path's ending what is meant, before anything is done.

        Raises
        ------
        DataError
            Nothing can be saved there.
        """
        form = _FORMATS.get(path.suffix.lower())
        if form is None and path.suffix and not path.is_dir():
            raise DataError(
                f"{path}: predictions are saved as {', '.join(_FORMATS)}, or in a folder; name one of these"
            )
        if form is not None and not path.parent.is_dir():
            raise DataError(f"{path}: there is no folder {path.parent}; make it first")
        return cls(path, form)


def ask(
    deployment: Deployment,
    model: str,
    files: Sequence[str],
    version: str | None,
    resume: str | None,
    reason: str,
) -> str:
    """Copy files into the deployment, unless they are there, and start to predict them; return the run's id.

    Raises
    ------
    DataError
        No file, or a wrong one, was named; nothing was started.
    NotFoundError
        There is no such model or run.
    """
    if not deployment.ports.catalog.versions(model):
        raise NotFoundError(f"model {model!r} has no version yet; see `perennial models` and `perennial runs`")
    if resume is not None:
        if files or version:
            raise DataError("--resume goes on with the files and the version of that run; leave others out")
        asked = Asked(bulk_id=_bulk_id(deployment.ports, model, resume))
    else:
        if not files:
            raise DataError(f"name the files to predict, such as `perennial batch-predict {model} june.csv`")
        which = int(version) if version and version.isdecimal() else version
        asked = Asked(files=_named(deployment, model, files), version=which)
    run_id = str(uuid.uuid4())
    key = keys.bulk_request(run_id)
    deployment.ports.artifacts.put(key, asked.model_dump_json().encode(), "application/json")
    about = {"model": model, "request_key": key, "upload": {}}
    return start_machine(deployment, "batch_predict", about, reason, run_id)["run_id"]


def follow(deployment: Deployment, run_id: str, seconds: float, on_step: OnStep) -> Run:
    """Wait until the run is closed; ``on_step`` hears of every step."""
    return follow_started(deployment, run_id, seconds, on_step)


def result_of(ports: Ports, run: Run) -> BulkResult:
    """Return what a run that succeeded came to."""
    return BulkResult.model_validate_json(ports.artifacts.get(str(run.outputs["result_key"])))


def describe(result: BulkResult) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the columns and the rows of a table of the files."""
    rows = [(file.name, file.rows, file.rejected, _why(file)) for file in result.files]
    return ["file", "predicted", "rejected", "what most of these break"], rows


def save(ports: Ports, result: BulkResult, target: Target) -> list[Path]:
    """Download predictions into a file, in the order of the rows, or all there is into a folder; return what was saved.

    Raises
    ------
    DataError
        An object is not the one that was recorded, or nothing can be written there.
    """
    try:
        if target.format is None:
            return _save_all(ports, result, target.path)
        folder = target.path.parent / f".{target.path.name}.{uuid.uuid4().hex[:8]}"
        folder.mkdir()
        try:
            parts = [path for file in result.files for path in _fetch(ports, result, file.parts, folder)]
            save_as(parts, target.format, target.path, folder)
        finally:
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
    except OSError as error:
        raise DataError(f"{target.path}: cannot be written: {error.strerror}") from None
    return [target.path]


def _save_all(ports: Ports, result: BulkResult, folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    saved = []
    kinds: tuple[Literal["parts", "rejects"], ...] = ("parts", "rejects")
    for number, file in enumerate(result.files):
        for kind in kinds:
            for place, key in enumerate(getattr(file, kind)):
                path = folder / f"{number:05d}-{place:06d}-{kind}{Path(key).suffix}"
                saved.append(download_verified(ports.artifacts, key, result.sha256[key], path))
    path = folder / "result.json"
    path.write_bytes(ports.artifacts.get(keys.bulk_result(result.model, result.bulk_id)))
    return [*saved, path]


def _fetch(ports: Ports, result: BulkResult, parts: Sequence[str], folder: Path) -> list[Path]:
    return [
        download_verified(ports.artifacts, key, result.sha256[key], folder / key.rpartition("/")[2]) for key in parts
    ]


def _why(file: BulkFileResult) -> str | None:
    return max(file.rejected_by, key=file.rejected_by.__getitem__) if file.rejected_by else None


def _bulk_id(ports: Ports, model: str, run_id: str) -> str:
    run = find_run(ports.catalog, run_id)
    if (run.kind, run.subject) != ("batch_predict", model):
        raise DataError(f"run {run.run_id} is a {run.kind} of {run.subject}, no batch_predict of {model}")
    outputs = [step.output for step in ports.catalog.steps(run.run_id) if step.step == "batch_predict"]
    if not outputs or "bulk_id" not in outputs[0]:
        raise DataError(f"run {run.run_id} ended before it was known what to predict; name the files again")
    return str(outputs[0]["bulk_id"])


def _named(deployment: Deployment, model: str, files: Sequence[str]) -> list[AskedFile]:
    """Return the files with where they are; local ones are copied once all names are known to be right."""
    names: dict[str, str] = {}
    for file in files:
        name = file.rpartition("/")[2]
        if not file.startswith("s3://"):
            path = Path(file)
            if path.is_dir():
                raise DataError(f"{path} is a folder; name its files, such as {path / '*'}")
            if not path.is_file():
                raise DataError(f"{path}: no such file")
            name = path.name
        if names.get(name, file) != file:
            raise DataError(f"{file}: {names[name]} has the same name, by which predictions are told; rename it")
        names[name] = file
    return [_remote(deployment, name, file) or _copied(deployment, model, name, file) for name, file in names.items()]


def _remote(deployment: Deployment, name: str, address: str) -> AskedFile | None:
    if not address.startswith("s3://"):
        return None
    bucket, _, key = address.removeprefix("s3://").partition("/")
    if bucket != deployment.outputs["RawBucket"] or not key.startswith(f"{keys.PREDICT}/"):
        where = f"s3://{deployment.outputs['RawBucket']}/{keys.PREDICT}/"
        raise DataError(f"{address}: objects are read below {where} alone; copy it there, or name a local file")
    return AskedFile(name=name, bucket=bucket, key=key)


def _copied(deployment: Deployment, model: str, name: str, file: str) -> AskedFile:
    path = Path(file)
    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    store = deployment.ports.artifacts
    key = keys.bulk_input(model, sha256, name)
    if not store.exists(key):
        store.upload(path, key)
    return AskedFile(name=name, bucket=store.bucket, key=key)
