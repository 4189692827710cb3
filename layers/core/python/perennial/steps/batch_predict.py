"""Begin to predict the rows of whole files: by which version, from which tables, in how many jobs."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from perennial import keys
from perennial.errors import DataError
from perennial.ports import Ports
from perennial.records import BulkFile, BulkPlan, Moment, Run, Trigger
from perennial.steps.bulk.plans import make_plan, read_plan, registered, store_of
from perennial.steps.recording import recorded


class Upload(BaseModel):
    """An object of the raw bucket that started the run by itself."""

    key: str
    """``predict/<model>/<file>``."""
    version_id: str | None = None


class Request(BaseModel):
    """Which model, and which files."""

    run_id: str
    model: str = ""
    """Empty: the upload's key tells."""
    request_key: str = ""
    """JSON of an `Asked` in the artifacts bucket; empty: the upload alone is predicted, by the champion."""
    upload: dict[str, Any] = Field(default_factory=dict)
    """An `Upload`, or nothing."""
    trigger: Trigger
    bytes_per_job: int = Field(ge=1)
    """How much one job should have to read."""
    most_jobs: int = Field(ge=1)
    """How many jobs may work side by side."""


class AskedFile(BaseModel):
    """One of the files that a person named."""

    name: str
    bucket: str
    key: str


class Asked(BaseModel):
    """What a person asked for."""

    files: list[AskedFile] = Field(default_factory=list)
    version: int | str | None = None
    """A version's number or an alias; None means the champion."""
    bulk_id: str | None = None
    """The bulk prediction to go on with; then the rest says nothing."""


class Planned(BaseModel):
    """What there is to do."""

    run_id: str
    model: str
    version: int
    bulk_id: str
    size: int
    """Bytes of all files."""
    jobs: int


def run(request: Request, ports: Ports) -> Planned:
    """Record the run and write its plan; the same files, version and tables make the same plan, and share its work.

    Raises
    ------
    NotFoundError
        There is no such model, version, alias, champion or file.
    DataError
        Nothing was asked for, or a file is in a bucket of others.
    """
    upload = Upload.model_validate(request.upload) if request.upload else None
    model = request.model or _model_of(upload)
    began = ports.catalog.start_run(
        Run(
            run_id=request.run_id,
            kind="batch_predict",
            subject=model,
            status="running",
            trigger=request.trigger,
            started_at=ports.clock.now(),
            code_version=ports.code_version,
            inputs={"source": f"s3://{ports.raw.bucket}/{upload.key}"} if upload else {},
        )
    ).started_at
    with recorded(ports, request.run_id, "batch_predict") as output:
        plan = _plan(request, ports, model, upload, began)
        size = sum(file.size for file in plan.files)
        planned = Planned(
            run_id=request.run_id,
            model=model,
            version=plan.version,
            bulk_id=plan.bulk_id,
            size=size,
            jobs=max(1, min(request.most_jobs, math.ceil(size / request.bytes_per_job))),
        )
        output.update(planned.model_dump(mode="json"))
        output["files"] = len(plan.files)
    return planned


def _model_of(upload: Upload | None) -> str:
    parts = upload.key.split("/") if upload else []
    if len(parts) < 3 or parts[0] != keys.PREDICT or not all(parts):
        named = upload.key if upload else "a request without model and upload"
        raise DataError(f"{named}: does not say which model; upload to {keys.PREDICT}/<model>/<file>")
    return parts[1]


def _plan(request: Request, ports: Ports, model: str, upload: Upload | None, began: Moment) -> BulkPlan:
    asked = _asked(request, ports, upload)
    if asked.bulk_id is not None:
        return read_plan(ports, model, asked.bulk_id)
    if not asked.files:
        raise DataError(f"model {model}: no file was named; name at least one")
    files = [_file(ports, file, upload.version_id if upload else None) for file in asked.files]
    at: datetime = began.astimezone(UTC)
    plan = make_plan(ports, *registered(ports, model, asked.version), files, at, request.bytes_per_job)
    ports.artifacts.put(keys.bulk_plan(model, plan.bulk_id), plan.content(), "application/json")
    return plan


def _asked(request: Request, ports: Ports, upload: Upload | None) -> Asked:
    if upload is not None:
        name = upload.key.split("/", 2)[2]
        return Asked(files=[AskedFile(name=name, bucket=ports.raw.bucket, key=upload.key)])
    try:
        return Asked.model_validate(json.loads(ports.artifacts.get(request.request_key)))
    except (ValidationError, json.JSONDecodeError) as error:
        raise DataError(f"{request.request_key}: is no request for predictions ({error}); ask again") from None


def _file(ports: Ports, asked: AskedFile, version_id: str | None) -> BulkFile:
    """Pin the version of an object, so that all read the same bytes."""
    store = store_of(ports, asked.bucket)
    version = version_id
    if version is None and store is ports.raw:  # what a person's files are copied to bears their content in its key
        version = next(iter(store.versions(asked.key)), None)
    if version == "null":  # the bucket keeps no versions
        version = None
    size = store.size(asked.key, version)
    return BulkFile(name=asked.name, bucket=asked.bucket, key=asked.key, version_id=version, size=size)
