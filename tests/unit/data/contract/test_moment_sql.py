"""Moments: offsets, formats, and local times that summer time skips or brings twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.data.contract.column_sql import typed
from perennial.data.engine import connect
from perennial.definitions import Column
from perennial.sql import literal
from tests.support.validated import Outcome, small, upload

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Asia/Kolkata",
)
Choice = Literal["reject", "earlier", "later"]


def moments(folder: Path, texts: list[str], column: Column) -> Outcome:
    return upload(folder, "\n".join(["at", *texts]).encode(), small(columns={"at": column}))


def test_a_time_with_another_offset_than_utc_asks_for_a_timestamptz(tmp_path: Path) -> None:
    outcome = moments(tmp_path, ["2019-01-31T08:00:00+02:00", "2019-01-31T08:00:00Z"], Column(type="timestamp"))
    assert outcome.faults() == [(2, "at", "type")]
    assert "a column with other offsets is a timestamptz" in outcome.bad[0]["reason"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2019-01-31T08:00:00+02:00", "2019-01-31 06:00:00"),
        ("2019-01-31T08:00:00-0500", "2019-01-31 13:00:00"),
        ("2019-01-31 08:00+05:30", "2019-01-31 02:30:00"),
        ("2019-01-31 08:00:00.25 Z", "2019-01-31 08:00:00.250000"),
        ("2019-01-31 08:00:00", None),
        ("2019-01-31", None),
        ("2019-01-31T08:00:00+16:00", None),
        ("2019-01-31T08:00:00 Europe/Berlin", None),
        ("epoch", None),
        ("infinity", None),
    ],
)
def test_a_moment_needs_an_offset_and_becomes_utc(tmp_path: Path, text: str, expected: str | None) -> None:
    outcome = moments(tmp_path, [text], Column(type="timestamptz"))
    assert [str(at) for (at,) in outcome.rows] == ([expected] if expected else [])
    assert outcome.faults() == ([] if expected else [(2, "at", "type")])


@pytest.mark.parametrize(
    "text", ["epoch", "infinity", "-infinity", "2019/01/31", "0000-01-01", "2019-01-31 08:00:60", "20190131", "now"]
)
@pytest.mark.parametrize("kind", ["timestamp", "date"])
def test_what_the_engine_would_take_for_a_time_is_none(
    tmp_path: Path, text: str, kind: Literal["timestamp", "date"]
) -> None:
    columns = {"at": Column(type="timestamp"), "day": Column(type=kind)}
    outcome = upload(tmp_path, f"at,day\n2019-01-01,{text}\n".encode(), small(columns=columns))
    assert outcome.faults() == [(2, "day", "type")]


def test_a_time_in_a_gap_or_one_that_comes_twice_says_so(tmp_path: Path) -> None:
    texts = ["2019-03-31 02:30:00", "2019-10-27 02:30:00", "2019-10-27T02:30:00+01:00", "2019-07-01 02:30", "noon"]
    outcome = moments(tmp_path, texts, Column(type="timestamptz", zone="Europe/Berlin"))
    assert outcome.faults() == [(2, "at", "gap"), (3, "at", "ambiguous"), (6, "at", "type")]
    assert [str(at) for (at,) in outcome.rows] == ["2019-10-27 01:30:00", "2019-07-01 00:30:00"]
    assert outcome.bad[0]["reason"] == (
        "at '2019-03-31 02:30:00' does not exist in Europe/Berlin, as summer time began"
    )


@pytest.mark.parametrize(("choice", "hour"), [("earlier", 0), ("later", 1)])
def test_a_contract_may_say_which_of_two_moments_is_meant(tmp_path: Path, choice: Choice, hour: int) -> None:
    column = Column(type="timestamptz", zone="Europe/Berlin", ambiguous=choice, format="%d.%m.%Y %H:%M")
    outcome = moments(tmp_path, ["27.10.2019 02:30", "31.03.2019 02:30", "27.10.2019"], column)
    assert [at for (at,) in outcome.rows] == [datetime(2019, 10, 27, hour, 30)]
    assert outcome.faults() == [(3, "at", "gap"), (4, "at", "type")]


def meanings(local: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return the moments that are shown as a local time, by PEP 495."""
    both = {local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(at.replace(tzinfo=None) for at in both if at.astimezone(zone).replace(tzinfo=None) == local)


@settings(max_examples=40, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    choice=st.sampled_from(["reject", "earlier", "later"]),
    times=st.lists(st.datetimes(datetime(2000, 1, 1), datetime(2024, 1, 1)), min_size=1, max_size=5),
    near=st.integers(-130, 130),
)
def test_local_times_mean_what_the_standard_library_says(
    tmp_path_factory: pytest.TempPathFactory, zone: str, choice: Choice, times: list[datetime], near: int
) -> None:
    known = ZoneInfo(zone)
    changes = [
        at
        for at in (datetime(2011, 1, 1) + timedelta(hours=hour) for hour in range(0, 24 * 365, 12))
        if known.utcoffset(at) != known.utcoffset(at + timedelta(hours=12))
    ]
    candidates = times + [at + timedelta(hours=6, minutes=near * 4) for at in changes]
    column = Column(type="timestamptz", zone=zone, ambiguous=choice)
    with connect(tmp_path_factory.mktemp("c")) as connection:
        for at in candidates:
            local = at.replace(microsecond=0)
            (found,) = connection.execute(f"SELECT {typed(column, literal(str(local)))}").fetchall()[0]
            meant = meanings(local, known)
            if len(meant) == 2 and choice != "reject":
                expected: datetime | None = meant[0] if choice == "earlier" else meant[1]
            else:
                expected = meant[0] if len(meant) == 1 else None
            assert found == expected, (local, meant)


@pytest.mark.parametrize("text", ["2019-01-31T08:00:00+99:00", "2016-12-31T23:59:60Z", "2019-01-31T08:00:00"])
def test_the_reason_of_a_bad_moment_fits_whether_or_not_it_has_an_offset(tmp_path: Path, text: str) -> None:
    reason = moments(tmp_path, [text], Column(type="timestamptz")).bad[0]["reason"]
    assert "seconds below 60 and an offset below 16 hours" in reason
    assert "only a column with a zone takes times without an offset" in reason
