"""Which columns a request must bring."""

from __future__ import annotations

import pytest

from perennial.data.views.columns_read import columns_read
from perennial.definitions import FeatureView
from perennial.definitions.files import Definitions
from perennial.errors import DefinitionError

COLUMNS = ("id", "began", "distance", "zone", "kind", "Mixed")


def view(sql: str) -> FeatureView:
    return FeatureView(name="trip", kind="request", dataset="trips", sql=sql)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT distance AS id FROM trips", ("distance",)),  # an alias is not a column that is read
        ("SELECT t.zone + 1 AS z FROM trips AS t", ("zone",)),
        ('SELECT DISTANCE, "zone" FROM trips', ("distance", "zone")),
        ("SELECT mixed FROM trips", ("Mixed",)),
        ("SELECT CASE WHEN kind = 'began' THEN 1 END AS a FROM trips WHERE id > 0", ("id", "kind")),
        ("WITH far AS (SELECT * FROM trips) SELECT distance FROM far", COLUMNS),
        ("SELECT (SELECT max(zone) FROM trips) AS top, hour(began) AS hour FROM trips", ("began", "zone")),
        ("SELECT list_transform([1], lambda x: x + distance) AS l FROM trips", ("distance",)),
        ("SELECT count(*) OVER () AS n, distance FROM trips", ("distance",)),
        ("SELECT t.* FROM trips t", COLUMNS),
        ("FROM trips", COLUMNS),
        ("SELECT COLUMNS('d.*') FROM trips", COLUMNS),  # by a pattern: all, to be safe
        ("SELECT 1 AS one FROM trips", ()),
    ],
)
def test_columns_are_found_wherever_they_stand_in_the_datasets_order(sql: str, expected: tuple[str, ...]) -> None:
    assert columns_read(view(sql), COLUMNS) == expected


def test_the_shipped_request_view_reads_what_is_known_when_a_trip_begins(definitions: Definitions) -> None:
    columns = definitions.dataset("taxi_trips").columns
    assert columns_read(definitions.view("trip_context"), columns) == (
        "pickup_datetime",
        "passenger_count",
        "trip_distance",
        "rate_code_id",
        "pickup_location_id",
        "dropoff_location_id",
    )


@pytest.mark.parametrize("sql", ["SELECT FROM WHERE", "DROP TABLE trips"])
def test_what_is_no_select_is_a_fault_of_the_definition(sql: str) -> None:
    with pytest.raises(DefinitionError, match=r"features/trip.sql: "):
        columns_read(view(sql), COLUMNS)
