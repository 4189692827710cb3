"""What every online feature store promises."""

from __future__ import annotations

import math
import struct
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perennial.errors import DataError
from perennial.ports import OnlineRow, OnlineStore
from tests.records import AT

VIEW, VERSION = "zone_stats", "f" * 64


def row(zone: object = 1, hour: int = 0, **values: Any) -> OnlineRow:
    return OnlineRow((zone,), AT + timedelta(hours=hour), values)


def read(store: OnlineStore, zone: object = 1, columns: tuple[str, ...] = ("mean",)) -> dict[str, Any] | None:
    found = store.read(VIEW, VERSION, [(zone,)], columns)
    return dict(found[zone,].values) if found else None


def test_what_is_written_is_read_by_its_entity(online_store: OnlineStore) -> None:
    assert online_store.write(VIEW, VERSION, [row(1, mean=0.5), row(2, mean=1.5)], 1) == 2
    found = online_store.read(VIEW, VERSION, [(2,), (1,), (3,)], ["mean"])
    assert found == {(1,): row(1, mean=0.5), (2,): row(2, mean=1.5)}


def test_the_named_columns_alone_are_read(online_store: OnlineStore) -> None:
    online_store.write(VIEW, VERSION, [row(mean=1.0, most=2, name="x", open=True, gone=None)], 1)
    assert read(online_store, columns=("most", "gone")) == {"most": 2, "gone": None}
    assert read(online_store, columns=("name", "open", "unheard_of")) == {"name": "x", "open": True}
    assert read(online_store, columns=()) == {}


def test_within_a_revision_a_newer_feature_time_replaces_and_an_older_one_does_not(online_store: OnlineStore) -> None:
    online_store.write(VIEW, VERSION, [row(hour=2, mean=2.0)], 5)
    assert online_store.write(VIEW, VERSION, [row(hour=1, mean=1.0)], 5) == 0
    assert read(online_store) == {"mean": 2.0}
    assert online_store.write(VIEW, VERSION, [row(hour=3, mean=3.0)], 5) == 1
    assert read(online_store) == {"mean": 3.0}


def test_a_later_revision_stands_even_where_its_feature_time_is_earlier(online_store: OnlineStore) -> None:
    online_store.write(VIEW, VERSION, [row(hour=2, mean=2.0)], 9)
    assert online_store.write(VIEW, VERSION, [row(hour=3, mean=3.0)], 8) == 0
    assert read(online_store) == {"mean": 2.0}
    assert online_store.write(VIEW, VERSION, [row(hour=1, mean=1.0)], 10) == 1
    assert read(online_store) == {"mean": 1.0}


def test_at_the_same_feature_time_the_later_revision_stands(online_store: OnlineStore) -> None:
    online_store.write(VIEW, VERSION, [row(mean=1.0)], 9)
    assert online_store.write(VIEW, VERSION, [row(mean=2.0)], 10) == 1
    assert online_store.write(VIEW, VERSION, [row(mean=3.0)], 10) == 0
    assert online_store.write(VIEW, VERSION, [row(mean=3.0)], 9) == 0
    assert read(online_store) == {"mean": 2.0}


def test_a_newer_row_leaves_nothing_of_the_older_behind(online_store: OnlineStore) -> None:
    online_store.write(VIEW, VERSION, [row(mean=1.0, most=2.0)], 1)
    online_store.write(VIEW, VERSION, [row(mean=3.0)], 2)
    assert read(online_store, columns=("mean", "most")) == {"mean": 3.0}


def test_microseconds_and_zones_order_feature_times(online_store: OnlineStore) -> None:
    later = AT + timedelta(microseconds=1)
    online_store.write(VIEW, VERSION, [OnlineRow((1,), later, {"mean": 1.0})], 1)
    assert online_store.write(VIEW, VERSION, [row(mean=2.0)], 1) == 0
    elsewhere = (later + timedelta(microseconds=1)).astimezone(timezone(timedelta(hours=-5)))
    assert online_store.write(VIEW, VERSION, [OnlineRow((1,), elsewhere, {"mean": 3.0})], 1) == 1
    assert online_store.read(VIEW, VERSION, [(1,)], [])[1,].feature_time == elsewhere


def test_a_feature_time_without_a_zone_is_in_utc(online_store: OnlineStore) -> None:
    online_store.write(VIEW, VERSION, [OnlineRow((1,), datetime(2019, 3, 1), {"mean": 1.0})], 1)
    assert online_store.read(VIEW, VERSION, [(1,)], [])[1,].feature_time == AT


def test_views_and_their_versions_do_not_mix(online_store: OnlineStore) -> None:
    online_store.write(VIEW, VERSION, [row(mean=1.0)], 1)
    assert online_store.read(VIEW, "e" * 64, [(1,)], ["mean"]) == {}
    assert online_store.read("zones", VERSION, [(1,)], ["mean"]) == {}


@pytest.mark.parametrize(
    ("one", "other"), [(("a#b", "c"), ("a", "b#c")), (("a", ""), ("", "a")), ((None,), ("None",)), ((None,), ("%",))]
)
def test_entities_that_look_alike_do_not_mix(
    online_store: OnlineStore, one: tuple[Any, ...], other: tuple[Any, ...]
) -> None:
    online_store.write(VIEW, VERSION, [OnlineRow(one, AT, {"mean": 1.0}), OnlineRow(other, AT, {"mean": 2.0})], 1)
    found = online_store.read(VIEW, VERSION, [one, other], ["mean"])
    assert (found[one].values, found[other].values) == ({"mean": 1.0}, {"mean": 2.0})


def test_more_entities_than_one_batch_holds_are_read_with_repetitions_among_them(online_store: OnlineStore) -> None:
    online_store.write(VIEW, VERSION, [row(zone, mean=zone / 7) for zone in range(250)], 1)
    found = online_store.read(VIEW, VERSION, [(zone % 250,) for zone in range(400)], ["mean"])
    assert {zone: values.values["mean"] for (zone,), values in found.items()} == {z: z / 7 for z in range(250)}


def test_nothing_asked_is_nothing_read(online_store: OnlineStore) -> None:
    assert online_store.read(VIEW, VERSION, [], ["mean"]) == {}


def test_a_value_that_is_no_plain_one_is_refused_with_its_place(online_store: OnlineStore) -> None:
    with pytest.raises(DataError, match=r"view zone_stats: column mean of entity.*datetime"):
        online_store.write(VIEW, VERSION, [row(mean=AT)], 1)


EXTREMES = [5e-324, 1.7976931348623157e308, -0.0, 0.1 + 0.2, 1e-130 / 3, math.inf, -math.inf, math.nan]


@given(value=st.floats() | st.sampled_from(EXTREMES))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_float64_comes_back_to_the_bit(online_store: OnlineStore, value: float) -> None:
    version = struct.pack(">d", value).hex()
    online_store.write(VIEW, version, [row(mean=value)], 1)
    found = online_store.read(VIEW, version, [(1,)], ["mean"])[1,].values["mean"]
    assert isinstance(found, float)
    if math.isnan(value):
        assert math.isnan(found)  # which of the NaNs it was means nothing to a model
    else:
        assert struct.pack(">d", found) == struct.pack(">d", value)


@pytest.mark.parametrize("value", [0, -1, 2**63, True, False, "", 'é\n"', "1.5", None])
def test_other_values_come_back_with_their_type(online_store: OnlineStore, value: object) -> None:
    online_store.write(VIEW, VERSION, [row(mean=value)], 1)
    found = read(online_store)
    assert found == {"mean": value}
    assert type(found["mean"]) is type(value)
