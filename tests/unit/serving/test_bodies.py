"""Rows in each of the shapes that callers send, and every fault by its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perennial.errors import RequestError, TooLargeError
from perennial.serving.bodies import MAX_EXPLAINED, read_asked, read_body
from perennial.serving.json_body import MAX_DEPTH

ROWS = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
SPLIT = {"columns": ["a", "b"], "data": [[1, "x"], [2, None]]}


@pytest.mark.parametrize(
    ("body", "shape", "place"),
    [
        ({"instances": ROWS}, "instances", "instances[1].b"),
        ({"dataframe_records": ROWS}, "dataframe", "dataframe_records[1].b"),
        ({"dataframe_split": SPLIT}, "dataframe", "dataframe_split.data[1][1]"),
        ({"dataframe_split": {**SPLIT, "index": [7, 8]}, "explain": True}, "dataframe", "dataframe_split.data[1][1]"),
    ],
    ids=["instances", "records", "split", "index"],
)
def test_each_shape_gives_the_same_rows_and_places_of_its_own(body: dict[str, Any], shape: str, place: str) -> None:
    asked = read_asked(json.dumps(body))
    assert (asked.rows, asked.shape, asked.place(1, "b")) == (ROWS, shape, place)
    assert asked.place(1, None) == place.rpartition(".b")[0] or place.removesuffix("[1]") == asked.place(1, None)
    assert asked.explain is ("explain" in body)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "instances"),
        ({"instances": ROWS, "dataframe_records": ROWS}, "dataframe_records"),
        ({"instances": ROWS, "signature_name": "x"}, "signature_name"),
        ({"instances": ROWS, "explain": 1}, "explain"),
        ({"instances": []}, "instances"),
        ({"instances": [1]}, "instances[0]"),
        ({"instances": [{"a": [1]}]}, "instances[0].a"),
        ({"dataframe_records": {"a": 1}}, "dataframe_records"),
        ({"dataframe_records": [{"a": {}}]}, "dataframe_records[0].a"),
        ({"dataframe_split": []}, "dataframe_split"),
        ({"dataframe_split": {"columns": ["a"]}}, "dataframe_split.data"),
        ({"dataframe_split": {**SPLIT, "dtype": 1}}, "dataframe_split.dtype"),
        ({"dataframe_split": {**SPLIT, "columns": ["a", "a"]}}, "dataframe_split.columns"),
        ({"dataframe_split": {**SPLIT, "columns": ["a", 1]}}, "dataframe_split.columns"),
        ({"dataframe_split": {**SPLIT, "data": []}}, "dataframe_split.data"),
        ({"dataframe_split": {**SPLIT, "data": [[1, 2], [1]]}}, "dataframe_split.data[1]"),
        ({"dataframe_split": {**SPLIT, "data": [[1, {}]]}}, "dataframe_split.data[0][1]"),
        ({"dataframe_split": {**SPLIT, "index": [1]}}, "dataframe_split.index"),
    ],
    ids=str,
)
def test_a_body_that_is_none_of_them_is_refused_by_its_place(body: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_asked(json.dumps(body))
    assert caught.value.field == field
    assert not isinstance(caught.value, TooLargeError)


def test_as_many_rows_as_are_explained_in_one_call_and_no_more() -> None:
    body = {"instances": [{"a": 1}] * MAX_EXPLAINED, "explain": True}
    assert len(read_asked(json.dumps(body)).rows) == MAX_EXPLAINED
    body["instances"] = [{"a": 1}] * (MAX_EXPLAINED + 1)
    with pytest.raises(TooLargeError, match="101"):
        read_asked(json.dumps(body))
    assert read_asked(json.dumps({**body, "explain": False})).rows


def test_a_thousand_rows_are_read_from_each_shape_and_no_more() -> None:
    for count, error in ((1000, None), (1001, TooLargeError)):
        for body in (
            {"dataframe_records": [{"a": 1}] * count},
            {"dataframe_split": {"columns": ["a"], "data": [[1]] * count}},
        ):
            if error is None:
                assert len(read_asked(json.dumps(body)).rows) == count
            else:
                with pytest.raises(error):
                    read_asked(json.dumps(body))


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    return opening * depth + closing * depth


@pytest.mark.parametrize("inner", [nested(MAX_DEPTH), '{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH], ids=["[", "{"])
def test_deep_nesting_is_told_from_what_is_no_json(inner: str) -> None:
    with pytest.raises(RequestError, match=f"nests more than {MAX_DEPTH} levels"):
        read_asked(f'{{"instances": {inner}}}')
    with pytest.raises(RequestError, match="must be"):
        read_asked(f'{{"instances": {nested(MAX_DEPTH - 1)}}}')
    with pytest.raises(RequestError, match="not JSON"):
        read_asked(f'{{"instances": {inner[:-1]}}}')


def test_brackets_in_texts_nest_nothing() -> None:
    text = '\\"[{' * 50
    assert read_asked(f'{{"instances": [{{"a": "{text}"}}]}}').rows == [{"a": '"[{' * 50}]


def test_a_hundred_thousand_levels_are_refused_and_do_not_overflow() -> None:
    with pytest.raises(RequestError, match="nests"):
        read_asked(nested(100_000))


def test_the_resource_says_whether_tensors_are_meant() -> None:
    tensor = {"name": "a", "shape": [1], "datatype": "INT64", "data": [1]}
    assert read_body(json.dumps({"inputs": [tensor]}), "/v2/models/{model}/infer").shape == "tensors"
    assert read_body(json.dumps({"instances": ROWS}), "/models/{model}/predict").shape == "instances"
