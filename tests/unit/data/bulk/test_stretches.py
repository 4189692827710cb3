"""The line of each row of a file."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import duckdb
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from perennial.data.bulk.stretches import StretchReader, lines_of, note_rows
from perennial.data.contract.validate import OPENERS
from perennial.data.engine import Resources, connect
from tests.support.dirty_files import rides


@given(st.lists(st.integers(1, 3), min_size=1), st.data())
def test_lines_are_those_that_are_asked_for_one_by_one(steps: list[int], data: st.DataObject) -> None:
    known = np.cumsum(steps)
    rows = sorted(data.draw(st.sets(st.integers(0, len(steps) - 1), min_size=1)))
    found = lines_of(lambda row: int(known[row]), np.array(rows))
    assert found.tolist() == known[rows].tolist()


def test_few_lines_are_asked_for_where_a_row_is_a_line() -> None:
    asked = []

    def line(row: int) -> int:
        asked.append(row)
        return row + 2

    assert lines_of(line, np.arange(100_000)).tolist() == list(range(2, 100_002))
    assert len(asked) == 2


def test_no_rows_have_no_lines() -> None:
    assert lines_of(lambda row: row, np.arange(0)).size == 0


def test_rows_that_keep_the_contract_have_the_lines_on_which_they_begin(tmp_path: Path) -> None:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["at", "zone", "miles", "note"])
    notes = ["x", "two\nlines", "x", "three\nlines\nhere", "x"]
    for zone, note in enumerate(notes):
        writer.writerow(["2019-01-01", zone if zone != 2 else "none", 1.5, note])
    source, blocks = tmp_path / "f.csv", tmp_path / "blocks"
    source.write_text(file.getvalue(), newline="")
    blocks.mkdir()
    reader = StretchReader(rides(), "f.csv")
    with (
        OPENERS["csv"](source, rides(), blocks, name="f.csv", block=1 << 20) as opened,
        connect(tmp_path, Resources(threads=1)) as connection,
    ):
        (prepare,) = opened.stretches()
        good = reader.read(connection, note_rows(connection), prepare, 0, tmp_path)
    # Worked out by hand: the header, then rows of 1, 2, 1, 3 and 1 lines, the third of which is bad.
    assert good.lines.tolist() == [2, 3, 6, 9]
    assert dict(good.rejected_by) == {"zone: type": 1}
    assert duckdb.execute(f"SELECT zone FROM '{good.part}'").fetchall() == [(0,), (1,), (3,), (4,)]
