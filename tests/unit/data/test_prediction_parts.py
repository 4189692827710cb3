"""Parts of the log: exact doubles, equal bytes of equal rows, rows that are found again."""

from __future__ import annotations

import json
import math
import random
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.data.prediction_columns import join, read_columns
from perennial.data.prediction_parts import PartRow, find_row, part_of, rows_of
from perennial.data.prediction_runs import read_runs

FEATURES = ("v__a", "v__b")
DOUBLES = st.floats(allow_nan=False, allow_infinity=False)


def a_row(number: int = 0, **changes: Any) -> PartRow:
    example: dict[str, Any] = {
        "request_id": f"01D4V8SW00000000000000{number:04}",
        "row": 0,
        "rows": 1,
        "answered_at": 1551398400000000 + number,
        "route": "champion",
        "milliseconds": 1.5,
        "error": "",
        "inputs": json.dumps({"a": number, "note": "'quoted'; 漢字"}),
        "prediction": number / 7,
        "probabilities": None,
        "process": "01D4V8SW00ZZZZZZZZZZZZZZZZ",
        "sequence": number,
        "unwritten": 0,
        "features": [float(number), None],
    }
    return PartRow(**{**example, **changes})


@settings(max_examples=20, deadline=None)
@given(values=st.lists(st.tuples(DOUBLES, st.none() | DOUBLES, DOUBLES), min_size=1, max_size=30))
def test_doubles_are_kept_to_the_last_bit_and_missing_ones_are_missing(values: list[tuple[float, ...]]) -> None:
    rows = [
        a_row(number, prediction=value, features=[first, second])
        for number, (value, second, first) in enumerate(values)
    ]
    content, count = part_of(rows, FEATURES)
    (table,) = read_columns([content])
    assert count == len(table) == len(values)
    assert list(map(repr, table.predictions.tolist())) == [repr(value) for value, _, _ in values]
    assert list(map(repr, table.features["v__a"].tolist())) == [repr(value) for _, _, value in values]
    assert list(map(repr, table.features["v__b"].tolist())) == [
        repr(math.nan if v is None else v) for _, v, _ in values
    ]


def test_the_same_rows_make_the_same_bytes_in_any_order_and_twice_is_once() -> None:
    rows = [a_row(number) for number in range(50)]
    shuffled = [*rows, *rows[:10]]
    random.Random(1).shuffle(shuffled)
    assert part_of(shuffled, FEATURES) == part_of(rows, FEATURES)
    assert part_of(rows, FEATURES)[1] == 50
    assert part_of(rows[1:], FEATURES)[0] != part_of(rows, FEATURES)[0]


def test_a_row_is_found_with_all_that_is_known_of_it() -> None:
    content, _ = part_of([a_row(1), a_row(2, probabilities=[0.25, 0.75]), a_row(3)], FEATURES)
    found = find_row(content, a_row(2).request_id, 0)
    assert found is not None
    assert found.inputs == {"a": 2, "note": "'quoted'; 漢字"}
    assert found.features == {"v__a": 2.0, "v__b": None}
    assert (found.prediction, found.probabilities) == (2 / 7, [0.25, 0.75])
    assert found.answered_at == datetime(2019, 3, 1, 0, 0, 0, 2)
    assert find_row(content, a_row(2).request_id, 1) is None
    assert find_row(content, a_row(4).request_id, 0) is None


def test_a_failure_has_neither_prediction_nor_features() -> None:
    failed = a_row(1, error="DataError", prediction=None, features=())
    (table,) = read_columns([part_of([failed, a_row(2, probabilities=[0.5, 0.5])], FEATURES)[0]])
    assert table.errors.tolist() == ["DataError", ""]
    assert np.isnan(table.predictions).tolist() == [True, False]
    assert np.isnan(table.features["v__a"]).tolist() == [True, False]
    assert table.probabilities is not None
    assert np.isnan(table.probabilities).all(axis=1).tolist() == [True, False]
    (alone,) = read_columns([part_of([failed], FEATURES)[0]])
    assert alone.probabilities is None
    assert np.isnan(alone.matrix(FEATURES)).all()


def test_rows_of_a_redelivery_count_once_and_the_latest_comes_first() -> None:
    first, second = [a_row(0), a_row(1)], [a_row(1), a_row(2), a_row(2, route="shadow")]
    table = join(read_columns([part_of(first, FEATURES)[0], part_of(second, FEATURES)[0]]))
    assert [(name[-1], route) for name, route in zip(table.request_ids, table.routes, strict=True)] == [
        ("2", "shadow"),
        ("2", "champion"),
        ("1", "champion"),
        ("0", "champion"),
    ]


def test_a_request_is_known_with_how_many_rows_it_has() -> None:
    parts = [part_of([a_row(1, row=row, rows=3) for row in (0, 1)], FEATURES)[0], part_of([a_row(2)], FEATURES)[0]]
    assert rows_of(parts) == {a_row(1).request_id: 3, a_row(2).request_id: 1}
    assert rows_of([]) == {}


def test_the_runs_of_lines_are_told_with_their_first_time_and_what_was_not_written() -> None:
    rows = [a_row(number, unwritten=2 * (number > 5)) for number in (0, 1, 2, 5, 6)]
    cut = [*rows, a_row(6, row=1), a_row(9, process="01D4V8SW01ZZZZZZZZZZZZZZZZ")]  # two rows of one line
    ((first, second, other),) = read_runs([part_of(cut, FEATURES)[0]])
    assert (first.first, first.last, first.unwritten_before, first.unwritten) == (0, 2, 0, 0)
    assert (second.first, second.last, second.unwritten_before, second.unwritten) == (5, 6, 0, 2)
    assert second.at == datetime(2019, 3, 1, 0, 0, 0, 5)
    assert (other.process[9], other.first) == ("1", 9)


def test_a_part_is_read_by_anybody_with_duckdb(tmp_path: Any) -> None:
    path = tmp_path / "part.parquet"
    path.write_bytes(part_of([a_row(number) for number in range(10)], FEATURES)[0])
    with duckdb.connect() as connection:
        query = f"SELECT avg(v__a), max(inputs->>'$.a'), count(v__b) FROM '{path}'"
        assert connection.execute(query).fetchall() == [(4.5, "9", 0)]


def test_a_matrix_has_the_features_in_the_order_that_is_asked_for() -> None:
    (table,) = read_columns([part_of([a_row(1, features=[1.0, 2.0])], FEATURES)[0]])
    assert table.matrix(("v__b", "v__a")).tolist() == [[2.0, 1.0]]
    assert table.matrix(()).shape == (1, 0)
