"""What every online feature store promises."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perennial.errors import DataError
from perennial.fakes import FakeOnlineStore
from perennial.ports import Lookup, OnlineRow, OnlineStore
from tests.support.records import AT

VIEW, VERSION = "zone_stats", "f" * 64


def row(zone: object = 1, hour: int = 0, **values: Any) -> OnlineRow:
    return OnlineRow((zone,), AT + timedelta(hours=hour), values)


def look(
    store: OnlineStore,
    entities: Sequence[tuple[Any, ...]],
    columns: Sequence[str] = ("mean",),
    view: str = VIEW,
    version: str = VERSION,
) -> dict[tuple[Any, ...], OnlineRow]:
    (found,) = store.read_many([Lookup(view, version, entities, columns)])
    return found


def read(store: OnlineStore, zone: object = 1, columns: tuple[str, ...] = ("mean",)) -> dict[str, Any] | None:
    found = look(store, [(zone,)], columns)
    return dict(found[zone,].values) if found else None


def test_what_is_written_is_read_by_its_entity(online_store: OnlineStore) -> None:
    assert online_store.write(VIEW, VERSION, [row(1, mean=0.5), row(2, mean=1.5)], 1) == 2
    found = look(online_store, [(2,), (1,), (3,)])
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
    assert look(online_store, [(1,)], [])[1,].feature_time == elsewhere


def test_a_feature_time_without_a_zone_is_in_utc(online_store: OnlineStore) -> None:
    online_store.write(VIEW, VERSION, [OnlineRow((1,), datetime(2019, 3, 1), {"mean": 1.0})], 1)
    assert look(online_store, [(1,)], [])[1,].feature_time == AT


def with_previous(hour: int, previous: OnlineRow | None, zone: object = 1, **values: Any) -> OnlineRow:
    return replace(row(zone, hour, **values), previous=previous)


def test_the_row_before_the_latest_is_read_with_it_and_the_named_columns_alone(online_store: OnlineStore) -> None:
    value = 0.1 + 0.2
    before = row(hour=1, mean=value, most=None, name="a")
    rows = [with_previous(5, before, mean=2.0, most=1), row(2, mean=3.0)]
    assert online_store.write(VIEW, VERSION, rows, 1) == 2
    found = look(online_store, [(1,), (2,)], ["mean", "name"])
    assert found[1,] == with_previous(5, row(hour=1, mean=value, name="a"), mean=2.0)
    assert found[2,] == row(2, mean=3.0)
    assert look(online_store, [(1,)], [])[1,] == with_previous(5, row(hour=1))


def test_a_newer_row_brings_the_one_before_it_and_leaves_no_other(online_store: OnlineStore) -> None:
    online_store.write(VIEW, VERSION, [with_previous(5, row(hour=1, mean=1.0, most=1.0), mean=2.0)], 1)
    assert online_store.write(VIEW, VERSION, [with_previous(4, row(hour=3, mean=9.0), mean=9.0)], 1) == 0
    assert online_store.write(VIEW, VERSION, [with_previous(5, row(hour=3, mean=3.0), mean=2.0)], 2) == 1
    found = look(online_store, [(1,)], ["mean", "most"])[1,]
    assert found == with_previous(5, row(hour=3, mean=3.0), mean=2.0)
    assert online_store.write(VIEW, VERSION, [row(hour=5, mean=2.0)], 3) == 1
    assert look(online_store, [(1,)])[1,] == row(hour=5, mean=2.0)
    online_store.write(VIEW, VERSION, [with_previous(5, row(hour=3, mean=3.0), mean=2.0)], 4)
    assert online_store.withdraw(VIEW, VERSION, [(1,)], 5) == 1
    assert look(online_store, [(1,)]) == {}


@pytest.mark.parametrize(
    ("since", "left_out"),
    [
        (None, False),
        (AT + timedelta(hours=5) - timedelta(microseconds=1), False),
        (AT + timedelta(hours=5), True),
        ((AT + timedelta(hours=5)).replace(tzinfo=None), True),
        ((AT + timedelta(hours=5)).astimezone(timezone(timedelta(hours=-7))), True),
    ],
)
def test_the_row_before_the_latest_is_left_out_if_the_latest_is_known_at_all_moments_that_count(
    online_store: OnlineStore, since: datetime | None, left_out: bool
) -> None:
    stored = with_previous(5, row(hour=1, mean=1.0), mean=2.0)
    online_store.write(VIEW, VERSION, [stored], 1)
    (found,) = online_store.read_many([Lookup(VIEW, VERSION, [(1,)], ["mean"], since)])
    assert found == {(1,): replace(stored, previous=None) if left_out else stored}


def test_of_the_two_rows_the_later_one_that_is_known_counts() -> None:
    found = with_previous(5, row(hour=1, mean=1.0), mean=2.0)
    for hour, mean in ((0, None), (1, 1.0), (4, 1.0), (5, 2.0), (9, 2.0)):
        known = found.known_at(AT + timedelta(hours=hour))
        assert (None if known is None else known.values["mean"]) == mean
    assert row(hour=5).known_at(AT.replace(tzinfo=None)) is None


def test_views_and_their_versions_do_not_mix(online_store: OnlineStore) -> None:
    online_store.write(VIEW, VERSION, [row(mean=1.0)], 1)
    assert look(online_store, [(1,)], version="e" * 64) == {}
    assert look(online_store, [(1,)], view="zones") == {}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a#b", "c"), ("a", "b#c")),
        (("a", ""), ("", "a")),
        ((None,), ("None",)),
        ((None,), ("%",)),
        (("é",), ("e\u0301",)),
        (("x" * 5000,), ("x" * 4999 + "y",)),
        ((Decimal("12345678901234567890123456789012345.678"),), (Decimal("12345678901234567890123456789012345.679"),)),
    ],
)
def test_entities_that_look_alike_do_not_mix(
    online_store: OnlineStore, one: tuple[Any, ...], other: tuple[Any, ...]
) -> None:
    online_store.write(VIEW, VERSION, [OnlineRow(one, AT, {"mean": 1.0}), OnlineRow(other, AT, {"mean": 2.0})], 1)
    found = look(online_store, [one, other])
    assert (found[one].values, found[other].values) == ({"mean": 1.0}, {"mean": 2.0})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.0, -0.0),
        (Decimal("1.50"), Decimal("1.5")),
        (Decimal("100"), Decimal("1e2")),
        (Decimal("-0.00"), Decimal("0")),
        (datetime(2019, 3, 1), datetime(2019, 3, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
    ],
)
def test_entities_that_sql_holds_equal_are_one(online_store: OnlineStore, one: object, other: object) -> None:
    online_store.write(VIEW, VERSION, [row(one, mean=1.0)], 1)
    assert read(online_store, other) == {"mean": 1.0}


def test_several_views_are_read_together_each_with_its_own_columns(online_store: OnlineStore) -> None:
    online_store.write(VIEW, VERSION, [row(1, mean=1.0, most=2.0), row(2, mean=3.0, most=4.0)], 1)
    online_store.write("hours", VERSION, [OnlineRow(("a", 7), AT, {"mean": 5.0, "least": 6.0})], 1)
    lookups = [
        Lookup(VIEW, VERSION, [(1,), (2,), (1,)], ["mean"]),
        Lookup("hours", VERSION, [("a", 7), ("b", 7)], ["least"]),
        Lookup(VIEW, VERSION, [(2,), (9,)], ["most"]),
    ]
    found = [{key: dict(found.values) for key, found in each.items()} for each in online_store.read_many(lookups)]
    assert found == [{(1,): {"mean": 1.0}, (2,): {"mean": 3.0}}, {("a", 7): {"least": 6.0}}, {(2,): {"most": 4.0}}]


def test_more_columns_than_an_expression_names_are_read_nevertheless(online_store: OnlineStore) -> None:
    values = {f"column_{number}": float(number) for number in range(900)}
    online_store.write(VIEW, VERSION, [row(**values)], 1)
    assert read(online_store, columns=tuple(values)) == values
    turned = {name: -value for name, value in values.items()}
    online_store.write(VIEW, VERSION, [with_previous(2, row(hour=1, **turned), **values)], 1)
    for columns in (tuple(values), tuple(values)[:300]):
        found = look(online_store, [(1,)], columns)[1,]
        assert found.previous is not None
        assert (found.values, found.previous.values) == (
            {name: values[name] for name in columns},
            {name: turned[name] for name in columns},
        )
    assert read(online_store, columns=("column_899",)) == {"column_899": 899.0}


def test_a_withdrawn_row_is_not_there_and_no_late_writer_brings_it_back(online_store: OnlineStore) -> None:
    online_store.write(VIEW, VERSION, [row(1, hour=5, mean=1.0), row(2, mean=2.0)], 4)
    assert online_store.withdraw(VIEW, VERSION, [(1,), (3,)], 5) == 1
    assert look(online_store, [(1,), (2,), (3,)]).keys() == {(2,)}
    for revision in (3, 4, 5):
        assert online_store.write(VIEW, VERSION, [row(1, hour=9, mean=9.0), row(3, hour=9, mean=9.0)], revision) == 0
    assert look(online_store, [(1,), (3,)]) == {}
    assert online_store.withdraw(VIEW, VERSION, [(1,)], 5) == 0


def test_a_later_revision_writes_where_a_row_was_withdrawn(online_store: OnlineStore) -> None:
    online_store.write(VIEW, VERSION, [row(hour=5, mean=1.0)], 4)
    online_store.withdraw(VIEW, VERSION, [(1,)], 5)
    assert online_store.write(VIEW, VERSION, [row(hour=1, mean=2.0)], 6) == 1
    assert read(online_store) == {"mean": 2.0}


def test_a_withdrawal_by_an_older_revision_comes_too_late(online_store: OnlineStore) -> None:
    online_store.write(VIEW, VERSION, [row(mean=1.0)], 5)
    assert online_store.withdraw(VIEW, VERSION, [(1,)], 4) == 0
    assert read(online_store) == {"mean": 1.0}


WRITES = st.tuples(st.integers(1, 3), st.none() | st.integers(0, 2))
"""(revision, hour); an hour of None is a withdrawal."""


def highest(writes: Sequence[tuple[int, int | None]]) -> dict[str, Any] | None:
    """Return what must stand in the end: a withdrawal is above all hours of its revision."""
    revision, hour = max(writes, key=lambda write: (write[0], math.inf if write[1] is None else write[1]))
    return None if hour is None else {"mean": revision * 100.0 + hour}


def play(store: OnlineStore, version: str, write: tuple[int, int | None]) -> None:
    revision, hour = write
    if hour is None:
        store.withdraw(VIEW, version, [(1,)], revision)
    else:
        store.write(VIEW, version, [row(hour=hour, mean=revision * 100.0 + hour)], revision)


@given(writes=st.lists(WRITES, min_size=1, max_size=6))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_the_order_of_writers_what_ranks_highest_stands(
    online_store: OnlineStore, writes: list[tuple[int, int | None]]
) -> None:
    version = uuid4().hex
    for write in writes:
        play(online_store, version, write)
    found = look(online_store, [(1,)], version=version)
    assert (dict(found[1,].values) if found else None) == highest(writes)


@given(writes=st.lists(WRITES, min_size=8, max_size=16))
@settings(max_examples=30, deadline=None)
def test_writers_on_threads_leave_what_ranks_highest(writes: list[tuple[int, int | None]]) -> None:
    # On the fake; of DynamoDB, tests/e2e has the same on the local cloud, as moto itself races under threads.
    store = FakeOnlineStore()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda write: play(store, VERSION, write), writes))
    assert read(store) == highest(writes)


def test_more_entities_than_one_batch_holds_are_read_with_repetitions_among_them(online_store: OnlineStore) -> None:
    online_store.write(VIEW, VERSION, [row(zone, mean=zone / 7) for zone in range(250)], 1)
    found = look(online_store, [(zone % 250,) for zone in range(400)])
    assert {zone: values.values["mean"] for (zone,), values in found.items()} == {z: z / 7 for z in range(250)}


def test_nothing_asked_is_nothing_read(online_store: OnlineStore) -> None:
    assert look(online_store, []) == {}
    assert online_store.read_many([]) == []


def test_a_value_that_is_no_plain_one_is_refused_with_its_place(online_store: OnlineStore) -> None:
    with pytest.raises(DataError, match=r"view zone_stats: column mean of entity.*datetime"):
        online_store.write(VIEW, VERSION, [row(mean=AT)], 1)
    with pytest.raises(DataError, match=r"view zone_stats: column mean of entity.*datetime"):
        online_store.write(VIEW, VERSION, [with_previous(1, row(mean=AT), mean=1.0)], 1)


EXTREMES = [5e-324, 1.7976931348623157e308, -0.0, 0.1 + 0.2, 1e-130 / 3, math.inf, -math.inf, math.nan]


@given(value=st.floats() | st.sampled_from(EXTREMES))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_float64_comes_back_to_the_bit(online_store: OnlineStore, value: float) -> None:
    version = struct.pack(">d", value).hex()
    online_store.write(VIEW, version, [row(mean=value)], 1)
    found = look(online_store, [(1,)], version=version)[1,].values["mean"]
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
