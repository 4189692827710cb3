"""Turn one upload into a snapshot: typed rows, a quarantine of bad ones, a report."""

from __future__ import annotations

import hashlib
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

from perennial import keys
from perennial.data.contract import Validated, validate_csv
from perennial.data.engine import DEFAULTS, Resources, sha256_of
from perennial.definitions import Dataset
from perennial.errors import DataError
from perennial.ports import Ports
from perennial.records import Run, Snapshot, Trigger
from perennial.steps.recording import recorded


class Request(BaseModel):
    """Which object was uploaded."""

    run_id: str
    bucket: str
    key: str
    """``<dataset>/<file>``."""
    version_id: str | None = None
    size: int | None = None
    """Bytes, for the record."""


class Ingested(BaseModel):
    """What came of the upload."""

    run_id: str
    dataset: str
    snapshot_id: str
    rows: int
    rejected: int
    published: bool
    """Whether this run changed the dataset; False for an upload that is there already."""


def run(request: Request, ports: Ports, *, resources: Resources = DEFAULTS) -> Ingested:
    """Validate an upload and publish its snapshot; the same upload again gives the same snapshot.

    Raises
    ------
    DataError
        The file as a whole breaks its contract, or none of its rows keeps it.
    NotFoundError
        There is no such object, or no dataset of the key's first part.
    """
    name = request.key.partition("/")[0]
    source = f"s3://{request.bucket}/{request.key}"
    dataset = ports.definitions.datasets.get(name)
    ports.catalog.start_run(
        Run(
            run_id=request.run_id,
            kind="ingest",
            subject=name,
            status="running",
            trigger=Trigger(kind="upload", source=source),
            started_at=ports.clock.now(),
            definition_hash=dataset.fingerprint if dataset else "",
            code_version=ports.code_version,
            inputs={"source": source, "version": request.version_id, "size": request.size},
        )
    )
    with recorded(ports, request.run_id, "ingest") as output:
        if request.bucket != ports.raw.bucket:
            raise DataError(f"{source}: uploads are read from bucket {ports.raw.bucket} only; upload the file there")
        dataset = ports.definitions.dataset(name)
        with tempfile.TemporaryDirectory() as folder:
            ingested = _ingest(request, dataset, source, ports, Path(folder), resources)
        output.update(ingested.model_dump(mode="json"))
    return ingested


def _ingest(
    request: Request, dataset: Dataset, source: str, ports: Ports, folder: Path, resources: Resources
) -> Ingested:
    upload = folder / "upload"
    ports.raw.download(request.key, upload, request.version_id)
    sha256 = sha256_of(upload)
    snapshot_id = hashlib.sha256((sha256 + dataset.fingerprint).encode()).hexdigest()[:32]
    live, _ = ports.catalog.snapshots(dataset.name)
    known = next((snapshot for snapshot in live if snapshot.snapshot_id == snapshot_id), None)
    # The same bytes under the same contract were published before: what stands there is not written again.
    snapshot = known or _validate(request, dataset, source, ports, folder, resources, snapshot_id, sha256)
    origin = {"source": source, "source_version": request.version_id, "run_id": request.run_id}
    published, new = ports.catalog.publish_snapshot(snapshot.model_copy(update=origin))
    return Ingested(
        run_id=request.run_id,
        dataset=dataset.name,
        snapshot_id=snapshot_id,
        rows=published.rows,
        rejected=published.rejected,
        # A run that was killed after it had published is told "not new" when it is repeated.
        published=new or published.run_id == request.run_id,
    )


def _validate(
    request: Request,
    dataset: Dataset,
    source: str,
    ports: Ports,
    folder: Path,
    resources: Resources,
    snapshot_id: str,
    sha256: str,
) -> Snapshot:
    """Write a new snapshot's files and return its record, which nobody sees yet."""
    good, quarantine = folder / "good.parquet", folder / "quarantine.jsonl"
    found = validate_csv(folder / "upload", dataset, good, quarantine, name=request.key, resources=resources)
    quarantine_key = keys.quarantine(dataset.name, snapshot_id) if found.rows_rejected else None
    if quarantine_key:
        ports.artifacts.upload(quarantine, quarantine_key)
    report = _report(dataset, source, snapshot_id, sha256, found)
    ports.artifacts.put(keys.ingest_report(dataset.name, snapshot_id), report, "application/json")
    if found.rows_good == 0:
        with quarantine.open(encoding="utf-8") as lines:
            first = json.loads(lines.readline())
        raise DataError(
            f"{request.key}: none of its {found.rows_in} rows keeps the contract, the first because "
            f"{first['reason']}; see s3://{ports.artifacts.bucket}/{quarantine_key}"
        )
    key = keys.snapshot(dataset.name, snapshot_id)
    ports.artifacts.upload(good, key)
    return Snapshot(
        snapshot_id=snapshot_id,
        dataset=dataset.name,
        source=source,
        source_version=request.version_id,
        source_sha256=sha256,
        contract=dataset.fingerprint,
        key=key,
        sha256=sha256_of(good),
        rows=found.rows_good,
        rejected=found.rows_rejected,
        quarantine_key=quarantine_key,
        min_event_time=_in_utc(found.min_event_time),
        max_event_time=_in_utc(found.max_event_time),
        run_id=request.run_id,
        created_at=ports.clock.now(),
    )


def _report(dataset: Dataset, source: str, snapshot_id: str, sha256: str, found: Validated) -> bytes:
    """Return the report: the same for every run that ingests the same file."""
    first, last = _in_utc(found.min_event_time), _in_utc(found.max_event_time)
    report = {
        "dataset": dataset.name,
        "snapshot_id": snapshot_id,
        "source": source,
        "source_sha256": sha256,
        "contract": dataset.fingerprint,
        "rows_in": found.rows_in,
        "rows": found.rows_good,
        "rejected": found.rows_rejected,
        "rejected_by": dict(found.rejected_by),
        "min_event_time": first and first.isoformat(),
        "max_event_time": last and last.isoformat(),
    }
    return json.dumps(report, indent=2).encode()


def _in_utc(moment: datetime | None) -> datetime | None:
    """Return an event time with the zone that datasets are in."""
    return None if moment is None else moment.replace(tzinfo=UTC)
