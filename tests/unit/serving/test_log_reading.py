"""Lines of the prediction log, read: whole ones and no others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perennial.errors import DataError
from perennial.serving.ids import make_request_id
from perennial.serving.log_reading import is_line, read_line
from tests.support.prediction_logs import PROCESS, a_request, lines_of
from tests.support.records import AT


def test_other_output_that_holds_the_word_is_no_line() -> None:
    (text,) = lines_of([a_request()])
    assert is_line(text)
    assert not is_line(json.dumps({"message": text}))
    assert not is_line("START RequestId: 1 Version: $LATEST")


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_line_that_was_cut_is_refused(cut: int) -> None:
    (text,) = lines_of([a_request()])
    with pytest.raises(DataError, match="cannot be read"):
        read_line(text[:-cut])


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "../elsewhere"},
        {"request_id": "x"},
        {"route": "aside"},
        {"rows": 2},
        {"row": 1},
        {"version": "1"},
        {"version": 0},
        {"process": None},
        {"more": 1},
    ],
    ids=str,
)
def test_a_line_that_says_nonsense_is_refused(changes: dict[str, Any]) -> None:
    (text,) = lines_of([a_request()])
    with pytest.raises(DataError, match="cannot be read"):
        read_line(json.dumps({**json.loads(text), **changes}))


def test_a_line_says_what_the_request_says_of_itself() -> None:
    (text,) = lines_of([a_request(model="rent", version=7, route="shadow", milliseconds=0.1234567)])
    line = read_line(text)
    said = (line.process, line.model, line.version, line.request_id, line.route, line.milliseconds, line.error)
    assert said == (PROCESS, "rent", 7, make_request_id(AT, bytes(10)), "shadow", 0.123, "")
