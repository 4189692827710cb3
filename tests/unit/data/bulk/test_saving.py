"""Predictions as one file."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import duckdb
import pytest

from perennial.data.bulk.saving import Format, save_as


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    """Return two parts, the second of which comes first by its name."""
    found = []
    for name, first in (("b", 2), ("a", 4)):
        path = tmp_path / f"{name}.parquet"
        rows = "SELECT x AS row, x / 10 AS value, MAP(['no', 'yes'], [0.25::DOUBLE, 0.75]) AS probabilities"
        duckdb.execute(
            f"COPY ({rows}, ['m'] AS missing FROM range({first}, {first + 2}) t(x)) TO '{path}' (FORMAT parquet)"
        )
        found.append(path)
    return found


def saved(parts: list[Path], form: Format, folder: Path) -> Path:
    target = folder / f"all.{form}"
    assert save_as(parts, form, target, folder) == 4
    return target


def test_the_rows_of_all_parts_stand_in_their_order(parts: list[Path], tmp_path: Path) -> None:
    path = saved(parts, "parquet", tmp_path)
    assert duckdb.execute(f"SELECT row FROM '{path}'").fetchall() == [(2,), (3,), (4,), (5,)]


def test_json_lines_hold_probabilities_by_class(parts: list[Path], tmp_path: Path) -> None:
    lines = [json.loads(line) for line in saved(parts, "jsonl", tmp_path).read_text().splitlines()]
    assert lines[0] == {"row": 2, "value": 0.2, "probabilities": {"no": 0.25, "yes": 0.75}, "missing": ["m"]}
    assert [line["row"] for line in lines] == [2, 3, 4, 5]


def test_a_csv_holds_what_is_nested_as_json(parts: list[Path], tmp_path: Path) -> None:
    with saved(parts, "csv", tmp_path).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert json.loads(rows[3]["probabilities"]) == {"no": 0.25, "yes": 0.75}
    assert (rows[3]["row"], rows[3]["value"], json.loads(rows[3]["missing"])) == ("5", "0.5", ["m"])
