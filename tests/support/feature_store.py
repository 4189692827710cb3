"""A small feature store on fakes: one snapshot of taxi trips, one stored view, published as the steps publish them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from perennial import keys
from perennial.definitions import Dataset, FeatureView
from perennial.definitions.files import Definitions
from perennial.fakes import FixedClock, fake_ports
from perennial.ports import OnlineRow, Ports
from perennial.records import Part, SnapshotManifest, ViewManifest, ViewPart
from tests.support.records import AT, a_snapshot, a_view

TRIPS = Dataset.model_validate(
    {
        "name": "trips",
        "event_time": "pickup",
        "columns": {"zone": {"type": "integer"}, "fare": {"type": "double"}, "pickup": {"type": "timestamp"}},
    }
)
STATS = FeatureView(
    name="zone_stats",
    kind="stored",
    dataset="trips",
    entity=("zone",),
    feature_time="known_at",
    ttl="7 days",  # type: ignore[arg-type]
    sql="SELECT zone, date_trunc('day', pickup) + INTERVAL 1 DAY AS known_at, avg(fare) AS mean, max(fare) AS most "
    "FROM trips GROUP BY ALL",
)
CONTEXT = FeatureView(
    name="trip_context", kind="request", dataset="trips", sql="SELECT hour(pickup) AS hour FROM trips"
)
DEFINITIONS = Definitions({"trips": TRIPS}, {"zone_stats": STATS, "trip_context": CONTEXT}, {})
ROWS = (
    "(1, 10.0, '2019-02-28 08:00'), (1, 30.0, '2019-02-28 09:00'), "
    "(1, 30.0, '2019-03-02 01:00'), (2, 10.0, '2019-03-02 02:00')"
)
"""Trips: zone, fare, pickup."""
VALUES = "(1, '2019-03-01', 20.0, 30.0), (1, '2019-03-02', 25.0, 30.0), (2, '2019-03-03', 10.0, 10.0)"
"""The view's rows, worked out otherwise than by its SQL: zone, known_at, mean, most."""


def a_feature_store(folder: Path) -> Ports:
    """Return ports that hold the example; the online store has each zone's latest values and those before them."""
    ports = fake_ports(DEFINITIONS, clock=FixedClock("2019-03-04T06:00:00Z"))
    _publish_snapshot(ports, _parquet(folder, ROWS, "zone BIGINT, fare DOUBLE, pickup TIMESTAMP"))
    _publish_view(ports, _parquet(folder, VALUES, "zone BIGINT, known_at TIMESTAMP, mean DOUBLE, most DOUBLE"))
    before = OnlineRow((1,), datetime(2019, 3, 1, tzinfo=UTC), {"mean": 20.0, "most": 30.0})
    latest = [
        OnlineRow((1,), datetime(2019, 3, 2, tzinfo=UTC), {"mean": 25.0, "most": 30.0}, previous=before),
        OnlineRow((2,), datetime(2019, 3, 3, tzinfo=UTC), {"mean": 10.0, "most": 10.0}),
    ]
    ports.online.write("zone_stats", DEFINITIONS.view_version("zone_stats"), latest, 1)
    return ports


def _parquet(folder: Path, rows: str, columns: str) -> bytes:
    path = folder / "made.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE made ({columns}); INSERT INTO made VALUES {rows}; COPY made TO '{path}'")
    return path.read_bytes()


def _publish_snapshot(ports: Ports, content: bytes) -> None:
    part = _put(ports, content, lambda sha256: keys.snapshot_part("trips", "s1", sha256), 4)
    manifest = SnapshotManifest(
        snapshot_id="s1",
        dataset="trips",
        source="s3://raw/trips/one.csv",
        source_sha256="0" * 64,
        contract=TRIPS.fingerprint,
        columns={"zone": "BIGINT", "fare": "DOUBLE", "pickup": "TIMESTAMP"},
        rows=4,
        rejected=0,
        months={"2019-02": 2, "2019-03": 2},
        parts=(Part(**part, min_event_time=datetime(2019, 2, 28, 8), max_event_time=datetime(2019, 3, 2, 2)),),
    )
    key, sha256 = _put_json(ports, "snapshots/trips/s1/manifest.json", manifest.model_dump_json())
    ports.catalog.publish_snapshot(
        a_snapshot("s1", source="s3://raw/trips/one.csv", rows=4, manifest_key=key, manifest_sha256=sha256)
    )


def _publish_view(ports: Ports, content: bytes) -> None:
    version = DEFINITIONS.view_version("zone_stats")
    part = _put(ports, content, lambda sha256: keys.view_part("zone_stats", version, sha256), 3)
    manifest = ViewManifest(
        view="zone_stats",
        version=version,
        buckets=1,
        revisions={"trips": 1},
        snapshots={"trips": ("s1",)},
        parts=(
            ViewPart(
                **part,
                period="all",
                bucket=0,
                inputs="i" * 64,
                min_event_time=datetime(2019, 3, 1),
                max_event_time=datetime(2019, 3, 3),
            ),
        ),
    )
    key, sha256 = _put_json(ports, f"features/zone_stats/{version}/manifest.json", manifest.model_dump_json())
    table = a_view(1, version=version, manifest_key=key, manifest_sha256=sha256, created_at=AT)
    assert ports.catalog.publish_view(table, None)


def _put(ports: Ports, content: bytes, key_of: Any, rows: int) -> dict[str, Any]:
    sha256 = hashlib.sha256(content).hexdigest()
    ports.artifacts.put(key_of(sha256), content)
    return {"key": key_of(sha256), "sha256": sha256, "rows": rows, "size": len(content)}


def _put_json(ports: Ports, key: str, text: str) -> tuple[str, str]:
    ports.artifacts.put(key, text.encode())
    return key, hashlib.sha256(text.encode()).hexdigest()
