"""What a file must hold for its rows to be predicted."""

from __future__ import annotations

from perennial.data.bulk.contract import bulk_contract
from perennial.definitions import Column, Dataset
from perennial.definitions.dataset import FileRules, Rule
from tests.support.artifacts import INPUTS, a_manifest

TRIPS = Dataset(
    name="taxi_trips",
    event_time="pickup_datetime",
    key=("trip_id",),
    extra_columns="refuse",
    columns={
        "trip_id": Column(type="string", pattern="T.*"),
        **{name: column.model_copy(update={"max_null": 0.5}) for name, column in INPUTS.items()},
        "total_amount": Column(type="double"),
    },
    rules=(Rule(name="paid", check="total_amount > 0"),),
    file=FileRules(min_rows=100),
)


def test_the_columns_are_those_of_a_request_and_the_key_which_need_not_be_there() -> None:
    found = bulk_contract(TRIPS, a_manifest())
    assert list(found.columns) == ["trip_id", *INPUTS]
    assert found.columns["trip_distance"] == INPUTS["trip_distance"]
    assert found.columns["passenger_count"].optional, "a request may leave it out, too"
    assert (found.columns["trip_id"].optional, found.columns["trip_id"].pattern) == (True, None)


def test_rules_about_rows_to_learn_from_do_not_count() -> None:
    found = bulk_contract(TRIPS, a_manifest())
    assert (found.rules, found.file, found.extra_columns) == ((), FileRules(), "accept")
    assert all(column.max_null is None for column in found.columns.values())


def test_a_version_that_does_not_ask_when_a_row_happens_reads_no_event_time() -> None:
    inputs = {"trip_distance": INPUTS["trip_distance"]}
    found = bulk_contract(TRIPS, a_manifest(inputs=inputs, event_time=None, stored=()))
    assert list(found.columns) == ["trip_id", "trip_distance"]
