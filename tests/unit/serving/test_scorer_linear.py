from __future__ import annotations

import math
from array import array
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.errors import DataError
from perennial.flat_file import pack
from perennial.serving.scorer import read_scorer

HEADER = {
    "format": 1, "kind": "linear", "features": 3, "outputs": 1, "seen": [], "link": "identity", "scale": "target",
}  # fmt: skip
ARRAYS: dict[str, Any] = {
    "places": array("i", [2, 0]),
    "fill": array("d", [5.0, 1.0]),
    "mean": array("d", [4.0, 0.0]),
    "scale": array("d", [2.0, 1.0]),
    "centre": array("d", [0.0, 0.25]),
    "weights": array("d", [10.0, 7.0]),
    "category_places": array("i", [1]),
    "categories": array("i", [3]),
    "category_weights": array("d", [100.0, 200.0, 400.0]),
    "shares": array("d", [0.5, 0.25, 0.0]),
    "intercept": array("d", [3.0]),
}
"""3 + 10 (x2 - 4) / 2 + 7 x0 + what the category x1 weighs; missing: 5, 1 and nothing."""


def content(header: dict[str, Any] | None = None, **arrays: Any) -> bytes:
    return pack(HEADER | (header or {}), ARRAYS | arrays)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ((0.0, 0.0, 4.0), 103.0),
        ((1.0, 1.0, 6.0), 220.0),
        ((0.0, 2.0, 4.0), 403.0),
        ((0.0, 3.0, 4.0), 3.0),
        ((0.0, 0.5, 4.0), 3.0),
        ((math.nan, math.nan, math.nan), 15.0),
    ],
)
def test_it_is_the_sum_that_hand_arithmetic_gives(row: tuple[float, ...], expected: float) -> None:
    scorer = read_scorer(content())
    assert scorer.score([row]) == [expected]
    assert scorer.score_matrix(np.array([row])).tolist() == [expected]


def test_contributions_start_from_the_training_rows() -> None:
    """On average 3 + 7 / 4 + 100 / 2 + 200 / 4; the row has the category 2, x0 = 1 and x2 = 8."""
    found = read_scorer(content()).contributions([1.0, 2.0, 8.0])
    assert (found.base, found.values) == ((104.75,), ((5.25, 300.0, 20.0),))
    assert read_scorer(content()).score([[1.0, 2.0, 8.0]]) == [430.0]


VALUES = st.one_of(st.floats(), st.sampled_from([math.nan, 0.0, 1.0, 2.0]))


@given(
    st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=5),
    st.lists(st.floats(-1e3, 1e3), min_size=15, max_size=15),
    st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=4),
)
def test_a_row_alone_and_rows_together_are_the_same_bits(
    rows: list[tuple[float, ...]], weights: list[float], others: list[float]
) -> None:
    scorer = read_scorer(
        content(
            {"outputs": 4, "seen": [0, 2, 3], "link": "softmax", "scale": "log_odds"},
            weights=array("d", weights[:6]),
            category_weights=array("d", weights[6:]),
            intercept=array("d", others[:3]),
            fill=array("d", others[2:]),
        )
    )
    single = [scorer.score([row])[0] for row in rows]
    np.testing.assert_array_equal(np.array(single), scorer.score_matrix(np.array(rows)), strict=True)


@pytest.mark.parametrize("name", ARRAYS)
def test_a_file_with_a_number_less_is_refused(name: str) -> None:
    with pytest.raises(DataError, match=r"model.flat: "):
        read_scorer(content(**{name: ARRAYS[name][:-1]}))


@pytest.mark.parametrize(
    "changes",
    [
        {"places": array("i", [2, 3])}, {"places": array("i", [-1, 0])}, {"category_places": array("i", [3])},
        {"scale": array("d", [2.0, 0.0])}, {"categories": array("i", [-3])}, {"categories": array("i", [4])},
        {"weights": array("i", [1, 2])}, {"more": array("i")},
    ],
    ids=lambda changes: "-".join(f"{name}={values.tolist()}" for name, values in changes.items()),
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"model.flat: "):
        read_scorer(content(**changes))
