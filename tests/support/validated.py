"""Uploads of a small dataset, and what validating them gives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from perennial.data.contract.validate import Validated, validate
from perennial.definitions import Column, Dataset
from perennial.errors import DataError

HEADER = b"at,zone,miles,note\n"
GOOD = b"2019-01-01 00:00:00,1,2.5,x\n"


def small(**changes: Any) -> Dataset:
    """Return a dataset with a column of each of the types that files mostly have."""
    columns = {
        "at": Column(type="timestamp"),
        "zone": Column(type="integer"),
        "miles": Column(type="double", min=0, max=60),
        "note": Column(type="string", nullable=True),
    }
    return Dataset(**{"name": "rides", "event_time": "at", "columns": columns, **changes})


def row(**changes: str) -> bytes:
    """Return a line of the small dataset."""
    fields = {"at": "2019-01-01 00:00:00", "zone": "1", "miles": "2.5", "note": "x", **changes}
    return ",".join(fields.values()).encode() + b"\n"


class Outcome:
    """Good rows, as Python values, and bad ones, as the quarantine has them."""

    def __init__(self, found: Validated, quarantine: Path) -> None:
        self.found = found
        self.paths = [part.path for part in found.parts]
        self.rows = [row for path in self.paths for row in _rows(path)]
        self.bad = [json.loads(line) for line in quarantine.read_text(encoding="utf-8").split("\n") if line]

    def faults(self) -> list[tuple[int, str | None, str]]:
        return [(bad["line"], bad["column"], bad["rule"]) for bad in self.bad]


def _rows(path: Path) -> Iterator[tuple[Any, ...]]:
    yield from duckdb.execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall()


def upload(
    folder: Path, content: bytes, dataset: Dataset | None = None, name: str = "f.csv", **options: Any
) -> Outcome:
    """Validate a file, and check what holds for any."""
    number = len(list(folder.iterdir()))
    source, work, quarantine = (folder / f"{number}-{what}" for what in ("source", "work", "bad.jsonl"))
    source.write_bytes(content)
    work.mkdir()
    found = validate(source, dataset or small(), work, quarantine, name=name, **options)
    outcome = Outcome(found, quarantine)
    assert found.rows_in == found.rows_good + found.rows_rejected
    assert (found.rows_good, found.rows_rejected) == (len(outcome.rows), len(outcome.bad))
    assert sum(found.rejected_by.values()) == found.rows_rejected
    assert sum(found.months.values()) == sum(part.rows for part in found.parts) == found.rows_good
    lines = [bad["line"] for bad in outcome.bad]
    assert lines == sorted(set(lines))
    assert sorted(work.iterdir()) == sorted(outcome.paths), "nothing is left behind but the parts"
    return outcome


def refusal(folder: Path, content: bytes, dataset: Dataset | None = None, name: str = "f.csv") -> str:
    """Validate a file that is unusable as a whole, and return why."""
    with pytest.raises(DataError) as error:
        upload(folder, content, dataset, name)
    message = str(error.value)
    assert message.startswith(f"{name}: "), message
    assert "\n" not in message
    return message
