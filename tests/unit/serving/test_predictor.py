"""From rows to predictions: request view, stored lookups, matrix, model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from perennial.errors import DefinitionError, RequestError
from perennial.manifest import Manifest, RequestView
from perennial.ports import Lookup, OnlineRow
from perennial.serving.predictor import Predictor
from tests.support.artifacts import (
    FEATURES,
    INPUTS,
    SQL,
    VIEW_VERSION,
    a_manifest,
    a_trip,
    by_hand,
    linear_graph,
    predictor_of,
)

NOW = datetime(2019, 3, 1, 12, tzinfo=UTC)
TRIP_AT = datetime(2019, 3, 1, 8, 30, tzinfo=UTC)
TTL = timedelta(days=92)


class Lookups:
    """An online store of one view that remembers what it was asked."""

    def __init__(self, known: Mapping[tuple[Any, ...], tuple[datetime, float | None]]) -> None:
        self.known = known
        self.asked: list[list[tuple[str, str, list[tuple[Any, ...]], list[str]]]] = []

    def read(self, lookups: Sequence[Lookup]) -> list[dict[tuple[Any, ...], OnlineRow]]:
        self.asked.append([(each.view, each.version, list(each.entities), list(each.columns)) for each in lookups])
        return [
            {
                entity: OnlineRow(entity, self.known[entity][0], {"mean_speed": self.known[entity][1]})
                for entity in each.entities
                if entity in self.known
            }
            for each in lookups
        ]


NOTHING = Lookups({})


def a_predictor(**changes: Any) -> Predictor:
    manifest: Manifest = a_manifest(**changes)
    return predictor_of(manifest)


def speed_seen(feature_time: datetime, **changes: Any) -> float:
    """Return the stored feature that the example trip sees when its zone's value became known then."""
    made = a_predictor(**changes).predict([a_trip()], Lookups({(42,): (feature_time, 20.0)}).read, NOW)
    return float(made.features[0][FEATURES.index("zone_stats__mean_speed")])


def test_a_prediction_is_that_of_the_rows_features_worked_out_by_hand() -> None:
    lookups = Lookups({(42,): (TRIP_AT - timedelta(days=1), 20.0)})
    made = a_predictor().predict([a_trip(), a_trip(trip_distance=1.5, passenger_count=None)], lookups.read, NOW)
    assert made.features == [[10.0, 8.0, 1.0, 20.0], [1.5, 8.0, 1.0, 20.0]]
    assert made.values == [30.0, 13.0]
    assert made.values[0] == by_hand(dict(zip(FEATURES, made.features[0], strict=True)))


def test_the_matrix_follows_the_manifests_order_and_not_the_views() -> None:
    turned = tuple(reversed(FEATURES))
    made = a_predictor(features=turned).predict([a_trip()], NOTHING.read, NOW)
    assert made.features[0][1:] == [1.0, 8.0, 10.0]
    assert np.isnan(made.features[0][0])


def test_each_stored_view_is_asked_once_and_for_each_entity_once() -> None:
    lookups = Lookups({(42,): (TRIP_AT, 20.0), (7,): (TRIP_AT, 10.0)})
    rows = [a_trip(pickup_location_id=zone) for zone in (42, 7, 42, 9, 7)]
    made = a_predictor().predict(rows, lookups.read, NOW)
    assert lookups.asked == [[("zone_stats", VIEW_VERSION, [(42,), (7,), (9,)], ["mean_speed"])]]
    assert np.array_equal([row[3] for row in made.features], [20, 10, 20, np.nan, 10], equal_nan=True)


def test_an_entity_without_a_value_has_a_missing_feature_and_still_a_prediction() -> None:
    made = a_predictor().predict([a_trip()], NOTHING.read, NOW)
    assert np.isnan(made.features[0][3])
    assert made.values == [28.0]


def test_a_stored_null_is_a_missing_feature() -> None:
    made = a_predictor().predict([a_trip()], Lookups({(42,): (TRIP_AT, None)}).read, NOW)
    assert np.isnan(made.features[0][3])


def test_a_value_counts_up_to_its_ttl_before_the_rows_event_time() -> None:
    assert speed_seen(TRIP_AT - TTL) == 20.0
    assert np.isnan(speed_seen(TRIP_AT - TTL - timedelta(microseconds=1)))


def test_a_value_that_became_known_after_the_rows_event_time_is_not_used() -> None:
    assert speed_seen(TRIP_AT) == 20.0
    assert np.isnan(speed_seen(TRIP_AT + timedelta(microseconds=1)))


def speed_seen_at(at: datetime, latest: datetime, previous: datetime, **changes: Any) -> float:
    """Return the stored feature that a trip sees whose zone has two rows: 20.0, and 10.0 before it."""
    before = OnlineRow((42,), previous, {"mean_speed": 10.0})
    row = OnlineRow((42,), latest, {"mean_speed": 20.0}, previous=before)
    trip = a_trip(pickup_datetime=at.isoformat())
    made = a_predictor(**changes).predict([trip], lambda lookups: [{(42,): row} for _ in lookups], NOW)
    return float(made.features[0][FEATURES.index("zone_stats__mean_speed")])


def test_until_the_latest_value_is_known_the_one_before_it_counts() -> None:
    tick, latest, previous = timedelta(microseconds=1), TRIP_AT, TRIP_AT - timedelta(days=1)
    assert speed_seen_at(latest, latest, previous) == 20.0
    assert speed_seen_at(latest - tick, latest, previous) == 10.0
    assert speed_seen_at(previous, latest, previous) == 10.0
    assert np.isnan(speed_seen_at(previous - tick, latest, previous))


