"""Turn one upload into a snapshot: typed rows, a quarantine of bad ones, a report."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass
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
    """Whether this run changed the dataset; False for an upload that is there already, or is no longer the latest."""


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
            path = Path(folder) / "upload"
            ports.raw.download(request.key, path, request.version_id)
            upload = _Upload(request, dataset, source, path, sha256_of(path))
            output["snapshot_id"] = upload.snapshot_id  # also of a file that is refused: its quarantine is found by it
            ingested = _ingest(upload, ports, resources)
        output.update(ingested.model_dump(mode="json"))
    return ingested


@dataclass(frozen=True)
class _Upload:
    """One upload, downloaded."""

    request: Request
    dataset: Dataset
    source: str
    path: Path
    sha256: str

    @property
    def snapshot_id(self) -> str:
        return hashlib.sha256((self.sha256 + self.dataset.fingerprint).encode()).hexdigest()[:32]


def _ingest(upload: _Upload, ports: Ports, resources: Resources) -> Ingested:
    request, dataset, snapshot_id = upload.request, upload.dataset, upload.snapshot_id
    live, _ = ports.catalog.snapshots(dataset.name)
    snapshot = next((snapshot for snapshot in live if snapshot.snapshot_id == snapshot_id), None)
    if snapshot is None:
        snapshot = _make_snapshot(upload, ports, resources)
    # The same bytes under the same contract may have been published before: those files are not written again.
    origin = {
        "source": upload.source,
        "source_version": request.version_id,
        "uploaded_at": ports.raw.written_at(request.key, request.version_id),
        "run_id": request.run_id,
    }
    published, new = ports.catalog.publish_snapshot(snapshot.model_copy(update=origin))
    return Ingested(
        run_id=request.run_id,
        dataset=dataset.name,
        snapshot_id=snapshot_id,
        rows=snapshot.rows,
        rejected=snapshot.rejected,
        # A run that was killed after it had published is told "not new" when it is repeated.
        published=new or published.run_id == request.run_id,
    )


def _make_snapshot(upload: _Upload, ports: Ports, resources: Resources) -> Snapshot:
    """Write a new snapshot's files and return its record, which nobody sees yet."""
    name, snapshot_id, key = upload.dataset.name, upload.snapshot_id, upload.request.key
    good, quarantine = upload.path.with_name("good.parquet"), upload.path.with_name("quarantine.jsonl")
    found = validate_csv(upload.path, upload.dataset, good, quarantine, name=key, resources=resources)
    quarantine_key = keys.quarantine(name, snapshot_id) if found.rows_rejected else None
    if quarantine_key:
        ports.artifacts.upload(quarantine, quarantine_key)
    ports.artifacts.put(keys.ingest_report(name, snapshot_id), _report(upload, found), "application/json")
    if found.rows_good == 0:
        place = f"s3://{ports.artifacts.bucket}/{quarantine_key}"
        raise DataError(
            f"{key}: none of its {found.rows_in} rows keeps the contract, the first because "
            f"{_first_reason(quarantine)}; see {place}"
        )
    ports.artifacts.upload(good, keys.snapshot(name, snapshot_id))
    return Snapshot(
        snapshot_id=snapshot_id,
        dataset=name,
        source=upload.source,
        source_version=upload.request.version_id,
        source_sha256=upload.sha256,
        contract=upload.dataset.fingerprint,
        key=keys.snapshot(name, snapshot_id),
        sha256=sha256_of(good),
        rows=found.rows_good,
        rejected=found.rows_rejected,
        quarantine_key=quarantine_key,
        min_event_time=_in_utc(found.min_event_time),
        max_event_time=_in_utc(found.max_event_time),
        run_id=upload.request.run_id,
        created_at=ports.clock.now(),
    )


def _first_reason(quarantine: Path) -> str:
    with quarantine.open(encoding="utf-8") as lines:
        return str(json.loads(lines.readline())["reason"])


def _report(upload: _Upload, found: Validated) -> bytes:
    """Return the report: the same for every run that ingests the same file."""
    first, last = _in_utc(found.min_event_time), _in_utc(found.max_event_time)
    report = {
        "dataset": upload.dataset.name,
        "snapshot_id": upload.snapshot_id,
        "source": upload.source,
        "source_sha256": upload.sha256,
        "contract": upload.dataset.fingerprint,
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
