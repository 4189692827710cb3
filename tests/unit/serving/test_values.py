"""Decimals, categories, texts and moments of a request mean what they mean in an upload."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from perennial.definitions import Column
from perennial.errors import DefinitionError, RequestError
from perennial.serving.payload import parse_instances, read_columns
from perennial.serving.request_view import connect, matches

PRICE = Column(type="decimal", precision=38, scale=2, min=-0.1, max=1e36)
LOCAL = Column(type="timestamptz", zone="Europe/Berlin")


def read(column: Column, text: str) -> Any:
    """Read a value as it stands in a body."""
    (row,) = parse_instances(f'{{"instances": [{{"x": {text}}}]}}')
    return read_columns([row], {"x": column}, matches=partial(matches, connect()))["x"][0]


def fault(column: Column, text: str) -> str:
    with pytest.raises(RequestError) as caught:
        read(column, text)
    assert caught.value.field == "instances[0].x"
    return str(caught.value).removeprefix("instances[0].x ")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", "0.10"),
        ('"0.1"', "0.10"),
        ("123456789012345678901234567890123456.78", "123456789012345678901234567890123456.78"),
        ("5", "5.00"),
        ('" +007.500 "', "7.50"),
        ("-0.0", "0.00"),
        ('".5"', "0.50"),
    ],
)
def test_a_decimal_is_exact_whether_number_or_text(text: str, value: str) -> None:
    found = read(PRICE, text)
    assert (type(found), str(found)) == (Decimal, value)


def test_a_float_without_its_text_is_the_decimal_that_it_prints_as() -> None:
    assert read_columns([{"x": 0.1}], {"x": PRICE})["x"] == [Decimal("0.10")]
    assert read_columns([{"x": 1e22}], {"x": PRICE})["x"] == [Decimal(10**22)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0.125", "is 0.125, which has more than 2 digits behind the point"),
        ("1e2", "must be a decimal number without an exponent, not 1e2"),
        ('"1_000"', "must be a decimal number without an exponent, not '1_000'"),
        ('"\uff11"', "must be a decimal number without an exponent"),
        ("1" + "0" * 36, "has more than 36 digits before the point"),
        ("-0.11", "is -0.11, which is below -0.1"),
        ("true", "must be a decimal number, not True"),
    ],
)
def test_a_decimal_that_does_not_fit_is_refused_and_never_rounded(text: str, sentence: str) -> None:
    assert sentence in fault(PRICE, text)


def test_a_bound_of_a_decimal_is_the_decimal_that_was_written() -> None:
    assert read(PRICE, "-0.10") == Decimal("-0.1")  # as a double, -0.1 is a little less than a tenth


@pytest.mark.parametrize(("text", "value"), [("1.0", 1), ("1e3", 1000), ("9007199254740993.0", 9007199254740993)])
def test_a_whole_number_may_be_written_with_a_point_and_is_exact(text: str, value: int) -> None:
    found = read(Column(type="integer"), text)
    assert (type(found), found) == (int, value)


@pytest.mark.parametrize("text", ["1.5", "9007199254740993.5", "1e-400", "1e-99999999999999999999", "1e400", "1e19"])
def test_a_number_that_is_not_whole_or_too_large_is_refused(text: str) -> None:
    assert fault(Column(type="integer"), text)


def test_a_number_with_a_point_is_a_plain_float() -> None:
    assert type(read(Column(type="double"), "0.1")) is float


def test_a_closed_category_is_one_of_those_and_an_open_one_any() -> None:
    closed = Column(type="categorical", allowed=("a", "b"))
    assert read(closed, '"a"') == "a"
    assert fault(closed, '"c"') == "is 'c', which is not among 'a', 'b'"
    assert read(Column(type="categorical", allowed=("a",), open=True), '"c"') == "c"


def test_lengths_are_counted_in_characters() -> None:
    name = Column(type="string", min_length=2, max_length=3)
    assert read(name, '"é😀"') == "é😀"
    assert fault(name, '"é"') == "is 'é', which has fewer than 2 characters"
    assert fault(name, '"abcd"') == "is 'abcd', which has more than 3 characters"
    assert "NUL character" in fault(name, '"a\\u0000"')


def test_a_pattern_is_re2s_and_matches_the_whole_text() -> None:
    # For Python, \\pN is an error, and $ matches before a line's end.
    digits = Column(type="string", nullable=True, pattern=r"\pN+$")
    assert [read(digits, text) for text in ('"12"', "null")] == ["12", None]
    assert fault(digits, '"12\\n"') == r"is '12\n', which is not of the form \pN+$"
    rows = [{"x": "1"}, {"x": None}, {"x": "a"}]
    with pytest.raises(RequestError, match=r"instances\[2\]\.x is 'a'"):
        read_columns(rows, {"x": digits}, matches=partial(matches, connect()))


def test_a_pattern_that_is_none_is_the_definitions_fault() -> None:
    with pytest.raises(DefinitionError, match=r"pattern '\('"):
        matches(connect(), "(", ["a"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"2019-07-01T12:00:00+02:00"', datetime(2019, 7, 1, 10)),
        ('"2019-07-01 12:00 Z"', datetime(2019, 7, 1, 12)),
        ('"2019-07-01T12:00:00"', datetime(2019, 7, 1, 10)),
        ('"2019-12-01"', datetime(2019, 11, 30, 23)),
    ],
)
def test_a_local_time_is_that_of_the_columns_zone(text: str, value: datetime) -> None:
    assert read(LOCAL, text) == value


def test_local_times_that_summer_time_skips_or_repeats_are_told() -> None:
    assert "leaves out when its clocks go forward" in fault(LOCAL, '"2019-03-31T02:30:00"')
    assert "comes twice in Europe/Berlin" in fault(LOCAL, '"2019-10-27T02:30:00"')
    earlier, later = (LOCAL.model_copy(update={"ambiguous": which}) for which in ("earlier", "later"))
    assert read(earlier, '"2019-10-27T02:30:00"') == datetime(2019, 10, 27, 0, 30)
    assert read(later, '"2019-10-27T02:30:00"') == datetime(2019, 10, 27, 1, 30)
    assert "leaves out" in fault(later, '"2019-03-31T02:30:00"')


def test_a_moment_without_offset_and_zone_is_refused() -> None:
    assert "has no offset" in fault(Column(type="timestamptz"), '"2019-07-01T12:00:00"')


@pytest.mark.parametrize(
    "text", ['"\uff12\uff10\uff11\uff19-07-01"', '"2019-07-01T12"', '"20190701"', '"2019-07-01T12:00:00,5"']
)
def test_a_moment_that_no_upload_may_hold_is_refused(text: str) -> None:
    for column in (Column(type="timestamp"), Column(type="date"), LOCAL, Column(type="date", format="%Y-%m-%d")):
        assert fault(column, text)


def test_moments_have_bounds() -> None:
    day = Column(type="date", min="2019-01-01", max="2019-12-31")
    assert [read(day, f'"{text}"') for text in ("2019-01-01", "2019-12-31")] == [date(2019, 1, 1), date(2019, 12, 31)]
    assert fault(day, '"2018-12-31"') == "is '2018-12-31', which is below '2019-01-01'"
    moment = Column(type="timestamptz", max="2019-07-01T12:00:00+02:00")
    assert read(moment, '"2019-07-01T10:00:00Z"') == datetime(2019, 7, 1, 10)
    assert "above" in fault(moment, '"2019-07-01T10:00:00.000001Z"')
