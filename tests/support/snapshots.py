"""Snapshots that tests make directly, without ingesting a file."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from perennial import keys
from perennial.data.contract.column_sql import table_columns
from perennial.definitions import Dataset
from perennial.ports import Ports
from perennial.records import Part, Run, Snapshot, SnapshotManifest, Trigger
from perennial.sql import identifier

START = datetime(2019, 1, 1, tzinfo=UTC)


def a_part(ports: Ports, dataset: Dataset, snapshot_id: str, rows: Sequence[Sequence[Any]]) -> Part:
    """Write rows, given in the order of the contract's columns, as one part."""
    with tempfile.TemporaryDirectory() as folder, duckdb.cursor() as connection:
        path = Path(folder) / "part.parquet"
        name = identifier(dataset.name)
        connection.execute(f"CREATE TEMP TABLE {name} ({table_columns(dataset)})")
        marks = ", ".join("?" for _ in dataset.columns)
        connection.executemany(f"INSERT INTO {name} VALUES ({marks})", [list(row) for row in rows])
        connection.execute(f"COPY (FROM {name} ORDER BY rowid) TO '{path}' (FORMAT parquet)")
        content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    times = [row[list(dataset.columns).index(dataset.event_time)] for row in rows]
    part = Part(
        key=keys.snapshot_part(dataset.name, snapshot_id, sha256),
        sha256=sha256,
        rows=len(rows),
        size=len(content),
        min_event_time=min(times),
        max_event_time=max(times),
    )
    ports.artifacts.put(part.key, content)
    return part


def publish(ports: Ports, dataset: Dataset, source: str, rows: Sequence[Sequence[Any]], at: int = 0) -> Snapshot:
    """Publish a snapshot of an upload's rows; ``at`` says in which second it was uploaded."""
    snapshot_id = hashlib.sha256(repr((dataset.name, rows)).encode()).hexdigest()[:32]
    middle = len(rows) // 2
    parts = tuple(a_part(ports, dataset, snapshot_id, some) for some in (rows[:middle], rows[middle:]) if some)
    times = [row[list(dataset.columns).index(dataset.event_time)] for row in rows]
    manifest = SnapshotManifest(
        snapshot_id=snapshot_id,
        dataset=dataset.name,
        source=source,
        source_sha256=snapshot_id,
        contract=dataset.fingerprint,
        columns={},
        rows=len(rows),
        rejected=0,
        months=dict(Counter(f"{time:%Y-%m}" for time in times)),
        parts=parts,
    )
    content = manifest.model_dump_json().encode()
    key = f"snapshots/{dataset.name}/{snapshot_id}/{hashlib.sha256(content).hexdigest()[:8]}.json"
    ports.artifacts.put(key, content)
    snapshot = Snapshot(
        snapshot_id=snapshot_id,
        dataset=dataset.name,
        source=source,
        source_version=f"v{at}",
        uploaded_at=START + timedelta(seconds=at),
        source_sha256=snapshot_id,
        contract=dataset.fingerprint,
        manifest_key=key,
        manifest_sha256=hashlib.sha256(content).hexdigest(),
        rows=len(rows),
        rejected=0,
        size=sum(part.size for part in parts),
        months=tuple(sorted(manifest.months)),
        min_event_time=min(times).replace(tzinfo=UTC),
        max_event_time=max(times).replace(tzinfo=UTC),
        run_id=f"ingest-{at}",
        created_at=START + timedelta(seconds=at),
    )
    ports.catalog.publish_snapshot(snapshot)
    return snapshot


def a_run(ports: Ports, run_id: str, dataset: str) -> None:
    """Start the run that a step belongs to."""
    ports.catalog.start_run(
        Run(
            run_id=run_id,
            kind="ingest",
            subject=dataset,
            status="running",
            trigger=Trigger(kind="upload", source="s3://raw/x"),
            started_at=START,
        )
    )
