"""How long refreshing a stored view takes after one more month, against computing all of it.

    python tests/bench/views.py [ROWS [ENTITIES]]

The view is a daily mean of each entity over 28 days, the months one snapshot each; both go by the deployed step on
stores in memory. A refresh reads the new month and the window before it, so its share falls as the history grows.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from perennial import keys
from perennial.data.engine import sha256_of
from perennial.definitions import Column, Dataset, FeatureView
from perennial.definitions.files import Definitions
from perennial.fakes import fake_ports
from perennial.ports import Ports
from perennial.records import Part, Run, Snapshot, SnapshotManifest, Trigger
from perennial.steps import features

MONTHS = [f"{2018 + (6 + n) // 12}-{(6 + n) % 12 + 1:02}" for n in range(18)]
EVENTS = Dataset(
    name="events",
    event_time="paid_at",
    columns={"paid_at": Column(type="timestamp"), "customer": Column(type="integer"), "amount": Column(type="double")},
)
SPENT = FeatureView(
    name="spent",
    kind="stored",
    dataset="events",
    entity=("customer",),
    feature_time="known_at",
    window="28 days",
    sql="WITH days AS (SELECT customer, date_trunc('day', paid_at) AS day, sum(amount) AS amount, count(*) AS n "
    "FROM events GROUP BY ALL) SELECT customer, day + INTERVAL 1 DAY AS known_at, "
    "sum(amount) OVER recent / sum(n) OVER recent AS mean FROM days WINDOW recent AS "
    "(PARTITION BY customer ORDER BY day RANGE BETWEEN INTERVAL 27 DAYS PRECEDING AND CURRENT ROW)",
)


def main(rows: int, entities: int) -> None:
    """Print seconds and their ratio."""
    ports = fake_ports(Definitions({"events": EVENTS}, {"spent": SPENT}, {}))
    for month in MONTHS[:-1]:
        publish(ports, month, rows // len(MONTHS), entities)
    first = timed(ports, "first")
    publish(ports, MONTHS[-1], rows // len(MONTHS), entities)
    incremental = timed(ports, "refresh")
    full = timed(ports, "rebuild", rebuild=True)
    print(f"{rows:,} rows, {entities:,} entities, {len(MONTHS)} months")
    print(f"first build of {len(MONTHS) - 1} months, tried for leaks, written online: {first:.1f} s")
    print(f"all computed again: {full:.1f} s; refreshed after one more month: {incremental:.1f} s")
    print(f"refresh / rebuild = {incremental / full:.2f}")


def timed(ports: Ports, run_id: str, rebuild: bool = False) -> float:
    """Run the step; return its seconds."""
    trigger = Trigger(kind="upload", source="bench")
    run = Run(
        run_id=run_id,
        kind="ingest",
        subject="events",
        status="running",
        trigger=trigger,
        started_at=ports.clock.now(),
    )
    ports.catalog.start_run(run)
    began = time.perf_counter()
    features.run(features.Request(run_id=run_id, dataset="events", rebuild=rebuild), ports)
    return time.perf_counter() - began


def publish(ports: Ports, month: str, rows: int, entities: int) -> None:
    """Publish a month's rows as a snapshot of one part."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.parquet"
        low, high = duckdb.execute(
            f"COPY (SELECT TIMESTAMP '{month}-01' + to_microseconds(CAST(i / {rows} * 27.9 * 864e8 AS BIGINT)) "
            f"AS paid_at, CAST(hash(i) % {entities} AS BIGINT) AS customer, hash(i + 1) % 9999 / 7 AS amount "
            f"FROM range({rows}) r(i)) "
            f"TO '{path}' (FORMAT parquet); SELECT min(paid_at), max(paid_at) FROM '{path}'"
        ).fetchall()[0]
        sha256 = sha256_of(path)
        part = Part(
            key=keys.snapshot_part("events", month, sha256),
            sha256=sha256,
            rows=rows,
            size=path.stat().st_size,
            min_event_time=low,
            max_event_time=high,
        )
        ports.artifacts.upload(path, part.key)
    manifest = SnapshotManifest(
        snapshot_id=month,
        dataset="events",
        source=month,
        source_sha256=sha256,
        contract=EVENTS.fingerprint,
        columns={},
        rows=rows,
        rejected=0,
        months={month: rows},
        parts=(part,),
    )
    content = manifest.model_dump_json().encode()
    key = keys.snapshot_manifest("events", month, hashlib.sha256(content).hexdigest())
    ports.artifacts.put(key, content)
    ports.catalog.publish_snapshot(
        Snapshot(
            snapshot_id=month,
            dataset="events",
            source=month,
            source_sha256=sha256,
            contract=EVENTS.fingerprint,
            manifest_key=key,
            manifest_sha256=hashlib.sha256(content).hexdigest(),
            rows=rows,
            rejected=0,
            size=part.size,
            months=(month,),
            min_event_time=low,
            max_event_time=high,
            run_id=month,
            created_at=ports.clock.now(),
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000, int(sys.argv[2]) if len(sys.argv) > 2 else 100_000)
