"""Programs of request views: how they are read, what they refuse, and what they load."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from perennial.errors import DataError, RequestError
from perennial.serving.program import Program

A = ["column", ["a", "BIGINT"]]
X = ["column", ["x", "DOUBLE"]]
S = ["column", ["s", "VARCHAR"]]
P = ["column", ["p", "BOOLEAN"]]


def a_program(*columns: list[Any]) -> dict[str, Any]:
    return {"format": 1, "view": "trip", "columns": list(columns)}


def test_a_row_becomes_floats_and_texts_and_nulls_become_nan_and_none() -> None:
    program = Program.read(a_program(["far", "number", X], ["kind", "text", S]))
    assert program.names == ("far", "kind")
    assert program.run({"x": 1.5, "s": "taxi"}) == [1.5, "taxi"]
    far, kind = program.run({"x": None, "s": None})
    assert isinstance(far, float)
    assert math.isnan(far)
    assert kind is None


def test_rows_come_out_in_the_order_in_which_they_went_in() -> None:
    program = Program.read(a_program(["a", "number", ["as_double", [], A]]))
    assert program.run_rows({"a": [3, 1, 2]}, 3) == [[3.0], [1.0], [2.0]]


def test_a_row_that_the_sql_would_fail_on_is_named() -> None:
    doubled = ["multiply", ["BIGINT"], A, ["value", ["BIGINT", 2]]]
    program = Program.read(a_program(["twice", "number", ["as_double", [], doubled]]))
    with pytest.raises(RequestError, match=r"instances\[1\] cannot be used: features/trip\.sql: a product") as caught:
        program.run_rows({"a": [1, 2**62, 3]}, 3)
    assert caught.value.field == "instances[1]"


def test_a_constant_that_fails_does_so_for_the_row_that_asks_for_it() -> None:
    root = ["sqrt", [], ["value", ["DOUBLE", -1.0]]]
    program = Program.read(a_program(["r", "number", ["case", [], P, root, ["value", ["DOUBLE", 2.0]]]]))
    assert program.run({"p": False}) == [2.0]
    with pytest.raises(RequestError, match="square root"):
        program.run({"p": True})


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, -0.0, 5e-324])
def test_constants_that_json_cannot_hold_are_written_as_texts(number: float) -> None:
    value = number if math.isfinite(number) else str(number)
    content = json.loads(json.dumps(a_program(["r", "number", ["value", ["DOUBLE", value]]]), allow_nan=False))
    (found,) = Program.read(content).run({})
    assert isinstance(found, float)
    assert found.hex() == number.hex()


def test_a_timestamp_before_1970_has_its_hour() -> None:
    hour = ["as_double", [], ["part", ["hour", "TIMESTAMP"], ["column", ["t", "TIMESTAMP"]]]]
    assert Program.read(a_program(["hour", "number", hour])).run({"t": datetime(1969, 12, 31, 23, 59)}) == [23.0]


def deep(levels: int) -> list[Any]:
    return X if levels == 0 else ["negate_double", [], deep(levels - 1)]


HOSTILE: dict[str, Any] = {
    "nothing": None,
    "a list": [],
    "no columns": {"format": 1, "view": "v"},
    "another format": {"format": 2, "view": "v", "columns": []},
    "an unknown operation": a_program(["r", "number", ["system", ["ls"]]]),
    "an operation that is no text": a_program(["r", "number", [["sqrt"], [], X]]),
    "an attribute of Python": a_program(["r", "number", ["__class__", [], X]]),
    "a text for a number": a_program(["r", "number", ["sqrt", [], S]]),
    "a whole number as a result": a_program(["r", "number", A]),
    "a number for a text": a_program(["r", "text", X]),
    "too few arguments": a_program(["r", "number", ["power", [], X]]),
    "too many arguments": a_program(["r", "number", ["sqrt", [], X, X]]),
    "parameters that nothing takes": a_program(["r", "number", ["sqrt", [1], X]]),
    "an unknown type": a_program(["r", "number", ["column", ["x", "BLOB"]]]),
    "a constant of another type": a_program(["r", "number", ["value", ["DOUBLE", [1]]]]),
    "a true whole number": a_program(["r", "number", ["as_double", [], ["value", ["BIGINT", True]]]]),
    "nesting without end": a_program(["r", "number", deep(500)]),
    "a case without otherwise": a_program(["r", "number", ["case", [], P, X]]),
    "a case of numbers": a_program(["r", "number", ["case", [], X, X, X]]),
    "kinds that do not mix": a_program(["r", "number", ["coalesce", [], X, S]]),
    "no expressions": a_program(["r", "number", ["greatest", []]]),
    "a decimal of a million places": a_program(["r", "number", ["decimal_as_double", [1_000_000], A]]),
    "a shift of a million years": a_program(["r", "number", ["as_double", [], ["days_later", [10**9], A]]]),
    "a part of a day that there is not": a_program(["r", "number", ["as_double", [], ["part", ["soul", "DATE"], A]]]),
    "a text that is cut at a text": a_program(["r", "text", ["left", ["1"], S]]),
    "an expression that is a number": a_program(["r", "number", 5]),
    "an expression of one word": a_program(["r", "number", ["column"]]),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_no_compiler_makes_is_refused_before_any_row(what: str) -> None:
    with pytest.raises(DataError, match=r"^program: "):
        Program.read(HOSTILE[what])


LOADED = """
import sys
import perennial.serving.program
heavy = ("pydantic", "numpy", "duckdb", "onnxruntime", "boto3", "perennial.definitions", "perennial.serving.values")
print([name for name in heavy if name in sys.modules])
"""


def test_programs_need_the_standard_library_alone() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_decimal_keeps_all_its_digits() -> None:
    text = ["decimal_text", ["DECIMAL(38,10)"], ["column", ["w", "DECIMAL(38,10)"]]]
    number = "-1234567890123456789012345678.0123456789"
    assert Program.read(a_program(["w", "text", text])).run({"w": Decimal(number)}) == [number]