def test_the_value_before_the_latest_has_a_ttl_of_its_own_and_stands_in_for_no_value_that_is_too_old() -> None:
    tick = timedelta(microseconds=1)
    assert speed_seen_at(TRIP_AT, TRIP_AT + tick, TRIP_AT - TTL) == 10.0
    assert np.isnan(speed_seen_at(TRIP_AT, TRIP_AT + tick, TRIP_AT - TTL - tick))
    assert np.isnan(speed_seen_at(TRIP_AT, TRIP_AT - TTL - tick, TRIP_AT - TTL - 2 * tick))
    minute = tuple(view.model_copy(update={"ttl_seconds": 60}) for view in a_manifest().stored)
    assert np.isnan(speed_seen_at(TRIP_AT, TRIP_AT - timedelta(seconds=61), TRIP_AT - timedelta(days=2), stored=minute))


def test_rows_of_one_request_see_each_what_was_known_at_their_own_time() -> None:
    asked: list[Lookup] = []
    before = OnlineRow((42,), TRIP_AT - timedelta(days=1), {"mean_speed": 10.0})
    row = OnlineRow((42,), TRIP_AT, {"mean_speed": 20.0}, previous=before)

    def read(lookups: Sequence[Lookup]) -> list[dict[tuple[Any, ...], OnlineRow]]:
        asked.extend(lookups)
        return [{(42,): row} for _ in lookups]

    trips = [a_trip(pickup_datetime=(TRIP_AT + timedelta(hours=hours)).isoformat()) for hours in (1, -1, 0, -30)]
    made = a_predictor().predict(trips, read, NOW)
    assert np.array_equal([row[3] for row in made.features], [20, 10, 20, np.nan], equal_nan=True)
    assert [lookup.since for lookup in asked] == [(TRIP_AT - timedelta(hours=30)).replace(tzinfo=None)]


def test_without_an_event_time_among_the_inputs_a_row_happens_when_it_arrives() -> None:
    assert speed_seen(NOW, event_time=None) == 20.0
    assert np.isnan(speed_seen(NOW + timedelta(microseconds=1), event_time=None))
    assert np.isnan(speed_seen(NOW - TTL - timedelta(microseconds=1), event_time=None))


def test_without_a_ttl_a_value_never_grows_too_old() -> None:
    stored = tuple(view.model_copy(update={"ttl_seconds": None}) for view in a_manifest().stored)
    assert speed_seen(datetime(1970, 1, 1, tzinfo=UTC), stored=stored) == 20.0


def test_a_feature_time_in_another_zone_is_the_same_moment() -> None:
    assert speed_seen(TRIP_AT.astimezone(timezone(timedelta(hours=-5)))) == 20.0
    assert speed_seen(TRIP_AT.replace(tzinfo=None)) == 20.0


def test_a_model_without_a_request_view_reads_stored_features_alone() -> None:
    graph = linear_graph((0.1,), 3.0)
    manifest = a_manifest(
        graph,
        features=("zone_stats__mean_speed",),
        request=None,
        event_time=None,
        inputs={"pickup_location_id": INPUTS["pickup_location_id"]},
    )
    made = predictor_of(manifest, graph).predict(
        [{"pickup_location_id": 42}], Lookups({(42,): (TRIP_AT, 20.0)}).read, NOW
    )
    assert made.values == [5.0]


def test_a_row_that_makes_a_feature_infinite_is_refused_by_its_place() -> None:
    view = RequestView(
        name="trip_context",
        table="taxi_trips",
        sql=SQL.replace("trip_distance AS distance", "trip_distance / (passenger_count - 1) AS distance"),
        columns=("distance", "hour", "passengers"),
    )
    with pytest.raises(RequestError, match=r"makes the feature trip_context__distance infinite") as caught:
        a_predictor(request=view).predict([a_trip(passenger_count=2), a_trip()], NOTHING.read, NOW)
    assert caught.value.field == "instances[1]"


def test_a_row_whose_prediction_is_not_finite_is_refused_by_its_place() -> None:
    steep = linear_graph(weights=(1e308, 0.0, 0.0, 0.0))
    manifest = a_manifest(steep)
    predictor = predictor_of(manifest, steep)
    assert predictor.predict([a_trip(trip_distance=1)], NOTHING.read, NOW).values == [1e308]
    with pytest.raises(RequestError, match=r"instances\[1\] is predicted to be inf") as caught:
        predictor.predict([a_trip(trip_distance=1), a_trip(trip_distance=2)], NOTHING.read, NOW)
    assert caught.value.field == "instances[1]"


def test_a_manifest_whose_features_no_view_makes_is_refused() -> None:
    with pytest.raises(DefinitionError, match="differ by trip_context__colour, zone_stats__mean_speed"):
        a_predictor(features=(*FEATURES[:3], "trip_context__colour"))


def test_a_rehearsal_shows_sql_that_no_longer_runs() -> None:
    view = RequestView(name="trip_context", table="taxi_trips", sql="SELECT gone AS distance", columns=("distance",))
    a_predictor().rehearse()
    with pytest.raises(DefinitionError, match=r"features/trip_context\.sql"):
        a_predictor(request=view, features=(FEATURES[0], FEATURES[3])).rehearse()
