"""Values of stored views that a request brings itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from perennial.errors import RequestError
from perennial.manifest import Manifest
from perennial.online_rows import Lookup, OnlineRow
from perennial.serving.predictor import Predictions
from tests.support.artifacts import SQL, a_manifest, a_trip, predictor_of

NOW = datetime(2019, 3, 1, 12, tzinfo=UTC)
SPEED = "zone_stats__mean_speed"


def a_version(**changes: Any) -> Manifest:
    view = a_manifest().request
    assert view is not None
    reads = ("pickup_datetime", "passenger_count", "trip_distance")
    return a_manifest(**{"request": view.model_copy(update={"reads": reads}), **changes})


def ask(manifest: Manifest, *rows: dict[str, Any]) -> tuple[Predictions, list[list[tuple[Any, ...]]]]:
    """Return what is predicted and which entities were asked for; the store knows 20.0 of each."""
    asked: list[list[tuple[Any, ...]]] = []

    def read(lookups: Sequence[Lookup]) -> list[dict[tuple[Any, ...], OnlineRow]]:
        asked.extend(list(lookup.entities) for lookup in lookups)
        known = datetime(2019, 2, 28)
        return [
            {entity: OnlineRow(entity, known, {"mean_speed": 20.0}) for entity in each.entities} for each in lookups
        ]

    return predictor_of(manifest).predict(rows, read, NOW), asked


def test_a_value_that_a_row_brings_precedes_the_stores_which_is_not_asked() -> None:
    made, asked = ask(a_version(), a_trip(**{SPEED: 7}), a_trip(), a_trip(**{SPEED: None}, pickup_location_id=9))
    assert [row[3] for row in made.features[:2]] == [7.0, 20.0]
    assert made.features[2][3] != made.features[2][3]  # NaN: null says that there is no value
    assert made.values == [28.7, 30.0, 28.0]
    assert asked == [[(42,)]]
    assert SPEED not in made.inputs


def test_an_entity_that_nothing_needs_may_be_left_out() -> None:
    without = {name: value for name, value in a_trip(**{SPEED: 7.5}).items() if name != "pickup_location_id"}
    made, asked = ask(a_version(), without)
    assert made.features == [[10.0, 8.0, 1.0, 7.5]]
    assert made.inputs["pickup_location_id"] == [None]
    assert asked == []
    with pytest.raises(RequestError, match=r"instances\[1\].pickup_location_id is missing"):
        ask(a_version(), without, {name: value for name, value in without.items() if name != SPEED})


def test_an_entity_that_the_request_view_reads_is_needed_all_the_same() -> None:
    without = {name: value for name, value in a_trip(**{SPEED: 7.5}).items() if name != "pickup_location_id"}
    view = a_manifest().request
    assert view is not None
    sql = SQL.replace("trip_distance AS", "trip_distance + pickup_location_id AS")
    reading = view.model_copy(update={"sql": sql, "reads": tuple(a_manifest().inputs)})
    for manifest in (a_manifest(), a_version(request=reading)):  # of the first it was not kept what its view reads
        with pytest.raises(RequestError, match="pickup_location_id is missing"):
            ask(manifest, without)


@pytest.mark.parametrize("value", ["7", [], {}], ids=str)
def test_a_value_that_is_no_number_is_refused_by_its_place(value: Any) -> None:
    with pytest.raises(RequestError, match="must be a number") as caught:
        ask(a_version(), a_trip(), a_trip(**{SPEED: value}))
    assert caught.value.field == f"instances[1].{SPEED}"


def test_a_number_beyond_a_double_is_refused() -> None:
    for value in (float("inf"), 10**400):
        with pytest.raises(RequestError, match="beyond what a double holds"):
            ask(a_version(), a_trip(**{SPEED: value}))


def test_a_category_is_brought_as_its_text_or_as_the_number_that_it_is() -> None:
    manifest = a_version(categories={SPEED: ("slow", "2.5", "true", "7")})
    rows = [a_trip(**{SPEED: value}) for value in ("2.5", 2.5, True, 7, "unheard of", None)]
    made, _ = ask(manifest, *rows)
    assert [row[3] for row in made.features[:4]] == [1.0, 1.0, 2.0, 3.0]
    assert all(row[3] != row[3] for row in made.features[4:])


def test_features_of_the_request_view_are_not_brought() -> None:
    with pytest.raises(RequestError, match="trip_context__distance is not known"):
        ask(a_version(), a_trip(trip_context__distance=1.0))
