"""Forgetting rows on request."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from perennial import keys
from perennial.definitions import Column, Dataset
from perennial.definitions.files import Definitions
from perennial.errors import DataError, NotFoundError
from perennial.fakes import fake_ports
from perennial.ports import Ports
from perennial.records import Trigger
from perennial.steps import features, forget, ingest
from perennial.steps.snapshots.snapshot_files import fetch_parts, read_manifests
from perennial.steps.views.view_tables import ViewTables
from tests.support.world import FARE, NOW, PAST, survives_kills

RIDES = Dataset(
    name="rides",
    event_time="began",
    columns={
        "began": Column(type="timestamp"),
        "zone": Column(type="integer"),
        "rider": Column(type="string"),
        "miles": Column(type="double", min=0),
    },
)
DEFINITIONS = Definitions({"rides": RIDES}, {"now": NOW, "past": PAST}, {"fare": FARE})
ADA, BOB = "ada-4711", "bob-0815"


def upload(ports: Ports, name: str, riders: list[str], bad: int = 0) -> str:
    lines = ["began,zone,rider,miles", *(f"2019-01-{n + 1:02d},{n % 3},{one},{n}" for n, one in enumerate(riders))]
    lines += [f"2019-01-01,nowhere,{ADA},1"] * bad
    ports.raw.put(f"rides/{name}", "\n".join(lines).encode())
    return f"rides/{name}"


def take_in(ports: Ports, key: str, run_id: str = "run", version: int | None = None) -> ingest.Ingested:
    number = None if version is None else str(version)
    return ingest.run(ingest.Request(run_id=run_id, bucket="raw", key=key, version_id=number), ports)


def ask(ports: Ports, run_id: str = "forget-1", delete_uploads: bool = False, **values: str) -> forget.Request:
    key = keys.forget_request(run_id)
    content = {"values": values or {"rider": ADA}, "delete_uploads": delete_uploads}
    ports.artifacts.put(key, json.dumps(content).encode())
    by = Trigger(kind="person", source="arn:aws:iam::000000000000:user/eve", reason="article 17")
    return forget.Request(run_id=run_id, dataset="rides", request_key=key, trigger=by)


def forgotten(ports: Ports, run_id: str = "forget-1", delete_uploads: bool = False, **values: str) -> forget.Forgotten:
    return forget.run(ask(ports, run_id, delete_uploads, **values), ports)


def riders(ports: Ports, folder: Path) -> list[str]:
    snapshots, _ = ports.catalog.snapshots("rides")
    parts = [part for manifest in read_manifests(ports, snapshots) for part in manifest.parts]
    files = [str(path) for path in fetch_parts(ports.artifacts, parts, folder)]
    return [rider for (rider,) in duckdb.execute("SELECT rider FROM read_parquet(?) ORDER BY 1", [files]).fetchall()]


def traces(ports: Ports, folder: Path, text: str = ADA) -> list[str]:
    """Return the keys of artifacts in any version of which a text stands; Parquet is unpacked for that."""
    store: Any = ports.artifacts
    found = []
    for key, versions in store._versions.items():
        for content in filter(None, versions.values()):
            if key.endswith(".parquet"):
                path = folder / "trace.parquet"
                path.write_bytes(content)
                seen = duckdb.execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
            else:
                seen = content.decode(errors="replace")
            if text in str(seen):
                found.append(key)
    return found


@pytest.fixture
def ports() -> Ports:
    return fake_ports(DEFINITIONS)


def test_rows_are_taken_out_of_every_snapshot_and_the_others_stay(ports: Ports, tmp_path: Path) -> None:
    first = take_in(ports, upload(ports, "a.csv", [ADA, BOB, ADA]))
    take_in(ports, upload(ports, "b.csv", [BOB]), "run-2")
    take_in(ports, upload(ports, "c.csv", [ADA, "cleo"]), "run-3")
    found = forgotten(ports)
    assert riders(ports, tmp_path) == [BOB, BOB, "cleo"]
    assert (found.rows, found.published) == ({"snapshots": 3, "quarantine": 0}, True)
    assert len(found.snapshots) == 2
    assert first.snapshot_id in found.snapshots
    assert found.uploads == ("s3://raw/rides/a.csv?versionId=1", "s3://raw/rides/c.csv?versionId=1")
    by_id = {snapshot.snapshot_id: snapshot for snapshot in ports.catalog.snapshots("rides")[0]}
    left = by_id[found.snapshots[first.snapshot_id]]
    assert (left.rows, left.rewritten_from, left.months) == (1, first.snapshot_id, ("2019-01",))


def test_no_version_of_any_artifact_holds_the_value_any_more(ports: Ports, tmp_path: Path) -> None:
    take_in(ports, upload(ports, "a.csv", [BOB, ADA, ADA, ADA, ADA, ADA, ADA], bad=2), "run-1")
    take_in(ports, upload(ports, "a.csv", [BOB]), "run-2")  # supersedes the first, whose parts are still there
    take_in(ports, upload(ports, "b.csv", [ADA, "cleo"], bad=1), "run-3")
    ports.artifacts.put("features/past/v1/x.json", ADA.encode())
    ports.artifacts.put("training-sets/fare/train-1.parquet", b"")
    kinds = {key.partition("/")[0] for key in traces(ports, tmp_path) if not key.startswith("training")}
    assert kinds == {"snapshots", "quarantine", "reports", "features"}, "the test must have something to find"
    found = forgotten(ports)
    assert traces(ports, tmp_path) == []
    assert found.rows == {"snapshots": 1, "quarantine": 3}
    assert ports.artifacts.keys("training-sets/") == ports.artifacts.keys("features/past/v1/") == []
    assert ports.artifacts.keys("features/past/"), "the view was computed anew"
    assert ports.artifacts.keys("requests/") == []
    assert riders(ports, tmp_path) == [BOB, "cleo"]


def test_the_value_stands_in_no_record_of_the_catalog(ports: Ports) -> None:
    take_in(ports, upload(ports, "a.csv", [ADA, BOB]))
    forgotten(ports)
    assert ADA not in repr(vars(ports.catalog))
    (erasure,) = ports.catalog.erasures("rides")
    assert (erasure.columns, erasure.by, erasure.reason) == (
        ("rider",),
        "arn:aws:iam::000000000000:user/eve",
        "article 17",
    )


def test_uploads_stay_unless_they_are_to_be_deleted_and_then_go_in_all_versions(ports: Ports) -> None:
    take_in(ports, upload(ports, "a.csv", [ADA]), "run-1")
    take_in(ports, upload(ports, "a.csv", [ADA, BOB]), "run-2")
    take_in(ports, upload(ports, "b.csv", [BOB]), "run-3")
    forgotten(ports)
    assert ports.raw.versions("rides/a.csv") == ["2", "1"]
    take_in(ports, upload(ports, "c.csv", [ADA, BOB]), "run-4")
    ports.raw.put("rides/other.csv", b"")
    found = forgotten(ports, "forget-2", delete_uploads=True, rider=BOB)
    assert found.uploads_deleted
    assert ports.raw.keys("") == ["rides/other.csv"]
    assert ports.raw.versions("rides/a.csv") == []


def test_the_same_upload_again_does_not_bring_the_rows_back(ports: Ports, tmp_path: Path) -> None:
    key = upload(ports, "a.csv", [ADA, BOB], bad=1)
    take_in(ports, key)
    left = forgotten(ports)
    again = take_in(ports, key, "run-2")
    assert not again.published
    assert again.snapshot_id == next(iter(left.snapshots.values()))
    upload(ports, "a.csv", [BOB])
    take_in(ports, key, "run-3", 2)
    upload(ports, "a.csv", [ADA, BOB], bad=1)
    back = take_in(ports, key, "run-4", 3)
    assert (back.snapshot_id, back.published) == (again.snapshot_id, True)
    assert riders(ports, tmp_path) == [BOB]
    assert traces(ports, tmp_path) == []
    report = json.loads(ports.artifacts.get(keys.ingest_report("rides", back.snapshot_id)))
    assert (report["rows"], report["forgotten"]) == (1, 1)


def test_a_new_upload_of_such_rows_is_taken_in_without_them(ports: Ports, tmp_path: Path) -> None:
    take_in(ports, upload(ports, "a.csv", [ADA]))
    forgotten(ports)
    found = take_in(ports, upload(ports, "b.csv", [ADA, BOB, ADA], bad=1), "run-2")
    assert (found.rows, found.published) == (1, True)
    assert riders(ports, tmp_path) == [BOB]
    assert traces(ports, tmp_path) == []


def test_rows_are_named_by_all_columns_together_as_the_contract_reads_them(ports: Ports, tmp_path: Path) -> None:
    take_in(ports, upload(ports, "a.csv", [ADA, ADA, ADA, BOB]))
    found = forgotten(ports, rider=ADA, zone="001.0")
    assert found.rows["snapshots"] == 1
    assert riders(ports, tmp_path) == [ADA, ADA, BOB]


def test_forgetting_what_nobody_has_changes_no_rows_and_is_recorded(ports: Ports, tmp_path: Path) -> None:
    take_in(ports, upload(ports, "a.csv", [BOB]))
    found = forgotten(ports)
    assert (found.rows, found.published, found.uploads) == ({"snapshots": 0, "quarantine": 0}, False, ())
    assert riders(ports, tmp_path) == [BOB]
    assert len(ports.catalog.erasures("rides")) == 1


def test_a_step_that_is_killed_at_any_call_and_repeated_leaves_what_a_clean_run_leaves() -> None:
    alone = Definitions({"rides": RIDES}, {}, {})  # views are killed in their own tests

    def prepare() -> Ports:
        ports = fake_ports(alone)
        take_in(ports, upload(ports, "a.csv", [ADA, BOB], bad=1))
        ask(ports, delete_uploads=True)
        return ports

    request = ask(fake_ports(alone), delete_uploads=True)
    assert survives_kills(prepare, lambda ports: forget.run(request, ports), before=False) >= 12


def test_an_upload_that_is_taken_in_meanwhile_is_without_the_rows_too(tmp_path: Path) -> None:
    for _ in range(3):
        ports = fake_ports(DEFINITIONS)
        take_in(ports, upload(ports, "a.csv", [ADA, BOB]))
        upload(ports, "b.csv", [ADA, "cleo"], bad=1)
        request = ask(ports)
        with ThreadPoolExecutor(2) as pool:
            one = pool.submit(take_in, ports, "rides/b.csv", "run-2")
            other = pool.submit(forget.run, request, ports)
            one.result(), other.result()
        assert riders(ports, tmp_path) == [BOB, "cleo"]
        assert traces(ports, tmp_path) == []


def test_a_value_that_is_not_of_its_type_is_refused_without_being_repeated(ports: Ports) -> None:
    with pytest.raises(DataError, match=r"the values are not of their columns' types \(zone: type\)") as error:
        forgotten(ports, zone="somewhere")
    assert "somewhere" not in str(error.value)
    assert "somewhere" not in str(ports.catalog.step("forget-1", "forget"))


def test_a_column_that_is_not_there_is_refused(ports: Ports) -> None:
    with pytest.raises(DataError, match="has no column 'name' to name rows by; it has began, zone, rider, miles"):
        forgotten(ports, name="x")


def test_a_request_that_is_none_is_refused_without_being_repeated(ports: Ports) -> None:
    request = ask(ports)
    ports.artifacts.put(request.request_key, b'{"values": "ada-4711"}')
    with pytest.raises(DataError, match="is not a request to forget rows") as error:
        forget.run(request, ports)
    assert ADA not in str(error.value)


def test_a_request_that_is_not_there_is_not_found(ports: Ports) -> None:
    request = ask(ports)
    ports.artifacts.delete(request.request_key)
    with pytest.raises(NotFoundError, match="requests/forget/forget-1"):
        forget.run(request, ports)


def test_a_column_that_rows_were_forgotten_by_cannot_be_dropped_unseen(ports: Ports) -> None:
    key = upload(ports, "a.csv", [ADA, BOB])
    take_in(ports, key)
    forgotten(ports)
    columns = {name: column for name, column in RIDES.columns.items() if name != "rider"}
    changed = Definitions({"rides": Dataset(name="rides", event_time="began", columns=columns)}, {}, {})
    later = fake_ports(changed, catalog=ports.catalog, raw=ports.raw, artifacts=ports.artifacts)
    with pytest.raises(DataError, match=r"rows were forgotten by column rider \(VARCHAR\), which the contract no"):
        take_in(later, key, "run-2")


KEYED = Dataset(name="rides", event_time="began", key=("zone",), columns=RIDES.columns)


def test_a_forgotten_row_supersedes_nothing_any_more_and_no_stand_in_keeps_it(tmp_path: Path) -> None:
    ports = fake_ports(Definitions({"rides": KEYED}, {}, {}))
    take_in(ports, upload(ports, "a.csv", [ADA, "cleo", BOB]), "run-1")
    upload(ports, "b.csv", [BOB])
    take_in(ports, upload(ports, "b.csv", [BOB, ADA]), "run-2", 2)
    assert riders(ports, tmp_path) == [ADA, BOB, BOB]
    found = forgotten(ports)
    assert riders(ports, tmp_path) == [BOB, BOB, "cleo"]
    assert found.rows["snapshots"] == 2
    assert traces(ports, tmp_path) == []
    assert not take_in(ports, "rides/b.csv", "run-3", 2).published


def test_the_range_of_keys_does_not_tell_who_was_forgotten(tmp_path: Path) -> None:
    keyed = Dataset(name="rides", event_time="began", key=("rider",), columns=RIDES.columns)
    ports = fake_ports(Definitions({"rides": keyed}, {}, {}))
    take_in(ports, upload(ports, "a.csv", [ADA, BOB]))
    assert [key for key in traces(ports, tmp_path) if key.endswith(".json") and key.startswith("snapshots/")]
    forgotten(ports)
    assert traces(ports, tmp_path) == []


class Interrupted:
    """A store in which something else happens, once, right before it lists the keys of a prefix."""

    def __init__(self, store: Any, prefix: str, happens: Callable[[], Any]) -> None:
        self._store, self._prefix, self._happens = store, prefix, [happens]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def keys(self, prefix: str) -> list[str]:
        found: list[str] = self._store.keys(prefix)
        if prefix.startswith(self._prefix) and self._happens:
            self._happens.pop()()
            return found if self._prefix == "snapshots/" else self._store.keys(prefix)
        return found


def test_a_table_that_another_run_publishes_meanwhile_stays_whole(ports: Ports, tmp_path: Path) -> None:
    take_in(ports, upload(ports, "a.csv", [ADA, BOB]))
    features.run(features.Request(run_id="run", dataset="rides"), ports)

    def another_upload() -> None:
        take_in(ports, upload(ports, "c.csv", ["cleo", "dora", "emil"]), "run-2")
        features.run(features.Request(run_id="run-2", dataset="rides"), ports)

    store: Any = Interrupted(ports.artifacts, "features/", another_upload)
    forget.run(ask(ports), replace(ports, artifacts=store))
    version, manifest = ViewTables(ports, tmp_path).stored(PAST)
    assert version.revisions == {"rides": 3}
    assert fetch_parts(ports.artifacts, manifest.parts, tmp_path)
    assert traces(ports, tmp_path) == []


def test_two_people_are_forgotten_at_the_same_time(ports: Ports, tmp_path: Path) -> None:
    """The second run deletes what the first has listed and not yet read."""
    take_in(ports, upload(ports, "a.csv", [ADA, BOB, "cleo"]))
    store: Any = Interrupted(ports.artifacts, "snapshots/", lambda: forgotten(ports, "forget-2", rider=BOB))
    forget.run(ask(ports), replace(ports, artifacts=store))
    assert riders(ports, tmp_path) == ["cleo"]
    assert traces(ports, tmp_path) == traces(ports, tmp_path, BOB) == []


def test_a_view_whose_table_was_deleted_is_computed_anew(ports: Ports, tmp_path: Path) -> None:
    """As when the definitions go back to a version of it from before rows were forgotten."""
    take_in(ports, upload(ports, "a.csv", [BOB, "cleo"]))
    version, _ = ViewTables(ports, tmp_path).stored(PAST)
    for key in ports.artifacts.keys("features/"):
        ports.artifacts.delete(key)
    again, manifest = ViewTables(ports, tmp_path).stored(PAST)
    assert (again.rows, again.pending) == (version.rows, ())
    assert all(ports.artifacts.exists(part.key) for part in manifest.parts)


def test_a_report_from_which_values_were_taken_says_so(ports: Ports) -> None:
    taken = take_in(ports, upload(ports, "a.csv", [ADA, BOB], bad=1))
    kept = take_in(ports, upload(ports, "b.csv", [BOB]), "run-2")
    found = forgotten(ports)
    for snapshot_id, withheld in ((found.snapshots[taken.snapshot_id], True), (kept.snapshot_id, False)):
        report = json.loads(ports.artifacts.get(keys.ingest_report("rides", snapshot_id)))
        page = ports.artifacts.get(keys.ingest_report("rides", snapshot_id, "html")).decode()
        assert report.get("withheld", False) is withheld
        assert ("Examples and column profiles were taken out of this report" in page) is withheld
