"""JSON Lines: what each line becomes, and which columns the file has."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from perennial.data.contract.validate import validate
from perennial.data.reading.json_source import open_jsonl
from perennial.data.reading.sources import BadRecord
from perennial.definitions import Column, Dataset
from perennial.errors import DataError
from tests.support.dirty_files import LINE, rides

TEXTS = rides(format="jsonl")


class Read:
    """What a file's stretches gave."""

    def __init__(self, folder: Path, content: bytes, dataset: Dataset = TEXTS, block: int = 1 << 20) -> None:
        (folder / "upload").write_bytes(content)
        self.rows: list[tuple[object, ...]] = []
        self.lines: list[int] = []
        self.values: list[list[str | None]] = []
        self.raw: list[str] = []
        self.bad: list[BadRecord] = []
        with (
            open_jsonl(folder / "upload", dataset, folder, name="f", block=block) as source,
            duckdb.connect() as connection,
        ):
            for prepare in source.stretches():
                stretch = prepare(connection)
                rows = connection.execute(stretch.select).fetchall()
                assert len(rows) == stretch.rows
                self.rows += rows
                self.lines += [stretch.line(row) for row in range(len(rows))]
                self.values += [
                    [stretch.value(row, place) for place in range(len(dataset.columns))] for row in range(len(rows))
                ]
                self.raw += [stretch.raw(row) for row in range(len(rows))]
                self.bad += stretch.bad
            self.added, self.absent = source.added_columns, source.absent_columns


def line(**changes: Any) -> bytes:
    return json.dumps({"at": "2019-01-01", "zone": 1, "miles": 2.5, "note": "x", **changes}).encode() + b"\n"


@pytest.mark.parametrize("block", [1, 10, 100, 1 << 20])
def test_rows_keep_their_order_and_lines_however_the_file_is_cut(tmp_path: Path, block: int) -> None:
    content = b"".join(line(zone=zone) for zone in range(5)) + b"nonsense\r\n" + line(zone=5)[:-1]

    read = Read(tmp_path, content, block=block)

    assert [row[1] for row in read.rows] == ["0", "1", "2", "3", "4", "5"]
    assert read.lines == [1, 2, 3, 4, 5, 7]
    assert [(bad.line, bad.rule) for bad in read.bad] == [(6, "json")]


@pytest.mark.parametrize(
    "text", ["", "\x01", "\x01\x01", 'a,"b"', "a\nb", "a\r\nb", "\r", "#", " x ", "'", "\\", "\u2028", "😀"]
)
def test_a_text_goes_through_unchanged_and_is_not_null(tmp_path: Path, text: str) -> None:
    read = Read(tmp_path, line(note=text) + line(note=None) + line(note="y"))

    assert [row[3] for row in read.rows] == [text, None, "y"]
    assert [values[3] for values in read.values] == [text, None, "y"]


def test_digits_of_numbers_stay_as_they_are_written(tmp_path: Path) -> None:
    digits = "0.12345678901234567890123456789"
    dataset = rides(format="jsonl", columns={**TEXTS.columns, "price": Column(type="decimal", precision=38, scale=29)})
    content = LINE.replace(b"}", f', "price": {digits}}}'.encode() + b"") + LINE.replace(b"}", b', "price": "1.50"}')
    (tmp_path / "upload").write_bytes(content)

    found = validate(tmp_path / "upload", dataset, tmp_path, tmp_path / "bad", name="f")

    rows = duckdb.execute("SELECT price FROM read_parquet(?)", [str(found.parts[0].path)]).fetchall()
    assert rows == [(Decimal(digits),), (Decimal("1.50"),)]


@pytest.mark.parametrize(
    ("column", "written", "right"),
    [
        ("integer", "5", True),
        ("integer", '"5"', False),
        ("integer", "true", False),
        ("double", "5", True),
        ("double", '"5"', False),
        ("boolean", "true", True),
        ("boolean", "1", False),
        ("boolean", '"true"', False),
        ("string", '"5"', True),
        ("string", "5", False),
        ("string", "false", False),
        ("string", "[]", False),
        ("categorical", "5", False),
        ("timestamp", '"2019-01-01"', True),
        ("timestamp", "1546300800", False),
        ("date", '"2019-01-01"', True),
        ("date", "20190101", False),
    ],
)
def test_a_value_of_another_json_type_breaks_the_rule_type(
    tmp_path: Path, column: Any, written: str, right: bool
) -> None:
    dataset = Dataset(
        name="d",
        format="jsonl",
        event_time="at",
        columns={"at": Column(type="timestamp"), "value": Column(type=column)},
    )
    (tmp_path / "upload").write_text(f'{{"at": "2019-01-01", "value": {written}}}\n')

    found = validate(tmp_path / "upload", dataset, tmp_path, tmp_path / "bad", name="f")

    assert dict(found.rejected_by) == ({} if right else {"value: type": 1})
    if not right:
        bad = json.loads((tmp_path / "bad").read_text())
        assert bad["value"] == {"[]": "[…]"}.get(written, written)
        assert "\x02" not in bad["reason"]
        assert bad["raw"] == f'{{"at": "2019-01-01", "value": {written}}}'


def test_keys_that_the_contract_does_not_know_are_recorded_in_the_order_in_which_they_come(tmp_path: Path) -> None:
    read = Read(tmp_path, line(b={"zone": 7}) + line(a=1, b=2))

    assert read.added == ("b", "a")
    assert [row[1] for row in read.rows] == ["1", "1"]


def test_an_optional_column_may_be_in_no_line(tmp_path: Path) -> None:
    tip = Column(type="double", nullable=True, optional=True)
    dataset = rides(format="jsonl", columns={**TEXTS.columns, "tip": tip})

    assert Read(tmp_path, LINE, dataset).absent == ("tip",)
    assert Read(tmp_path, LINE + line(tip=1), dataset).absent == ()


def test_a_contract_may_refuse_keys_that_it_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^f: line 2 has the key tip, which the contract does not know"):
        Read(tmp_path, LINE + line(tip=1), rides(format="jsonl", extra_columns="refuse"))


def test_a_column_that_no_line_has_refuses_the_file_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^f: no line has the key zone, so the file is refused as a whole"):
        Read(tmp_path, b'{"at": "2019-01-01", "miles": 1, "note": "x"}\n' * 3)


def test_a_key_s_name_is_shown_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        Read(tmp_path, line(**{"a\nb" + "c" * 1000: 1}), rides(format="jsonl", extra_columns="refuse"))

    assert r"the key a\nbccc" in str(error.value)
    assert len(str(error.value)) < 300


def test_what_is_wrong_with_a_line_is_told_where_it_stands(tmp_path: Path) -> None:
    read = Read(tmp_path, LINE + b'{"at": NaN}\n{"at": 1,}\n')

    assert [bad.reason for bad in read.bad] == [
        "the line is not JSON: NaN is no number; write null or a number",
        "the line is not JSON: Expecting property name enclosed in double quotes at character 10",
    ]
    assert [bad.raw for bad in read.bad] == ['{"at": NaN}', '{"at": 1,}']
