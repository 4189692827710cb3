"""Whether a snapshot that an older contract made can be read under the contract of today."""

from __future__ import annotations

from perennial.definitions import Dataset
from perennial.errors import DataError
from perennial.records import SnapshotManifest
from perennial.sql import sql_type


def check_fits(manifest: SnapshotManifest, dataset: Dataset) -> None:
    """Make sure that a snapshot's rows can be read under a contract.

    Whoever reads the parts of snapshots calls this for each manifest first. A snapshot stays live when its contract
    is changed, and fits as long as every column of today's contract is in it with the same type, or is nullable: the
    reader then takes null for it (``read_parquet(…, union_by_name = true)``). Columns that the contract has dropped
    are not read. Rules that were tightened do not count: a snapshot keeps the rules that it was validated by until it
    is made anew.

    Raises
    ------
    DataError
        A column was retyped, or one was added that must not be null; the message says how to make the snapshot anew.
    """
    if manifest.contract == dataset.fingerprint:
        return
    for name, column in dataset.columns.items():
        today, then = sql_type(column), manifest.columns.get(name)
        if then == today or (then is None and column.nullable):
            continue
        was = "absent" if then is None else then
        wanted = today if then is not None else f"{today} and must not be null"
        raise DataError(
            f"snapshot {manifest.snapshot_id} of {manifest.source} was made under an older contract in which column "
            f"{name} was {was}; today it is {wanted}: run `perennial backfill {dataset.name}`"
        )
