"""Requests of the Open Inference Protocol: rows out of tensors, and every fault by its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perennial.errors import RequestError, TooLargeError
from perennial.serving.tensors import read_tensors


def tensor(name: str = "a", datatype: str = "INT64", data: Any = (1, 2), shape: Any = None, **more: Any) -> Any:
    shape = [len(data)] if shape is None else shape
    return {"name": name, "shape": shape, "datatype": datatype, "data": list(data), **more}


def read(*inputs: Any, **more: Any) -> Any:
    return read_tensors(json.dumps({"inputs": list(inputs), **more}))


def test_the_tensors_of_a_request_are_the_columns_of_its_rows() -> None:
    asked = read(
        tensor("whole", "UINT8", [0, 255]),
        tensor("real", "FP32", [1, 2.5], [2, 1]),
        tensor("nested", "FP64", [[1.5], [None]], [2, 1]),
        tensor("text", "BYTES", ["x", "☃"], parameters={"content_type": "str"}),
        tensor("flag", "BOOL", [True, None]),
        id="mine",
        parameters={"anything": {"goes": [1]}, "explain": True},
        outputs=[{"name": "value", "parameters": {"binary_data": False}}],
    )
    assert asked.rows == [
        {"whole": 0, "real": 1, "nested": 1.5, "text": "x", "flag": True},
        {"whole": 255, "real": 2.5, "nested": None, "text": "☃", "flag": None},
    ]
    assert (asked.name, asked.shape, asked.explain, asked.outputs) == ("mine", "tensors", True, ("value",))
    assert asked.place(1, "text") == "inputs[3].data[1]"


@pytest.mark.parametrize(
    ("datatype", "fits", "not_fits"),
    [
        ("BOOL", [True, False], [0, "true"]),
        ("INT8", [-128, 127], [-129, 128, 1.0, True]),
        ("UINT16", [0, 65535], [-1, 65536]),
        ("INT64", [-(2**63), 2**63 - 1], [2**63]),
        ("FP64", [1, 1.5, -1e308], ["1", True]),
        ("BYTES", ["", "x"], [1, True]),
    ],
    ids=str,
)
def test_a_value_is_of_its_tensors_datatype(datatype: str, fits: list[Any], not_fits: list[Any]) -> None:
    assert [row["a"] for row in read(tensor("a", datatype, fits)).rows] == fits
    for value in not_fits:
        with pytest.raises(RequestError, match=datatype) as caught:
            read(tensor("a", datatype, [fits[0], value]))
        assert caught.value.field == "inputs[0].data[1]"


@pytest.mark.parametrize(
    ("inputs", "more", "field"),
    [
        ([], {}, "inputs"),
        ([1], {}, "inputs[0]"),
        ([{"name": "a"}], {}, "inputs[0].shape"),
        ([tensor(), tensor()], {}, "inputs[1].name"),
        ([tensor(), tensor("b", data=[1])], {}, "inputs[1].shape"),
        ([tensor(name=1)], {}, "inputs[0].name"),  # type: ignore[arg-type]
        ([tensor(shape=[3])], {}, "inputs[0].data"),
        ([tensor(shape=[2, 2])], {}, "inputs[0].shape"),
        ([tensor(shape=[1, 2])], {}, "inputs[0].shape"),
        ([tensor(shape=[])], {}, "inputs[0].shape"),
        ([tensor(shape=[True])], {}, "inputs[0].shape"),
        ([tensor(shape=[-1])], {}, "inputs[0].shape"),
        ([tensor(data=[], shape=[0])], {}, "inputs[0].shape"),
        ([tensor(data=[[1], [2]], shape=[2])], {}, "inputs[0].data[0]"),
        ([tensor(data=[[1, 2], [2]], shape=[2, 1])], {}, "inputs[0].data[0]"),
        ([tensor(datatype="STRING")], {}, "inputs[0].datatype"),
        ([tensor(datatype=["INT64"])], {}, "inputs[0].datatype"),  # type: ignore[arg-type]
        ([tensor(parameters={"binary_data_size": 8})], {}, "inputs[0].parameters.binary_data_size"),
        ([tensor(parameters=1)], {}, "inputs[0].parameters"),
        ([tensor(extra=1)], {}, "inputs[0].extra"),
        ([tensor()], {"id": 1}, "id"),
        ([tensor()], {"parameters": []}, "parameters"),
        ([tensor()], {"parameters": {"explain": "yes"}}, "parameters.explain"),
        ([tensor()], {"outputs": 1}, "outputs"),
        ([tensor()], {"outputs": [1]}, "outputs[0]"),
        ([tensor()], {"outputs": [{"name": "logits"}]}, "outputs[0].name"),
        ([tensor()], {"instances": []}, "instances"),
    ],
    ids=str,
)
def test_a_request_that_does_not_fit_is_refused_by_its_place(inputs: Any, more: Any, field: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(*inputs, **more)
    assert caught.value.field == field


def test_a_thousand_rows_are_read_and_no_more() -> None:
    assert len(read(tensor(data=[1] * 1000)).rows) == 1000
    with pytest.raises(TooLargeError):
        read(tensor(data=[1] * 1001))
    with pytest.raises(TooLargeError):
        read(tensor(data=[1] * 101), parameters={"explain": True})


def test_empty_outputs_mean_all() -> None:
    assert read(tensor(), outputs=[]).outputs is None
