"""Reading what a person hands to the CLI."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from infra.operations import _typed, read_json_rows
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
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))

    assert read_json_rows(str(tmp_path / name), "instances") == [{"rooms": 3}]
    assert read_json_rows(str(tmp_path / f"{name}.gz"), "instances") == [{"rooms": 3}]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("{", "is not JSON"), ('{"rows": []}', "holds no list of objects"), ("3", "holds no list of objects")],
)
def test_what_holds_no_rows_is_refused_with_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "rows.json").write_text(text)

    with pytest.raises(DataError, match=sentence):
        read_json_rows(str(tmp_path / "rows.json"), "instances")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(DataError, match=r"nowhere\.json: cannot be read: No such file"):
        read_json_rows("nowhere.json", "instances")


def test_csv_texts_become_the_values_that_the_columns_ask_for() -> None:
    row = {"rooms": "3", "area": "72.5", "balcony": "true", "district": "", "unknown": "x"}

    assert _typed(row, COLUMNS, "f.csv:2") == {"rooms": 3, "area": 72.5, "balcony": True, "district": None}


def test_a_csv_text_that_is_no_such_value_is_named_with_its_line() -> None:
    with pytest.raises(DataError, match=r"f\.csv:7: rooms: 'three' is no integer"):
        _typed({"rooms": "three"}, COLUMNS, "f.csv:7")
