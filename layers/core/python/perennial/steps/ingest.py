"""Turn one upload into a snapshot: typed rows, a quarantine of bad ones, a report."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from perennial.data.engine import DEFAULTS, Resources
from perennial.definitions import Dataset
from perennial.errors import ConflictError, DataError, NotFoundError, TransientError
from perennial.live_uploads import LiveUpload
from perennial.ports import Metric, Ports
from perennial.records import Snapshot, Trigger
from perennial.steps.backfill import recorded_part
from perennial.steps.recording import begun, recorded
from perennial.steps.sizes import bytes_behind_views
from perennial.steps.snapshots.snapshot_files import read_manifest, read_manifests
from perennial.steps.snapshots.snapshot_writer import Origin
from perennial.steps.snapshots.superseding import Contender, StandIns
from perennial.steps.snapshots.uploaded_file import Made, UploadedFile, download, make, report_of, write_report


class Request(BaseModel):
    """Which object was uploaded."""

    run_id: str
    bucket: str
    key: str
    """``<dataset>/<file>``."""
    version_id: str | None = None
    """None means the latest."""
    size: int | None = None
    """Bytes, for the record."""
    part_of: str | None = None
    """The backfill that this is part of."""


class Ingested(BaseModel):
    """What came of the upload."""

    run_id: str
    dataset: str
    snapshot_id: str
    rows: int
    rejected: int
    published: bool
    """Whether this run changed the dataset; False for an upload that is there already, or is no longer the latest."""
    dataset_bytes: int
    """Of the snapshots that its views read, by which the state machine chooses where they are computed."""


def run(request: Request, ports: Ports, *, resources: Resources = DEFAULTS) -> Ingested:
    """Validate an upload and publish its snapshot; the same upload again gives the same snapshot.

    Raises
    ------
    DataError
        The file as a whole breaks its contract.
    NotFoundError
        There is no such object, or no dataset of the key's first part.
    TransientError
        Other uploads of the dataset were published at every moment.
    """
    name = request.key.partition("/")[0]
    source = f"s3://{request.bucket}/{request.key}"
    trigger = Trigger(kind="run", source=request.part_of) if request.part_of else Trigger(kind="upload", source=source)
    inputs = {"source": source, "version": request.version_id, "size": request.size}
    began = begun(ports, "ingest", request.run_id, name, trigger, inputs).started_at
    with ExitStack() as stack:
        part = (
            stack.enter_context(recorded_part(ports, request.part_of, request.run_id, request.key))
            if request.part_of
            else {}
        )
        output = stack.enter_context(recorded(ports, request.run_id, "ingest"))
        if request.bucket != ports.raw.bucket:
            raise DataError(f"{source}: uploads are read from bucket {ports.raw.bucket} only; upload the file there")
        dataset = ports.definitions.dataset(name)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        file = download(ports, dataset, request.key, request.version_id, folder, request.run_id, began)
        output["snapshot_id"] = file.snapshot_id  # also of a file that is refused: its quarantine is found by it
        original, published = _Publication(file, ports, resources).publish()
        ingested = Ingested(
            run_id=request.run_id,
            dataset=name,
            snapshot_id=original.snapshot_id,
            rows=original.rows,
            rejected=original.rejected,
            published=published,
            dataset_bytes=bytes_behind_views(ports, name),
        )
        _publish(ports, dataset, ingested)
        output.update(ingested.model_dump(mode="json"))
        part.update(ingested.model_dump(mode="json"))
    return ingested


def _publish(ports: Ports, dataset: Dataset, ingested: Ingested) -> None:
    """Publish that an upload came, and its quarantined share as a multiple of what is expected at most."""
    if not ingested.published:
        return
    about, expected = {"Deployment": ports.deployment, "Dataset": dataset.name}, dataset.expected.quarantined
    metrics = [Metric("Uploads", 1.0, about)]
    if expected is not None and (rows := ingested.rows + ingested.rejected):
        metrics.append(Metric("Quarantined", ingested.rejected / rows / expected, about))
    ports.metrics.put(metrics, ports.clock.now())


@dataclass
class _Publication:
    """Publishes one file, however many others are published meanwhile."""

    file: UploadedFile
    ports: Ports
    resources: Resources
    made: Made | None = None

    def publish(self) -> tuple[Snapshot, bool]:
        """Return the file's original, and whether this run changed the dataset."""
        name, catalog = self.file.dataset.name, self.ports.catalog
        for _ in attempts(name):
            uploads, revision = catalog.uploads(name)
            original = self._there(uploads)
            erasures = catalog.erasures(name)
            if original is None and (self.made is None or self.made.erasures != erasures):
                self.made = make(self.file, erasures, self.ports, self.resources)
                continue  # it took its time: look again at what is live
            origin = {
                "source": self.file.source,
                "source_version": self.file.version,
                "uploaded_at": self.file.uploaded_at,
                "run_id": self.file.run_id,
                "created_at": self.file.began,
            }
            if original is None:
                assert self.made is not None
                snapshot = self.made.snapshot
            else:
                snapshot = original.model_copy(update=origin)
            try:
                read = self._read(snapshot, uploads) if self.file.dataset.key else {}
            except NotFoundError:  # rows were forgotten meanwhile, and the snapshots that held them deleted
                if catalog.uploads(name)[1] == revision:
                    raise
                continue
            if original is None:
                self._report(uploads, read)
            try:
                published, new = catalog.publish_snapshot(snapshot, read, revision)
            except ConflictError:
                continue
            # A run that was killed after it had published is told "not new" when it is repeated.
            mine = published.run_id == self.file.run_id and published.snapshot_id == snapshot.snapshot_id
            return snapshot, new or mine
        raise AssertionError("attempts() ends by raising")

    def _there(self, uploads: Sequence[LiveUpload]) -> Snapshot | None:
        """Return the original of the same bytes under the same contract, if it is live: it is not made again."""
        content = (self.file.sha256, self.file.dataset.fingerprint)
        same = (upload.original for upload in uploads)
        return next((one for one in same if (one.source_sha256, one.contract) == content), None)

    def _read(self, snapshot: Snapshot, uploads: Sequence[LiveUpload]) -> dict[str, Snapshot]:
        """Return what is read of each upload that shares keys with this one, once this one is live."""
        file, ports = self.file, self.ports
        ranked = {upload.original.snapshot_id: (upload.rank(), upload.original) for upload in uploads}
        replaced = []
        for upload in uploads:
            there = upload.sources.get(file.source)
            if there is None or upload.original.snapshot_id == snapshot.snapshot_id:
                continue
            if there.uploaded_at is not None and there.uploaded_at > file.uploaded_at:
                return {}  # this upload is no longer the latest of its source
            replaced.append(upload.original)
            if len(upload.sources) == 1:
                del ranked[upload.original.snapshot_id]
            else:
                ranked[upload.original.snapshot_id] = (upload.rank(without=file.source), upload.original)
        own = (file.uploaded_at, file.source)
        known = ranked.get(snapshot.snapshot_id)
        ranked[snapshot.snapshot_id] = (max(known[0], own) if known else own, snapshot)
        ordered = [original for _, original in sorted(ranked.values(), key=lambda one: one[0])]
        manifests = read_manifests(ports, ordered)
        around = [read_manifest(ports, snapshot), *read_manifests(ports, replaced)]
        stand_ins = StandIns(ports, file.dataset, file.path.parent, Origin(file.run_id, file.began), self.resources)
        return stand_ins.make([Contender(*pair) for pair in zip(ordered, manifests, strict=True)], around)

    def _report(self, uploads: Sequence[LiveUpload], read: Mapping[str, Snapshot]) -> None:
        assert self.made is not None
        superseded = {}
        for upload in uploads:
            after = read.get(upload.original.snapshot_id, upload.snapshot)
            if after.rows < upload.snapshot.rows:
                superseded[upload.original.snapshot_id] = upload.snapshot.rows - after.rows
        made = self.made
        report = report_of(self.file, made.validated, made, made.examples, self.ports, uploads, superseded)
        write_report(self.ports, self.file.dataset.name, report)


def attempts(dataset: str, most: int = 60) -> Iterator[int]:
    """Yield attempt numbers with jittered pauses between them, of at most a second, then raise TransientError."""
    for attempt in range(most):
        if attempt > 1:
            time.sleep(random.uniform(0, min(1.0, 0.01 * 2**attempt)))
        yield attempt
    raise TransientError(f"dataset {dataset}: others kept publishing in {most} attempts; try again later")
