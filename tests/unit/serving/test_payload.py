"""What callers send is read strictly, and every fault is named by its place."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.definitions import Column
from perennial.errors import RequestError, TooLargeError
from perennial.serving.json_body import MAX_BYTES
from perennial.serving.payload import Label, parse_instances, parse_labels, read_columns
from tests.support.artifacts import INPUTS, a_trip

COLUMNS = {
    "integer": Column(type="integer"),
    "double": Column(type="double"),
    "string": Column(type="string"),
    "boolean": Column(type="boolean"),
    "timestamp": Column(type="timestamp"),
    "date": Column(type="date"),
}


def read_one(column: Column, value: Any) -> Any:
    return read_columns([{"x": value}], {"x": column})["x"][0]


def fault_of(column: Column, value: Any) -> str:
    with pytest.raises(RequestError) as caught:
        read_one(column, value)
    assert caught.value.field == "instances[0].x"
    return str(caught.value)


def test_instances_are_returned_as_they_stand() -> None:
    assert parse_instances('{"instances": [{"a": 1, "b": null}, {"a": 2.5}]}') == [{"a": 1, "b": None}, {"a": 2.5}]
    assert parse_instances('{"instances": [{"é": "☃"}]}'.encode()) == [{"é": "☃"}]


@pytest.mark.parametrize(
    ("body", "field", "sentence"),
    [
        (None, "body", "is empty"),
        ("", "body", "is empty"),
        ("{", "body", "is not JSON"),
        (b"\xff\xfe", "body", "is not UTF-8"),
        ('{"instances": [{"a": 1}]} x', "body", "is not JSON"),
        ("[]", "body", "must be an object"),
        ("{}", "instances", "is missing"),
        ('{"instances": [], "model": 1}', "model", "is not known"),
        ('{"instances": []}', "instances", "at least one"),
        ('{"instances": {"a": 1}}', "instances", "must be a list"),
        ('{"instances": [{"a": 1}, 2]}', "instances[1]", "must be an object"),
        ('{"instances": [{"a": 1}, {"a": [2]}]}', "instances[1].a", "single value"),
        ('{"instances": [{"a": 1, "b": 2, "a": 3}]}', "a", "stands twice"),
        ('{"instances": [{"a": 1}], "instances": [{"a": 2}]}', "instances", "stands twice"),
        ('{"instances": [{"a": NaN}]}', "body", "NaN is not JSON"),
        ('{"instances": [{"a": -Infinity}]}', "body", "-Infinity is not JSON"),
        ("[" * 100_000, "body", "nests too deeply"),
        ('{"instances": [{"a": ' + "9" * 5000 + "}]}", "body", "thousands of digits"),
    ],
)
def test_a_body_that_is_not_a_list_of_flat_objects_is_refused(body: Any, field: str, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence.replace("[", r"\[")) as caught:
        parse_instances(body)
    assert caught.value.field == field


def test_a_thousand_instances_fit_one_call_and_one_more_does_not() -> None:
    assert len(parse_instances(json.dumps({"instances": [{"a": 1}] * 1000}))) == 1000
    with pytest.raises(TooLargeError, match="1,001 entries, at most 1,000"):
        parse_instances(json.dumps({"instances": [{"a": 1}] * 1001}))


def test_five_megabytes_fit_one_call_and_one_byte_more_does_not() -> None:
    frame = len('{"instances": [{"a": ""}]}')
    assert parse_instances('{"instances": [{"a": "' + "x" * (MAX_BYTES - frame) + '"}]}')
    with pytest.raises(TooLargeError, match="larger than 5,000,000 bytes"):
        parse_instances('{"instances": [{"a": "' + "x" * (MAX_BYTES - frame + 1) + '"}]}')
    with pytest.raises(TooLargeError):  # characters are not bytes
        parse_instances('{"instances": [{"a": "' + "é" * (MAX_BYTES // 2) + '"}]}')


@given(st.text() | st.binary())
def test_any_body_is_either_read_or_refused_with_a_place(body: str | bytes) -> None:
    try:
        parse_instances(body)
    except RequestError as error:
        assert error.field  # noqa: PT017 - either outcome is right


def test_a_row_becomes_typed_columns() -> None:
    columns = read_columns([a_trip(), a_trip(trip_distance=3, passenger_count=None)], INPUTS)
    assert columns == {
        "pickup_datetime": [datetime(2019, 3, 1, 8, 30)] * 2,
        "passenger_count": [1, None],
        "trip_distance": [10.0, 3.0],
        "pickup_location_id": [42, 42],
    }
    assert type(columns["trip_distance"][1]) is float


def test_a_nullable_column_may_be_left_out_and_another_may_not() -> None:
    row = a_trip()
    del row["passenger_count"]
    assert read_columns([row], INPUTS)["passenger_count"] == [None]
    del row["trip_distance"]
    with pytest.raises(RequestError, match=r"instances\[1\]\.trip_distance is missing") as caught:
        read_columns([a_trip(), row], INPUTS)
    assert caught.value.field == "instances[1].trip_distance"


def test_other_columns_of_the_dataset_are_ignored_and_strangers_are_refused() -> None:
    assert "fare_amount" not in read_columns([a_trip(fare_amount="anything")], INPUTS, ("fare_amount",))
    with pytest.raises(RequestError, match=r"trip_distanse is not known; the model reads pickup_datetime, ") as caught:
        read_columns([a_trip(), a_trip(), a_trip(), a_trip(trip_distanse=1)], INPUTS, ("fare_amount",))
    assert caught.value.field == "instances[3].trip_distanse"


@pytest.mark.parametrize(
    ("kind", "value", "meaning"),
    [
        ("integer", 2**63 - 1, 2**63 - 1),
        ("integer", -(2**63), -(2**63)),
        ("integer", 3.0, 3),
        ("double", 3, 3.0),
        ("double", 5e-324, 5e-324),
        ("string", "", ""),
        ("boolean", False, False),
        ("timestamp", "2019-03-01T08:30:00", datetime(2019, 3, 1, 8, 30)),
        ("timestamp", "2019-03-01 08:30", datetime(2019, 3, 1, 8, 30)),
        ("timestamp", "2019-03-01", datetime(2019, 3, 1)),
        ("timestamp", "2019-03-01T08:30:00.000001Z", datetime(2019, 3, 1, 8, 30, 0, 1)),
        ("date", "2019-03-01", date(2019, 3, 1)),
    ],
)
def test_a_value_of_the_columns_type_is_read(kind: str, value: Any, meaning: Any) -> None:
    read = read_one(COLUMNS[kind], value)
    assert read == meaning
    assert type(read) is type(meaning)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", 1.5),
        ("integer", "1"),
        ("integer", True),
        ("integer", 2**63),
        ("integer", 1e300),
        ("integer", float("inf")),  # what JSON's 1e999 becomes
        ("double", "1.5"),
        ("double", True),
        ("double", float("inf")),
        ("double", 10**400),
        ("string", 1),
        ("string", "\ud800"),
        ("boolean", 1),
        ("boolean", "true"),
        ("timestamp", 1551429000),
        ("timestamp", "yesterday"),
        ("timestamp", "2019-02-30 00:00:00"),
        ("timestamp", "20190301"),
        ("timestamp", "2019-03-01T08:30:00-05:00"),
        ("date", "2019-03-01T08:30:00"),
        ("date", "2019-13-01"),
    ],
)
def test_a_value_of_another_type_is_refused_and_never_guessed_at(kind: str, value: Any) -> None:
    assert fault_of(COLUMNS[kind], value).startswith("instances[0].x ")


@pytest.mark.parametrize("kind", list(COLUMNS))
def test_null_is_refused_unless_the_column_is_nullable(kind: str) -> None:
    assert "not null" in fault_of(COLUMNS[kind], None)
    assert read_one(COLUMNS[kind].model_copy(update={"nullable": True}), None) is None


def test_a_timestamp_may_be_written_as_the_datasets_files_write_it() -> None:
    german = Column(type="timestamp", format="%d.%m.%Y %H:%M")
    assert read_one(german, "02.03.2019 08:30") == datetime(2019, 3, 2, 8, 30)
    assert read_one(german, "2019-03-02T08:30:00") == datetime(2019, 3, 2, 8, 30)


def test_the_columns_own_format_goes_before_iso_8601() -> None:
    assert read_one(Column(type="date", format="%Y-%d-%m"), "2019-02-03") == date(2019, 3, 2)


def test_a_format_with_a_zone_is_kept_in_utc() -> None:
    zoned = Column(type="timestamp", format="%Y-%m-%d %H:%M:%S%z")
    assert read_one(zoned, "2019-03-01 08:30:00-0500") == datetime(2019, 3, 1, 13, 30)


def test_range_and_choice_are_kept_with_their_ends() -> None:
    distance = Column(type="double", min=0.1, max=60)
    assert [read_one(distance, value) for value in (0.1, 60)] == [0.1, 60.0]
    assert fault_of(distance, 0.09) == "instances[0].x is 0.09, which is below 0.1"
    assert fault_of(distance, 61) == "instances[0].x is 61, which is above 60.0"
    flag = Column(type="string", allowed=("Y", "N"))
    assert read_one(flag, "Y") == "Y"
    assert fault_of(flag, "y") == "instances[0].x is 'y', which is not among 'Y', 'N'"


def test_a_long_value_is_not_echoed_in_full() -> None:
    assert len(fault_of(COLUMNS["integer"], "x" * 10_000)) < 150


def test_labels_are_read() -> None:
    body = json.dumps({"labels": [{"prediction_id": "a", "label": 1}, {"prediction_id": "b", "label": -0.5}]})
    assert parse_labels(body) == [Label("a", 1.0), Label("b", -0.5)]


def test_labels_of_conditions_and_classes_keep_their_types() -> None:
    body = json.dumps({"labels": [{"prediction_id": "a", "label": True}, {"prediction_id": "b", "label": "1"}]})
    assert [type(label.label) for label in parse_labels(body)] == [bool, str]


def test_the_same_label_twice_is_kept_and_two_labels_of_one_prediction_are_refused() -> None:
    entry = {"prediction_id": "a", "label": 1}
    assert len(parse_labels(json.dumps({"labels": [entry, entry]}))) == 2
    with pytest.raises(
        RequestError, match=r"labels\[1\] says 2 of 'a', but an earlier one of this call says 1"
    ) as caught:
        parse_labels(json.dumps({"labels": [entry, {**entry, "label": 2}]}))
    assert caught.value.field == "labels[1].label"


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"prediction_id": "a"}, "labels[0].label"),
        ({"label": 1}, "labels[0].prediction_id"),
        ({"prediction_id": 1, "label": 1}, "labels[0].prediction_id"),
        ({"prediction_id": "a", "label": None}, "labels[0].label"),
        ({"prediction_id": "a", "label": 10**400}, "labels[0].label"),
        ({"prediction_id": "a", "label": 1, "note": ""}, "labels[0].note"),
    ],
)
def test_what_is_no_label_of_a_prediction_is_refused(entry: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_labels(json.dumps({"labels": [entry]}))
    assert caught.value.field == field
