"""Reading snapshots of an older contract."""

from __future__ import annotations

import pytest

from perennial.data.contract.schema import check_fits
from perennial.definitions import Column, Dataset
from perennial.errors import DataError
from perennial.records import SnapshotManifest
from perennial.sql import sql_type


def dataset(**columns: Column) -> Dataset:
    return Dataset(name="rides", event_time="began", columns={"began": Column(type="timestamp"), **columns})


def manifest(of: Dataset) -> SnapshotManifest:
    return SnapshotManifest(
        snapshot_id="s1",
        dataset="rides",
        source="s3://raw/rides/a.csv",
        source_sha256="a" * 64,
        contract=of.fingerprint,
        columns={name: sql_type(column) for name, column in of.columns.items()},
        rows=1,
        rejected=0,
        months={},
        parts=(),
    )


OLD = dataset(zone=Column(type="integer"))


@pytest.mark.parametrize(
    "today",
    [
        OLD,
        dataset(),
        dataset(zone=Column(type="integer", min=1)),
        dataset(zone=Column(type="integer"), miles=Column(type="double", nullable=True)),
    ],
)
def test_a_snapshot_fits_a_contract_that_dropped_columns_changed_rules_or_added_nullable_ones(today: Dataset) -> None:
    check_fits(manifest(OLD), today)


@pytest.mark.parametrize(
    ("today", "says"),
    [
        (dataset(zone=Column(type="string")), "in which column zone was BIGINT; today it is VARCHAR"),
        (
            dataset(zone=Column(type="integer"), miles=Column(type="double")),
            "in which column miles was absent; today it is DOUBLE and must not be null",
        ),
    ],
)
def test_a_snapshot_of_another_type_or_without_a_value_that_must_be_there_is_refused(today: Dataset, says: str) -> None:
    with pytest.raises(DataError, match=says + ": run `perennial backfill rides`"):
        check_fits(manifest(OLD), today)
