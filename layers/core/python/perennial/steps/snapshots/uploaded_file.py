"""Making a snapshot, a quarantine and a report of one uploaded file."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from perennial import keys
from perennial.data.contract.quarantine import clean_quarantine
from perennial.data.contract.validate import PartFile, Validated, validate
from perennial.data.engine import DEFAULTS, Resources, connect, sha256_of
from perennial.data.live_rows.erasure import check_recognisable, forgotten
from perennial.data.live_rows.rewrite import months_left, rewrite_part
from perennial.data.live_rows.supersession import key_ranges
from perennial.data.profiling.ingest_report import EXAMPLES, UploadFacts, make_report, render
from perennial.data.profiling.profile import Profile, profile
from perennial.definitions import Dataset
from perennial.errors import DataError, NotFoundError
from perennial.live_uploads import LiveUpload
from perennial.ports import ObjectStore, Ports
from perennial.records import Erasure, Snapshot, SnapshotManifest
from perennial.sql import sql_type
from perennial.steps.snapshots.snapshot_files import several
from perennial.steps.snapshots.snapshot_writer import Origin, plain_id, purge, write_snapshot


@dataclass(frozen=True)
class UploadedFile:
    """One upload, downloaded."""

    dataset: Dataset
    bucket: str
    key: str
    version: str | None
    uploaded_at: datetime
    path: Path
    """The file; its folder is for whatever is made of it."""
    sha256: str
    run_id: str
    began: datetime
    """When the run began."""

    @property
    def source(self) -> str:
        """The object's URI."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def snapshot_id(self) -> str:
        """The id of the snapshot of all its good rows."""
        return plain_id(self.sha256, self.dataset.fingerprint)


@dataclass(frozen=True)
class Made:
    """What was made of a file; its snapshot is not published yet."""

    snapshot: Snapshot
    manifest: SnapshotManifest
    validated: Validated
    """Without the rows that were forgotten."""
    profile: Profile | None
    examples: Sequence[Mapping[str, Any]]
    forgotten: int
    """Good rows that were left out."""
    erasures: Sequence[Erasure] = field(default_factory=tuple)
    """Those that were known."""


def download(
    ports: Ports, dataset: Dataset, key: str, version: str | None, folder: Path, run_id: str, began: datetime
) -> UploadedFile:
    """Fetch an uploaded object, by default in its latest version, or raise NotFoundError."""
    versions = ports.raw.versions(key)
    version = version or next(iter(versions), None)
    if version == "null":  # the bucket keeps no versions
        version = None
    path = folder / "upload"
    ports.raw.download(key, path, version)
    uploaded_at = _uploaded_at(ports.raw, key, version, versions)
    return UploadedFile(dataset, ports.raw.bucket, key, version, uploaded_at, path, sha256_of(path), run_id, began)


def _uploaded_at(store: ObjectStore, key: str, version: str | None, versions: Sequence[str]) -> datetime:
    """Return when an object was written; each version of the same second a microsecond after the one before it."""
    at = store.written_at(key, version)
    older = itertools.dropwhile(lambda other: other != version, versions)
    ties = itertools.takewhile(lambda other: store.written_at(key, other) == at, itertools.islice(older, 1, None))
    return at + timedelta(microseconds=sum(1 for _ in ties))


def make(file: UploadedFile, erasures: Sequence[Erasure], ports: Ports, resources: Resources = DEFAULTS) -> Made:
    """Validate a file, leave out what was forgotten, write parts, manifest and quarantine.

    Raises
    ------
    DataError
        The file as a whole breaks its contract. Its quarantine and its report are written all the same.
    """
    check_recognisable(erasures, file.dataset)
    folder = file.path.parent
    quarantine, parts = folder / "quarantine.jsonl", folder / "parts"
    parts.mkdir(exist_ok=True)
    found = validate(
        file.path,
        file.dataset,
        parts,
        quarantine,
        name=file.key,
        uploaded_at=file.uploaded_at,
        resources=resources,
    )
    quarantine_key, examples = _keep_quarantine(file, found, quarantine, erasures, ports)
    if found.refusal is not None:
        write_report(ports, file.dataset.name, report_of(file, found, None, examples, ports, ()))
        where = f"; see s3://{ports.artifacts.bucket}/{quarantine_key}" if quarantine_key else ""
        raise DataError(_refusal(file, found, examples) + where)
    left, gone = _leave_out(file, found, erasures, ports, resources)
    files = [part.path for part in left.parts]
    draft = SnapshotManifest(
        snapshot_id=file.snapshot_id,
        dataset=file.dataset.name,
        source=file.source,
        source_version=file.version,
        source_sha256=file.sha256,
        contract=file.dataset.fingerprint,
        columns={name: sql_type(column) for name, column in file.dataset.columns.items()},
        added_columns=left.added_columns,
        absent_columns=left.absent_columns,
        rows=left.rows_good,
        rejected=left.rows_rejected,
        months=dict(left.months),
        key_ranges=key_ranges(files, file.dataset, resources=resources),
        parts=(),
    )
    origin = Origin(
        run_id=file.run_id,
        began=file.began,
        uploaded_at=file.uploaded_at,
        quarantine_key=quarantine_key,
        rewritten_from=file.snapshot_id if gone else None,
    )
    snapshot, manifest = write_snapshot(ports, draft, left.parts, origin, "forgotten" if gone else "")
    shape = profile(files, file.dataset, resources=resources) if files else None
    return Made(snapshot, manifest, left, shape, examples, gone, erasures)


