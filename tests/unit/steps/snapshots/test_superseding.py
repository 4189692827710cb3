"""Uploads that share keys: the row of the latest one stands, in whatever order they come."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.definitions import Column, Dataset
from perennial.definitions.files import Definitions
from perennial.fakes import fake_ports
from perennial.ports import Ports
from perennial.steps import ingest
from perennial.steps.snapshots.snapshot_files import fetch_parts, read_manifests
from tests.support.world import survives_kills

RIDES = Dataset(
    name="rides",
    event_time="began",
    key=("ride", "part"),
    columns={
        "began": Column(type="timestamp"),
        "ride": Column(type="integer"),
        "part": Column(type="string"),
        "miles": Column(type="double"),
    },
)
DEFINITIONS = Definitions({"rides": RIDES}, {}, {})
Rows = dict[int, float]
"""Ride to miles."""


def upload(ports: Ports, name: str, rows: Rows) -> str:
    lines = ["began,ride,part,miles", *(f"2019-01-01,{ride},p{ride},{miles}" for ride, miles in rows.items())]
    ports.raw.put(f"rides/{name}", "\n".join(lines).encode())
    return f"rides/{name}"


def run(ports: Ports, key: str, version: int | None = None, run_id: str = "run") -> ingest.Ingested:
    return ingest.run(
        ingest.Request(run_id=run_id, bucket="raw", key=key, version_id=None if version is None else str(version)),
        ports,
    )


def live(ports: Ports) -> Rows:
    snapshots, _ = ports.catalog.snapshots("rides")
    parts = [part for manifest in read_manifests(ports, snapshots) for part in manifest.parts]
    if not parts:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        files = [str(path) for path in fetch_parts(ports.artifacts, parts, Path(folder))]
        found = duckdb.execute("SELECT ride, miles FROM read_parquet(?)", [files]).fetchall()
    assert len({ride for ride, _ in found}) == len(found), "a key stands twice"
    return dict(found)


@pytest.fixture
def ports() -> Ports:
    return fake_ports(DEFINITIONS)


def test_a_later_upload_takes_the_place_of_rows_with_its_keys_and_of_no_others(ports: Ports) -> None:
    run(ports, upload(ports, "b.csv", {1: 10, 2: 20, 3: 30}))
    found = run(ports, upload(ports, "c.csv", {9: 90}))
    # The versions of an object are a second apart in the fake store, so the second version is the later one.
    upload(ports, "a.csv", {7: 1})
    found = run(ports, upload(ports, "a.csv", {2: 21, 4: 40}), 2)
    assert live(ports) == {1: 10, 2: 21, 3: 30, 4: 40, 9: 90}
    assert (found.rows, found.published) == (2, True)


def test_only_the_parts_that_hold_such_rows_are_written_again(ports: Ports) -> None:
    run(ports, upload(ports, "far.csv", {100: 1, 200: 2}))
    run(ports, upload(ports, "near.csv", {1: 1, 2: 2}))
    before = {snapshot.source: snapshot.snapshot_id for snapshot in ports.catalog.snapshots("rides")[0]}
    upload(ports, "new.csv", {1: 0})
    run(ports, upload(ports, "new.csv", {1: 5}), 2)
    after = {snapshot.source: snapshot.snapshot_id for snapshot in ports.catalog.snapshots("rides")[0]}
    assert after["s3://raw/rides/far.csv"] == before["s3://raw/rides/far.csv"]
    assert after["s3://raw/rides/near.csv"] != before["s3://raw/rides/near.csv"]


def test_a_row_comes_back_when_the_upload_that_superseded_it_is_corrected(ports: Ports) -> None:
    run(ports, upload(ports, "a.csv", {1: 10, 2: 20}))
    upload(ports, "b.csv", {5: 5})
    run(ports, upload(ports, "b.csv", {1: 11, 3: 31}), 2)
    assert live(ports) == {1: 11, 2: 20, 3: 31}
    run(ports, upload(ports, "b.csv", {3: 32}), 3)
    assert live(ports) == {1: 10, 2: 20, 3: 32}


def test_an_upload_all_of_whose_rows_are_superseded_stays_as_nothing(ports: Ports) -> None:
    run(ports, upload(ports, "a.csv", {1: 10}))
    upload(ports, "b.csv", {1: 1})
    run(ports, upload(ports, "b.csv", {1: 11}), 2)
    assert live(ports) == {1: 11}
    assert sorted(snapshot.rows for snapshot in ports.catalog.snapshots("rides")[0]) == [0, 1]


NAMES = st.sampled_from(["a.csv", "b.csv", "c.csv"])
ROWS = st.dictionaries(st.integers(1, 5), st.integers(0, 3).map(float), min_size=1, max_size=4)


@given(st.lists(st.tuples(NAMES, ROWS), min_size=1, max_size=6), st.data())
@settings(max_examples=12, deadline=None)
def test_the_live_rows_depend_on_what_was_uploaded_when_and_not_on_the_order_of_ingesting(
    uploads: list[tuple[str, Rows]], data: st.DataObject
) -> None:
    ports = fake_ports(DEFINITIONS)
    versions: list[tuple[str, int]] = []
    latest: dict[str, tuple[int, Rows]] = {}
    for name, rows in uploads:
        upload(ports, name, rows)
        number = latest.get(name, (0, {}))[0] + 1
        latest[name] = (number, rows)
        versions.append((name, number))
    events = data.draw(st.permutations(versions + versions[:2]))  # some events come twice
    for number, (name, version) in enumerate(events):
        run(ports, f"rides/{name}", version, f"run-{number}")
    # The oracle: of each source its latest upload, row by row, in the order of (written at, source).
    expected: Rows = {}
    for name in sorted(latest, key=lambda name: (latest[name][0], name)):
        expected |= latest[name][1]
    assert live(ports) == expected


def test_two_uploads_that_share_keys_ingested_at_once_end_as_one_after_the_other(ports: Ports) -> None:
    names = ["a.csv", "b.csv", "c.csv", "d.csv"]
    for number, name in enumerate(names):
        upload(ports, name, {1: float(number), 10 + number: 1.0})
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: run(ports, f"rides/{name}", run_id=name), names))
    assert live(ports) == {1: 3.0, 10: 1.0, 11: 1.0, 12: 1.0, 13: 1.0}


def test_a_superseding_ingest_that_is_killed_at_any_call_and_repeated_leaves_what_a_clean_one_leaves() -> None:
    def prepare() -> Ports:
        ports = fake_ports(DEFINITIONS)
        run(ports, upload(ports, "a.csv", {1: 10, 2: 20}))
        upload(ports, "b.csv", {1: 11})
        return ports

    assert survives_kills(prepare, lambda ports: run(ports, "rides/b.csv", run_id="run-2"), before=False) >= 8
