"""Reading what a person hands to the CLI."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from infra.rows import read_csv_rows, read_json_rows
from perennial.definitions import Column
from perennial.errors import DataError

COLUMNS = {
    "rooms": Column(type="integer"),
    "area": Column(type="double"),
    "balcony": Column(type="boolean"),
    "district": Column(type="string", nullable=True),
}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.json", '[{"rooms": 3}]'),
        ("rows.json", '{"instances": [{"rooms": 3}]}'),
        ("rows.jsonl", '{"rooms": 3}\n\n'),
    ],
)
def test_rows_are_a_list_or_stand_under_their_key_or_one_to_a_line(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))

    assert read_json_rows(str(tmp_path / name), "instances") == [{"rooms": 3}]
    assert read_json_rows(str(tmp_path / f"{name}.gz"), "instances") == [{"rooms": 3}]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not JSON"),
        ('{"rows": []}', "holds no list of objects"),
        ("3", "holds no list of objects"),
        ("[]", "holds no rows"),
    ],
)
def test_what_holds_no_rows_is_refused_with_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "rows.json").write_text(text)

    with pytest.raises(DataError, match=sentence):
        read_json_rows(str(tmp_path / "rows.json"), "instances")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(DataError, match=r"nowhere\.json: cannot be read: No such file"):
        read_json_rows("nowhere.json", "instances")


def test_broken_gzip_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "rows.json.gz").write_bytes(gzip.compress(b'[{"rooms": 3}]', mtime=0)[:-9])

    with pytest.raises(DataError, match="is broken gzip"):
        read_json_rows(str(tmp_path / "rows.json.gz"), "instances")


def _csv(folder: Path, text: str) -> str:
    (folder / "f.csv").write_text(text, encoding="utf-8")
    return str(folder / "f.csv")


def test_csv_texts_become_the_values_that_the_columns_ask_for(tmp_path: Path) -> None:
    file = _csv(tmp_path, "rooms,area,balcony,district,unknown\n3,72.5,true,,x\n")

    assert read_csv_rows(file, COLUMNS) == [{"rooms": 3, "area": 72.5, "balcony": True, "district": None}]


def test_texts_of_a_csv_mean_what_they_mean_in_an_upload(tmp_path: Path) -> None:
    columns = {
        "whole": Column(type="integer", nullable=True),
        "number": Column(type="double", nullable=True),
        "flag": Column(type="boolean", nullable=True),
        "price": Column(type="decimal", precision=38, scale=2),
        "code": Column(type="string"),
    }
    lines = ["whole,number,flag,price,code", "00123, 1.5e1,YES,12345678901234567890.10,00123", "5.0,NA,n,1, x "]
    rows = read_csv_rows(_csv(tmp_path, "\n".join(lines)), columns, ("", "NA"))
    assert rows == [
        {"whole": 123, "number": 15.0, "flag": True, "price": "12345678901234567890.10", "code": "00123"},
        {"whole": 5, "number": None, "flag": False, "price": "1", "code": " x "},
    ]


@pytest.mark.parametrize("text", ["1_000", "0x1F", "1,5", "\uff11", "inf", "nan", "1e400", "1.5 2"])
def test_a_text_that_an_upload_may_not_hold_is_no_number_here_either(tmp_path: Path, text: str) -> None:
    for column in (Column(type="integer"), Column(type="double")):
        with pytest.raises(DataError, match=rf"line 2: x: .* is no {column.type}"):
            read_csv_rows(_csv(tmp_path, f'x\n"{text}"\n'), {"x": column})


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_of_a_csv_tells_its_delimiter(tmp_path: Path, delimiter: str) -> None:
    rows = [["\ufeffbalcony", "rooms", "area"], ["F", "3", "72.5"]]
    file = _csv(tmp_path, "\r\n".join(delimiter.join(row) for row in rows))

    assert read_csv_rows(file, COLUMNS) == [{"rooms": 3, "area": 72.5, "balcony": False, "district": None}]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("rooms,area,balcony\n3,1,1\nthree,1,1\n", r"f\.csv: line 3: rooms: 'three' is no integer"),
        ("rooms,area\n3,1\n", r"f\.csv: lacks the column balcony"),
        ("rooms,area,balcony\n", r"f\.csv: holds no rows"),
        ("", r"f\.csv: lacks the column rooms"),
    ],
)
def test_a_csv_that_cannot_be_read_is_refused_with_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read_csv_rows(_csv(tmp_path, text), COLUMNS)