def _keep_quarantine(
    file: UploadedFile, found: Validated, quarantine: Path, erasures: Sequence[Erasure], ports: Ports
) -> tuple[str | None, list[dict[str, Any]]]:
    """Upload the quarantine, without what was forgotten; return its key, None if it is empty, and its first rows."""
    if erasures and found.rows_rejected:
        cleaned = quarantine.with_suffix(".cleaned")
        clean_quarantine(quarantine, cleaned, file.dataset, erasures)
        quarantine = cleaned
    if not found.rows_rejected or not quarantine.stat().st_size:
        return None, []
    key = keys.quarantine(file.dataset.name, file.snapshot_id)
    ports.artifacts.upload(quarantine, key)
    if erasures:
        purge(ports.artifacts, key, older=True)
    with quarantine.open(encoding="utf-8") as lines:
        return key, [json.loads(line) for line in itertools.islice(lines, EXAMPLES)]


def _leave_out(
    file: UploadedFile, found: Validated, erasures: Sequence[Erasure], ports: Ports, resources: Resources
) -> tuple[Validated, int]:
    """Return what was found without the rows that were forgotten, and how many these are."""
    condition = forgotten(erasures, {name: sql_type(column) for name, column in file.dataset.columns.items()})
    if condition is None or not found.parts:
        return found, 0
    left: list[PartFile] = []
    rewritten = []
    with connect(found.parts[0].path.parent, resources) as connection:
        for part in found.parts:
            target = part.path.with_suffix(".left.parquet")
            new = rewrite_part(connection, part.path, condition, file.dataset.event_time, target)
            if new is None:
                left.append(part)
                continue
            rewritten.append(new)
            left += [new.part] if new.part else []
            purge(ports.artifacts, keys.snapshot_part(file.dataset.name, file.snapshot_id, sha256_of(part.path)))
    if not rewritten:
        return found, 0
    _purge_unclean(file, ports)
    gone = sum(new.taken for new in rewritten)
    named = {name for erasure in erasures for name in erasure.columns}
    after = replace(
        found,
        rows_in=found.rows_in - gone,
        rows_good=found.rows_good - gone,
        parts=tuple(left),
        months=months_left(found.months, rewritten),
        min_event_time=min((part.min_event_time for part in left), default=None),
        max_event_time=max((part.max_event_time for part in left), default=None),
        new_categories={name: values for name, values in found.new_categories.items() if name not in named},
    )
    return after, gone


def _purge_unclean(file: UploadedFile, ports: Ports) -> None:
    """Delete what a run may have left that did not know of an erasure: it was refused to publish it, or was killed."""
    name, store = file.dataset.name, ports.artifacts
    manifests = [key for key in store.keys(keys.snapshot_files(name, file.snapshot_id)) if key.endswith(".json")]
    for key in (*manifests, *(keys.ingest_report(name, file.snapshot_id, kind) for kind in ("html", "json"))):
        purge(store, key)


def report_of(
    file: UploadedFile,
    found: Validated,
    made: Made | None,
    examples: Sequence[Mapping[str, Any]],
    ports: Ports,
    uploads: Sequence[LiveUpload],
    superseded: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Return a file's report, which compares it with the live upload that came last before it."""
    before = [
        upload
        for upload in uploads
        if upload.rank() < (file.uploaded_at, file.source) and upload.original.source_sha256 != file.sha256
    ]
    previous = max(before, key=LiveUpload.rank).original.snapshot_id if before else None
    facts = UploadFacts(
        dataset=file.dataset.name,
        snapshot_id=made.snapshot.snapshot_id if made else file.snapshot_id,
        source=file.source,
        source_version=file.version,
        source_sha256=file.sha256,
        contract=file.dataset.fingerprint,
        uploaded_at=file.uploaded_at,
        previous_snapshot_id=previous,
    )
    return make_report(
        upload=facts,
        validated=found,
        profile=made.profile if made else None,
        examples=examples,
        previous=read_report(ports, file.dataset.name, previous) if previous else None,
        forgotten=made.forgotten if made else 0,
        superseded=superseded,
    )


def read_report(ports: Ports, dataset: str, snapshot_id: str) -> dict[str, Any] | None:
    """Return the report of a snapshot, or None if there is none any more."""
    try:
        content = ports.artifacts.get(keys.ingest_report(dataset, snapshot_id))
    except NotFoundError:
        return None
    report: dict[str, Any] = json.loads(content)
    return report


def write_report(ports: Ports, dataset: str, report: Mapping[str, Any]) -> None:
    """Write a report as JSON and as a page."""
    pages = {"json": json.dumps(report, indent=2, ensure_ascii=False), "html": render(report)}
    types = {"json": "application/json", "html": "text/html; charset=utf-8"}
    several(
        lambda kind: ports.artifacts.put(
            keys.ingest_report(dataset, str(report["snapshot_id"]), kind), pages[kind].encode(), types[kind]
        ),
        ("html", "json"),
    )


def _refusal(file: UploadedFile, found: Validated, examples: Sequence[Mapping[str, Any]]) -> str:
    if found.rows_good == 0 and examples:
        reason = examples[0]["reason"]
        return f"{file.key}: none of its {found.rows_in} rows keeps the contract, the first because {reason}"
    return str(found.refusal)
