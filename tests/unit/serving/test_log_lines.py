"""Lines of the prediction log: what is written is read again, cut where it is long, counted where it is lost."""

from __future__ import annotations

import io
import json
import math
import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.serving.ids import make_request_id
from perennial.serving.log_lines import MARKER, MAX_LINE, StdoutPredictionLog
from perennial.serving.log_reading import LogLine, is_line, read_line
from perennial.serving.logged import LogPolicy
from tests.support.prediction_logs import PROCESS, a_request, lines_of
from tests.support.records import AT

DOUBLES = st.floats(allow_infinity=False)
JSON_VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


class Full(io.StringIO):
    """A stream that refuses some writes."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False

    def write(self, text: str) -> int:
        if self.broken:
            raise OSError("no space left on device")
        return super().write(text)


def read(lines: Sequence[str]) -> list[LogLine]:
    return [read_line(line) for line in lines]


def rows_of(lines: Sequence[LogLine], column: str) -> list[Any]:
    return [value for line in lines for value in line.inputs[column]]


@given(
    rows=st.lists(st.tuples(JSON_VALUES, DOUBLES, DOUBLES, st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20)
)
def test_every_value_comes_back_as_it_was(rows: list[tuple[Any, ...]]) -> None:
    inputs, first, second, value, chance = (list(column) for column in zip(*rows, strict=True))
    features = [list(pair) for pair in zip(first, second, strict=True)]
    chances = [[each, 1 - each] for each in chance]
    (line,) = read(lines_of([a_request(inputs={"a": inputs}, features=features, values=value, probabilities=chances)]))
    assert list(line.inputs["a"]) == inputs
    missing_as_null = [[None if math.isnan(one) else one for one in row] for row in features]
    # repr tells -0.0 from 0.0, and one double from the next
    assert list(map(repr, line.features)) == list(map(repr, missing_as_null))
    assert (list(line.values), line.probabilities) == (value, chances)


def test_a_line_is_strict_json_that_begins_with_its_marker() -> None:
    (text,) = lines_of([a_request()])
    assert is_line(text)
    assert next(iter(json.loads(text, parse_constant=pytest.fail))) == MARKER
    assert not is_line(json.dumps({"message": text}))


def test_moments_and_decimals_are_texts_and_the_time_is_kept_to_the_microsecond() -> None:
    at = datetime(2019, 3, 1, 8, 30, 0, 123456, tzinfo=UTC)
    inputs = {"when": [datetime(2019, 3, 1, 8, 30)], "day": [date(2019, 3, 1)], "price": [Decimal("1.50")]}
    (line,) = read(lines_of([a_request(at=at, inputs=inputs)]))
    assert line.inputs == {"when": ["2019-03-01T08:30:00"], "day": ["2019-03-01"], "price": ["1.50"]}
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=line.at) == at


@given(count=st.integers(1, 400), length=st.integers(0, 3000))
def test_a_long_request_is_cut_by_rows_and_each_row_is_in_one_line(count: int, length: int) -> None:
    notes = [f"{number}:{'ü' * length}" for number in range(count)]
    request = a_request(inputs={"note": notes}, features=[[float(n)] for n in range(count)], values=[1.0] * count)
    texts = lines_of([request])
    lines = read(texts)
    assert max(map(len, texts)) < MAX_LINE + 1000 < 256 * 1024
    assert rows_of(lines, "note") == notes
    assert [line.row + n for line in lines for n in range(line.rows)] == list(range(count))
    assert [line.sequence for line in lines] == list(range(len(lines)))
    assert {line.of for line in lines} == {count}


def test_a_row_that_fits_no_line_is_counted_and_the_others_are_written() -> None:
    huge = "x" * (MAX_LINE + 1)
    request = a_request(inputs={"note": ["a", huge, "b"]}, features=[[1.0]] * 3, values=[1.0] * 3)
    lines = read(lines_of([request, a_request()]))
    assert rows_of(lines[:-1], "note") == ["a", "b"]
    assert [line.row for line in lines[:-1]] == [0, 2]
    assert [line.unwritten for line in lines] == [0, 0, 1]


def test_what_a_full_stream_refuses_is_counted_without_a_gap() -> None:
    stream = Full()
    log = StdoutPredictionLog(lambda: stream, lambda: PROCESS)
    log.write(a_request())
    stream.broken = True
    log.write(a_request(inputs={"a": [1, 2]}, features=[[1.0]] * 2, values=[1.0] * 2))
    stream.broken = False
    log.write(a_request())
    lines = read(stream.getvalue().splitlines())
    assert [(line.sequence, line.unwritten) for line in lines] == [(0, 0), (1, 2)]


@pytest.mark.parametrize(
    "broken",
    [
        {"values": [1.0, 2.0]},
        {"inputs": {"a": [float("nan")]}},
        {"milliseconds": "soon"},
        {"at": AT.replace(tzinfo=None)},
    ],
    ids=["uneven columns", "NaN among inputs", "no number", "no zone"],
)
def test_what_cannot_be_said_is_counted_and_raises_nothing(broken: dict[str, Any]) -> None:
    lines = read(lines_of([a_request(**broken), a_request()]))
    assert len(lines) == 1
    assert lines[0].unwritten >= 1


def test_a_version_that_failed_leaves_a_line_without_values() -> None:
    failed = a_request(error="DefinitionError", features=[], values=[], inputs={"a": [1, 2]})
    unread = a_request(error="DataError", features=[], values=[], inputs={})
    lines = read(lines_of([failed, unread]))
    assert [(line.error, line.rows, line.values) for line in lines] == [
        ("DefinitionError", 2, []),
        ("DataError", 1, []),
    ]


def test_masked_columns_are_nowhere_in_a_line() -> None:
    policy = LogPolicy(masked_inputs=frozenset({"email"}), masked_features=frozenset({1}))
    request = a_request(inputs={"email": ["ada@example.org"], "a": [1]}, features=[[1.0, 4711.0]], policy=policy)
    (text,) = lines_of([request])
    assert "ada@example.org" not in text
    assert "email" not in text
    assert "4711" not in text
    line = read_line(text)
    assert (line.inputs, line.features) == ({"a": [1]}, [[1.0, None]])


def test_lines_are_counted_for_each_version_and_whole_whatever_the_threads() -> None:
    stream = io.StringIO()
    log = StdoutPredictionLog(lambda: stream, lambda: PROCESS)

    def write(version: int) -> None:
        for number in range(50):
            log.write(a_request(version=version, inputs={"a": [number]}))

    threads = [threading.Thread(target=write, args=(1 + number % 2,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = read(stream.getvalue().splitlines())
    for version in (1, 2):
        assert [line.sequence for line in lines if line.version == version] == list(range(200))


def test_a_process_is_named_at_its_first_request_and_once() -> None:
    names = iter([make_request_id(AT, bytes(10)), "never"])
    stream = io.StringIO()
    log = StdoutPredictionLog(lambda: stream, lambda: next(names))
    log.write(a_request())
    log.write(a_request())
    assert {line.process for line in read(stream.getvalue().splitlines())} == {make_request_id(AT, bytes(10))}


def test_a_request_outside_the_sample_is_not_written_and_leaves_no_gap() -> None:
    none = a_request(policy=LogPolicy(sample=0.0))
    lines = read(lines_of([a_request(), none, a_request()]))
    assert [(line.sequence, line.unwritten) for line in lines] == [(0, 0), (1, 0)]
