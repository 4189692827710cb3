"""The dirtiest uploads that we could think of: each ends in the documented way, none in a crash and none silently."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from perennial.data.contract.validate import Validated, validate
from perennial.definitions import Column, Dataset
from perennial.errors import DataError
from tests.support.dirty_files import BYTES, CSV, JSON_LINES, Dirty, rides
from tests.support.dirty_page import PAGE, filled
from tests.support.dirty_parquet import PARQUET, Odd
from tests.support.dirty_values import VALUES, Rule


@dataclass(frozen=True)
class Outcome:
    """What validating a file came to."""

    found: Validated | None
    refused: str
    bad: tuple[str, ...]
    rows: list[tuple[object, ...]]


def outcome_of(source: Path, dataset: Dataset, name: str) -> Outcome:
    folder = source.parent / "out"
    folder.mkdir()
    quarantine = folder / "quarantine.jsonl"
    try:
        found = validate(source, dataset, folder, quarantine, name=name)
    except DataError as error:
        return Outcome(None, str(error), (), [])
    bad = [json.loads(line) for line in quarantine.read_text(encoding="utf-8").splitlines()]
    rows = [row for part in found.parts for row in duckdb.read_parquet(str(part.path)).fetchall()]
    assert found.rows_in == found.rows_good + found.rows_rejected
    assert (found.rows_good, found.rows_rejected) == (len(rows), len(bad))
    assert sum(found.rejected_by.values()) == len(bad)
    shown = tuple(f"{row['line']} {row['column'] + ': ' if row['column'] else ''}{row['rule']}" for row in bad)
    return Outcome(found, found.refusal or "", shown, rows)


def check(outcome: Outcome, good: int, bad: tuple[str, ...], refused: str, name: str) -> None:
    if refused:
        assert refused in outcome.refused
        assert outcome.refused.startswith(f"{name}: ")
        assert "\n" not in outcome.refused
        assert len(outcome.refused) < 500
    else:
        assert (len(outcome.rows), outcome.bad, outcome.refused) == (good, bad, "")


@pytest.mark.parametrize("case", [*CSV, *JSON_LINES, *BYTES], ids=lambda case: case.what)
def test_a_dirty_file_ends_as_the_page_says(tmp_path: Path, case: Dirty) -> None:
    source = tmp_path / "upload"
    source.write_bytes(case.content)

    outcome = outcome_of(source, rides(**case.changes), case.name)

    check(outcome, case.good, case.bad, case.refused, case.name)


@pytest.mark.parametrize("case", PARQUET, ids=lambda case: case.what)
def test_an_odd_parquet_file_ends_as_the_page_says(tmp_path: Path, case: Odd) -> None:
    source = tmp_path / "upload"
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({case.select()}) TO '{source}' (FORMAT parquet{case.options})")
    if case.footer[0]:
        source.write_bytes(case.damage(source.read_bytes()))

    outcome = outcome_of(source, rides(format="parquet"), "f.parquet")

    check(outcome, case.good, case.bad, case.refused, "f.parquet")


@pytest.mark.parametrize(
    ("column", "text", "expected"),
    [case[:3] for case in VALUES],
    ids=[f"{case[0].type} {case[1][:30]!a}" for case in VALUES],
)
def test_a_text_is_the_value_that_the_page_says_or_breaks_its_rule(
    tmp_path: Path, column: Column, text: str, expected: object
) -> None:
    dataset = Dataset(name="d", event_time="at", columns={"at": Column(type="timestamp"), "value": column})
    source = tmp_path / "upload"
    source.write_text(f'at,value\n2019-01-01,"{text}"\n2019-01-01,\n', encoding="utf-8")

    outcome = outcome_of(source, dataset, "f.csv")

    if isinstance(expected, Rule):
        assert outcome.bad == (f"2 value: {expected.name}",)
    else:
        assert [row[1] for row in outcome.rows] == [expected, None]
        assert repr(outcome.rows[0][1]) == repr(expected)


def test_the_page_shows_what_is_tested() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert filled(page) == page, "run `python -m tests.support.dirty_page`"


def test_the_page_has_every_table() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page.count("<!-- table: ") == 4
    assert all(case.what in page for case in (*CSV, *JSON_LINES, *BYTES, *PARQUET))
