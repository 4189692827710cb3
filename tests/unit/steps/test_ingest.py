"""Ingesting an upload."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import duckdb
import pytest

from perennial import keys
from perennial.definitions import Column, Dataset
from perennial.definitions.files import Definitions
from perennial.errors import DataError, NotFoundError
from perennial.fakes import FakeMetricSink, FakeObjectStore, fake_ports
from perennial.ports import Ports
from perennial.steps import ingest
from perennial.steps.snapshots.snapshot_files import fetch_parts, read_manifest
from tests.support.interruptions import Fuse, Killed, mortal
from tests.support.world import DEFINITIONS, new_ports, survives_kills, upload


def run(ports: Ports, key: str, run_id: str = "run-1", **changes: str) -> ingest.Ingested:
    return ingest.run(ingest.Request(**{"run_id": run_id, "bucket": "raw", "key": key, **changes}), ports)


def test_an_upload_becomes_a_snapshot_with_its_quarantine_and_report(tmp_path_factory: pytest.TempPathFactory) -> None:
    ports = new_ports()
    found = run(ports, upload(ports, bad=2))
    assert (found.dataset, found.rows, found.rejected, found.published) == ("rides", 20, 2, True)
    (snapshot,), revision = ports.catalog.snapshots("rides")
    assert revision == 1
    assert snapshot.snapshot_id == found.snapshot_id
    assert (snapshot.source, snapshot.rows, snapshot.rejected) == ("s3://raw/rides/a.csv", 20, 2)
    assert snapshot.min_event_time == datetime(2019, 1, 1, tzinfo=UTC)
    assert snapshot.max_event_time == datetime(2019, 1, 4, 4, tzinfo=UTC)
    (path,) = fetch_parts(ports.artifacts, read_manifest(ports, snapshot).parts, tmp_path_factory.mktemp("s"))
    assert duckdb.execute("SELECT count(*), sum(miles) FROM read_parquet(?)", [str(path)]).fetchone() == (20, 200.0)
    bad = [json.loads(line) for line in ports.artifacts.get(str(snapshot.quarantine_key)).splitlines()]
    assert [(line["line"], line["column"], line["value"]) for line in bad] == [
        (22, "zone", "nowhere"),
        (23, "zone", "nowhere"),
    ]
    report = json.loads(ports.artifacts.get(keys.ingest_report("rides", found.snapshot_id)))
    assert (report["rows_in"], report["rows"], report["rejected_by"]) == (22, 20, {"zone: type": 2})


def test_the_run_says_what_was_uploaded_and_stays_open_for_the_features() -> None:
    ports = new_ports()
    found = run(ports, upload(ports))
    record = ports.catalog.run("run-1")
    assert (record.kind, record.subject, record.status) == ("ingest", "rides", "running")
    assert record.trigger.source == "s3://raw/rides/a.csv"
    assert ports.catalog.step("run-1", "ingest").output == found.model_dump()


def test_a_clean_file_has_no_quarantine() -> None:
    ports = new_ports()
    run(ports, upload(ports))
    assert ports.catalog.snapshots("rides")[0][0].quarantine_key is None
    assert ports.artifacts.keys("quarantine/") == []


def test_a_step_that_is_killed_at_any_call_and_repeated_leaves_what_a_clean_run_leaves() -> None:
    def prepare() -> Ports:
        ports = new_ports()
        upload(ports, bad=1)
        return ports

    assert survives_kills(prepare, lambda ports: run(ports, "rides/a.csv")) >= 8


def test_a_run_that_was_killed_behind_publishing_still_says_that_it_published() -> None:
    ports = new_ports()
    key = upload(ports)
    for calls in range(100):
        with pytest.raises(Killed):
            run(mortal(ports, Fuse(calls, after=True)), key)
        if ports.catalog.snapshots("rides")[0]:
            break
    assert run(ports, key).published


def test_an_upload_is_counted_and_its_quarantined_share_is_a_multiple_of_what_is_expected() -> None:
    ports = new_ports()
    assert isinstance(ports.metrics, FakeMetricSink)
    key = upload(ports, bad=20)
    found = run(ports, key)
    assert (found.rows, found.rejected) == (20, 20)
    about = {"Deployment": ports.deployment, "Dataset": "rides"}
    assert ports.metrics.values("Uploads", about) == [1]
    assert ports.metrics.values("Quarantined", about) == [pytest.approx(0.5 / 0.05)]  # 5 % are expected at most
    run(ports, key, run_id="run-2")
    assert ports.metrics.values("Uploads", about) == [1], "what changes nothing is no news"


def test_the_same_upload_in_another_run_publishes_nothing() -> None:
    ports = new_ports()
    key = upload(ports)
    first, second = run(ports, key), run(ports, key, "run-2")
    assert (second.snapshot_id, second.published) == (first.snapshot_id, False)
    assert ports.catalog.snapshots("rides")[1] == 1


def test_two_ingests_at_once_make_one_snapshot() -> None:
    ports = new_ports()
    key = upload(ports, bad=3)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda name: run(ports, key, name), ["run-1", "run-2"]))
    assert len({one.snapshot_id for one in found}) == 1
    assert [one.published for one in found].count(True) == 1
    assert len(ports.catalog.snapshots("rides")[0]) == 1


def test_a_corrected_upload_under_the_same_key_supersedes_the_first() -> None:
    ports = new_ports()
    first = run(ports, upload(ports, bad=1))
    second = run(ports, upload(ports), "run-2")
    live, revision = ports.catalog.snapshots("rides")
    assert [snapshot.snapshot_id for snapshot in live] == [second.snapshot_id] != [first.snapshot_id]
    assert revision == 2


def test_a_withdrawn_correction_brings_the_first_content_back() -> None:
    ports = new_ports()
    first = run(ports, upload(ports), version_id="1")
    run(ports, upload(ports, bad=1), "run-2", version_id="2")
    third = run(ports, upload(ports), "run-3", version_id="3")
    assert (third.snapshot_id, third.published) == (first.snapshot_id, True)
    assert [snapshot.snapshot_id for snapshot in ports.catalog.snapshots("rides")[0]] == [first.snapshot_id]


def test_a_slow_ingest_of_an_older_upload_does_not_supersede_the_correction() -> None:
    ports = new_ports()
    key = upload(ports, rows=5)
    upload(ports, rows=9)
    second = run(ports, key, "run-2", version_id="2")
    first = run(ports, key, "run-1", version_id="1")
    assert (first.rows, first.published) == (5, False)
    live, revision = ports.catalog.snapshots("rides")
    assert ([snapshot.snapshot_id for snapshot in live], revision) == ([second.snapshot_id], 1)


def test_the_same_content_under_another_name_is_one_snapshot() -> None:
    ports = new_ports()
    run(ports, upload(ports))
    assert not run(ports, upload(ports, name="b.csv"), "run-2").published
    assert len(ports.catalog.snapshots("rides")[0]) == 1


def test_another_contract_makes_another_snapshot_of_the_same_file() -> None:
    ports = new_ports()
    rides = DEFINITIONS.dataset("rides")
    columns = {**rides.columns, "miles": Column(type="double", min=0, max=100)}
    changed = Definitions({"rides": Dataset(name="rides", event_time="began", columns=columns)}, {}, {})
    other = new_ports(changed)
    assert run(ports, upload(ports)).snapshot_id != run(other, upload(other)).snapshot_id


def test_the_version_that_was_uploaded_is_read_and_not_a_later_one() -> None:
    ports = new_ports()
    key = upload(ports, rows=5)
    upload(ports, rows=9)
    assert run(ports, key, version_id="1").rows == 5


def test_a_file_of_bad_rows_only_is_refused_with_its_first_reason_and_keeps_its_quarantine() -> None:
    ports = new_ports()
    key = upload(ports, rows=0, bad=3)
    with pytest.raises(
        DataError, match="none of its 3 rows keeps the contract, the first because zone 'nowhere' is not"
    ):
        run(ports, key)
    assert len(ports.artifacts.keys("quarantine/rides/")) == 1
    assert ports.catalog.snapshots("rides") == ([], 0)


def test_a_file_that_is_refused_fails_the_step_with_its_sentence() -> None:
    ports = new_ports()
    ports.raw.put("rides/a.csv", b"began,miles\n")
    with pytest.raises(DataError, match=r"rides/a\.csv: lacks the column zone"):
        run(ports, "rides/a.csv")
    step = ports.catalog.step("run-1", "ingest")
    assert step.status == "failed"
    assert "lacks the column zone" in str(step.error)


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"key": "planes/a.csv"}, NotFoundError, "no dataset 'planes'; there is rides"),
        ({"key": "a.csv"}, NotFoundError, r"no dataset 'a\.csv'"),
        ({"key": "rides/none.csv"}, NotFoundError, "there is no such object"),
        ({"bucket": "elsewhere"}, DataError, "uploads are read from bucket raw only"),
    ],
)
def test_an_upload_that_belongs_nowhere_fails_the_run_s_step(
    changes: dict[str, str], error: type[Exception], says: str
) -> None:
    ports = new_ports()
    with pytest.raises(error, match=says):
        run(ports, **{"key": upload(ports), **changes})
    assert ports.catalog.step("run-1", "ingest").status == "failed"


class OneSecond(FakeObjectStore):
    """A bucket all of whose versions were written within one second, as S3 tells times to the second."""

    def written_at(self, key: str, version: str | None = None) -> datetime:
        super().written_at(key, version)
        return datetime(2019, 3, 1, tzinfo=UTC)


def test_of_two_versions_of_the_same_second_the_later_one_stands_in_whatever_order_they_come() -> None:
    ports = fake_ports(DEFINITIONS, raw=OneSecond("raw"))
    key = upload(ports, rows=5)
    upload(ports, rows=9)
    second = run(ports, key, "run-2", version_id="2")
    assert not run(ports, key, "run-1", version_id="1").published
    assert [snapshot.snapshot_id for snapshot in ports.catalog.snapshots("rides")[0]] == [second.snapshot_id]


def test_a_refused_file_leaves_a_report_and_is_not_published() -> None:
    ports = new_ports()
    key = upload(ports, rows=0, bad=3)
    with pytest.raises(DataError):
        run(ports, key)
    (page, facts) = ports.artifacts.keys("reports/ingest/rides/")
    assert page.endswith(".html")
    assert json.loads(ports.artifacts.get(facts))["rejected"] == 3
