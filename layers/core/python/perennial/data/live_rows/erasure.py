"""Recognising rows that are to be forgotten, by salted hashes of the values that named them."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from perennial.data.contract.validate import validate
from perennial.data.engine import DEFAULTS, Resources, connect
from perennial.definitions import Column, Dataset
from perennial.errors import DataError
from perennial.records import Erasure
from perennial.sql import identifier, literal, sql_type

_LOOSE: dict[str, object] = {
    "min": None,
    "max": None,
    "min_length": None,
    "max_length": None,
    "pattern": None,
    "allowed": None,
    "max_null": None,
}


def canonical(dataset: Dataset, values: Mapping[str, str], folder: Path, resources: Resources = DEFAULTS) -> list[str]:
    """Return values as the engine writes them when they are typed by the contract, in the order of their columns.

    They are read like a file of the dataset with one row, so that ``00123`` means 123 if it does so in an upload.

    Raises
    ------
    DataError
        A column is not in the contract, or a value is absent or not of its column's type; the message does not repeat
        the value, for it goes to logs.
    """
    for name, value in values.items():
        if name not in dataset.columns:
            raise DataError(
                f"dataset {dataset.name} has no column {name!r} to name rows by; it has {', '.join(dataset.columns)}"
            )
        if not value:
            raise DataError(f"column {name!r}: rows cannot be named by an absent value; give the value that they have")
    columns = {name: _loose(dataset.columns[name]) for name in values}
    clock = "at"
    while clock in columns:
        clock += "_"
    columns[clock] = Column(type="timestamp")  # every dataset has one
    small = Dataset(name=dataset.name, event_time=clock, columns=columns)
    source = folder / "subject.csv"
    with source.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(small.columns)
        writer.writerow([values.get(name, "2000-01-01") for name in small.columns])
    found = validate(source, small, folder, folder / "subject.jsonl", name="subject", resources=resources)
    if found.rows_good != 1:
        faults = ", ".join(found.rejected_by)
        raise DataError(f"dataset {dataset.name}: the values are not of their columns' types ({faults}); mend them")
    with connect(folder, resources) as connection:
        texts = ", ".join(f"CAST({identifier(name)} AS VARCHAR)" for name in sorted(values))
        row = connection.execute(f"SELECT {texts} FROM read_parquet({literal(str(found.parts[0].path))})").fetchone()
    assert row is not None, "the part has one row"
    return [str(text) for text in row]


def subject_hash(salt: str, texts: Sequence[str]) -> str:
    """Return the salted SHA-256 of values as the engine writes them, in the order of their columns' names."""
    return hashlib.sha256((salt + "".join(f"\n{len(text.encode())}:{text}" for text in texts)).encode()).hexdigest()


def forgotten(erasures: Iterable[Erasure], columns: Mapping[str, str]) -> str | None:
    """Return the SQL condition, never null, of the rows that erasures name; None if they name none.

    Parameters
    ----------
    erasures : iterable of Erasure
        What was forgotten of a dataset.
    columns : dict
        Column to the engine's type, of the rows in question.
    """
    hashes: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for erasure in erasures:
        if all(columns.get(name) == kind for name, kind in zip(erasure.columns, erasure.types, strict=True)):
            hashes.setdefault((erasure.columns, erasure.salt), []).append(erasure.subject_sha256)
    conditions = []
    for (names, salt), wanted in sorted(hashes.items()):
        texts = [f"CAST({identifier(name)} AS VARCHAR)" for name in names]
        parts = " || ".join(f"chr(10) || strlen({text})::VARCHAR || ':' || {text}" for text in texts)
        listed = ", ".join(literal(one) for one in sorted(wanted))
        conditions.append(f"coalesce(sha256({literal(salt)} || {parts}) IN ({listed}), false)")
    return " OR ".join(conditions) or None


def check_recognisable(erasures: Iterable[Erasure], dataset: Dataset) -> None:
    """Make sure that the contract still has what rows were forgotten by: else they would come back unseen.

    Raises
    ------
    DataError
        A column was dropped or retyped since.
    """
    columns = {name: sql_type(column) for name, column in dataset.columns.items()}
    for erasure in erasures:
        for name, kind in zip(erasure.columns, erasure.types, strict=True):
            if columns.get(name) != kind:
                raise DataError(
                    f"dataset {dataset.name}: rows were forgotten by column {name} ({kind}), which the contract no "
                    "longer has like this, so they could not be recognised in an upload; put the column back"
                )


def _loose(column: Column) -> Column:
    """Return a column without the rules beyond its type."""
    changes = {**_LOOSE, "nullable": False, "optional": False}
    return column.model_copy(update=changes | ({"open": True} if column.type == "categorical" else {}))
