"""Of a year's snapshots only the months and the columns that are needed travel."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from perennial.definitions import Candidate, Column, Dataset, FeatureView, Model, Split
from perennial.definitions.files import Definitions
from perennial.errors import DataError
from perennial.fakes import fake_ports
from perennial.ports import Ports
from perennial.records import Snapshot, SnapshotManifest
from perennial.steps import training_set
from perennial.steps.snapshots.snapshot_rows import SnapshotRows
from tests.support.large_parts import COLUMNS, CountingStore, stored
from tests.support.records import a_run, a_snapshot

DATASET = Dataset(
    name="d",
    event_time="began",
    columns={"began": Column(type="timestamp"), **{name: Column(type="double") for name in COLUMNS}},
)
OWN = FeatureView(name="own", kind="request", dataset="d", sql="SELECT c3 * 2 AS twice FROM d")
MODEL = Model(
    name="m",
    dataset="d",
    target="c3",
    features={"own": ("twice",)},
    split=Split(holdout="7 days", backtests=0),
    candidates=(Candidate(name="ridge", algorithm="ridge", history="7 days"),),
)
DEFINITIONS = Definitions({"d": DATASET}, {"own": OWN}, {"m": MODEL})


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> CountingStore:
    """Return a store with a part of 5 MB and 20 columns for each month of 2019."""
    store, folder = CountingStore(), tmp_path_factory.mktemp("year")
    for month in range(1, 13):
        part = stored(store, folder, f"{month}", seed=month, start=datetime(2019, month, 1))
        manifest = SnapshotManifest(
            snapshot_id=f"s{month}",
            dataset="d",
            source="-",
            source_sha256="-",
            contract=DATASET.fingerprint,
            columns={"began": "TIMESTAMP", **dict.fromkeys(COLUMNS, "DOUBLE")},
            rows=part.rows,
            rejected=0,
            months={f"2019-{month:02}": part.rows},
            parts=(part,),
        )
        store.put(f"m{month}", manifest.model_dump_json().encode())
    return store


@pytest.fixture
def ports(year: CountingStore) -> Ports:
    """Return ports on the year's snapshots, all of them live, of which nothing was read yet."""
    ports = fake_ports(DEFINITIONS, artifacts=year)
    for month in range(1, 13):
        content = year.get(f"m{month}")
        part = SnapshotManifest.model_validate_json(content).parts[0]
        live = a_snapshot(
            f"s{month}",
            dataset="d",
            manifest_key=f"m{month}",
            manifest_sha256=hashlib.sha256(content).hexdigest(),
            min_event_time=part.min_event_time,
            max_event_time=part.max_event_time,
        )
        ports.catalog.publish_snapshot(live)
    year.ranges.clear()
    year.downloads.clear()
    return ports


def live(ports: Ports) -> list[Snapshot]:
    return ports.catalog.snapshots("d")[0]


def size(store: CountingStore) -> int:
    return sum(store.size(key) for key in store.keys("parts/"))


def read_from(store: CountingStore) -> set[str]:
    return {key for key, _, _ in store.ranges} | set(store.downloads)


def test_two_of_twenty_columns_of_one_of_twelve_months_are_a_hundredth_of_the_bytes(
    ports: Ports, year: CountingStore, tmp_path: Path
) -> None:
    rows = SnapshotRows(ports, DATASET, tmp_path)
    (path,) = rows.fetch(live(ports), rows.wanted(["c3"], datetime(2019, 5, 1), datetime(2019, 5, 31)))
    query = "SELECT bit_xor(hash(began, c3)), count(c3) FROM read_parquet(?)"
    (year_path := tmp_path / "whole.parquet").write_bytes(year.get("parts/5"))
    assert duckdb.execute(query, [str(path)]).fetchall() == duckdb.execute(query, [str(year_path)]).fetchall()
    assert read_from(year) == {"parts/5"}
    assert year.read < 0.012 * size(year)


def test_a_training_set_reads_the_newest_month_alone_and_of_it_what_the_model_names(
    ports: Ports, year: CountingStore
) -> None:
    run = a_run("train-1", kind="train", subject="m", definition_hash=DEFINITIONS.fingerprint("m"))
    ports.catalog.start_run(run)
    made = training_set.run(training_set.Request(run_id="train-1", model="m"), ports)
    # A row a minute: seven days and, as both ends count, one row.
    assert (made.rows_train, made.rows_holdout) == (7 * 1440, 7 * 1440 + 1)
    assert made.split_at < datetime(2019, 12, 23, tzinfo=UTC)
    assert read_from(year) == {"parts/12"}
    assert year.read < 0.012 * size(year)


def test_the_latest_row_is_found_in_the_newest_part_that_has_one(
    ports: Ports, year: CountingStore, tmp_path: Path
) -> None:
    sought: list[int] = []

    def find(paths: list[Path]) -> datetime | None:
        sought.append(len(paths))
        found = duckdb.execute(
            "SELECT max(began) FROM read_parquet(?) WHERE began < '2019-10-07' OR c3 < 0", [[str(it) for it in paths]]
        ).fetchone()
        return found[0] if found else None

    assert SnapshotRows(ports, DATASET, tmp_path).latest(live(ports), ["c3"], find) == datetime(2019, 10, 6, 23, 59)
    assert sought == [1, 2]
    assert read_from(year) == {"parts/12", "parts/11", "parts/10"}


def test_where_no_row_is_found_all_parts_were_looked_at(ports: Ports, tmp_path: Path) -> None:
    sought: list[int] = []
    rows = SnapshotRows(ports, DATASET, tmp_path)
    assert rows.latest(live(ports), [], lambda paths: sought.append(len(paths))) is None
    assert sum(sought) == 12


def test_a_snapshot_that_does_not_fit_the_contract_is_refused(ports: Ports, tmp_path: Path) -> None:
    today = Dataset(name="d", event_time="began", columns={**DATASET.columns, "new": Column(type="double")})
    rows = SnapshotRows(ports, today, tmp_path)
    with pytest.raises(DataError, match="column new was absent"):
        rows.fetch(live(ports), rows.wanted([]))


def test_a_manifest_that_was_changed_is_refused(ports: Ports, year: CountingStore, tmp_path: Path) -> None:
    (first, *_) = live(ports)
    changed = first.model_copy(update={"manifest_sha256": "0" * 64})
    rows = SnapshotRows(ports, DATASET, tmp_path)
    with pytest.raises(DataError, match="its SHA-256 is"):
        rows.fetch([changed], rows.wanted([]))
