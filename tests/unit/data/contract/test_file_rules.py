"""Rules over a file as a whole: it is refused with a sentence, and its quarantine is there all the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from perennial.definitions import Bounds, Column, FileRules
from tests.support.validated import GOOD, HEADER, refusal, row, small, upload

UPLOADED = datetime(2019, 1, 31, 12, tzinfo=UTC)


def test_a_file_with_too_few_good_rows_is_refused(tmp_path: Path) -> None:
    outcome = upload(tmp_path, HEADER + GOOD + row(zone="x"), small(file=FileRules(min_rows=2)))
    assert outcome.found.refusal == (
        "f.csv: it has 1 good rows, fewer than the 2 that min_rows asks for: the file is refused as a whole; "
        "mend it and upload it again, or change datasets/rides.toml"
    )
    assert outcome.faults() == [(3, "zone", "type")]


@pytest.mark.parametrize(("bad", "refused"), [(1, False), (2, True)])
def test_a_file_with_too_large_a_share_of_bad_rows_is_refused(tmp_path: Path, bad: int, refused: bool) -> None:
    content = HEADER + GOOD * (10 - bad) + row(zone="x") * bad
    found = upload(tmp_path, content, small(file=FileRules(max_rejected=0.1))).found
    assert (found.refusal is not None) == refused
    if refused:
        assert "2 of 10 rows go to quarantine" in str(found.refusal)


@pytest.mark.parametrize(("absent", "refused"), [(2, False), (3, True)])
def test_a_file_with_too_large_a_share_of_absent_values_is_refused(tmp_path: Path, absent: int, refused: bool) -> None:
    columns = {**small().columns, "note": Column(type="string", nullable=True, max_null=0.2)}
    content = HEADER + GOOD * (10 - absent) + row(note="") * absent
    found = upload(tmp_path, content, small(columns=columns), block=60).found
    assert (found.refusal is not None) == refused
    if refused:
        assert "3 of 10 rows have no note" in str(found.refusal)


@pytest.mark.parametrize(("count", "refused"), [(9, False), (10, True)])
def test_a_column_whose_values_are_all_of_another_type_is_named(tmp_path: Path, count: int, refused: bool) -> None:
    found = upload(tmp_path, HEADER + row(zone="A7") * count, block=70).found
    assert ("none of the 10 values of zone is of the type integer" in str(found.refusal)) == refused


def test_one_value_of_the_type_keeps_a_dirty_column_from_counting_as_another(tmp_path: Path) -> None:
    found = upload(tmp_path, HEADER + row(zone="A7") * 20 + GOOD, block=70).found
    assert found.refusal is None


@pytest.mark.parametrize(("days", "refused"), [(31, False), (30, True)])
def test_a_file_whose_latest_row_is_old_is_refused(tmp_path: Path, days: int, refused: bool) -> None:
    dataset = small(file=FileRules(freshness=timedelta(days=days)))
    found = upload(tmp_path, HEADER + GOOD, dataset, uploaded_at=UPLOADED).found
    assert (found.refusal is not None) == refused
    if refused:
        assert "its latest row is of 2019-01-01 00:00:00" in str(found.refusal)


def test_a_row_after_the_upload_is_quarantined_if_the_contract_says_so(tmp_path: Path) -> None:
    content = HEADER + row(at="2019-01-31 12:00:00") + row(at="2019-01-31 12:00:01")
    assert upload(tmp_path, content, uploaded_at=UPLOADED).bad == []
    outcome = upload(tmp_path, content, small(bounds=Bounds(not_after_upload=True)), uploaded_at=UPLOADED)
    assert outcome.faults() == [(3, "at", "not_after_upload")]
    assert outcome.bad[0]["reason"] == "at 2019-01-31 12:00:01 is after the upload at 2019-01-31 12:00:00"


@pytest.mark.parametrize(
    ("form", "name", "good"),
    [
        ("rides_%Y-%m", "in/rides_2019-12.csv.gz", ["2019-12-01", "2019-12-31 23:59:59"]),
        ("%Y%m%d", "20191201.csv", ["2019-12-01"]),
        ("%Y", "2019.csv", ["2019-01-01", "2019-12-01", "2019-12-31 23:59:59"]),
    ],
)
def test_rows_must_lie_in_the_period_that_the_name_says(tmp_path: Path, form: str, name: str, good: list[str]) -> None:
    times = ["2018-12-31 23:59:59", "2019-01-01", "2019-12-01", "2019-12-31 23:59:59", "2020-01-01"]
    content = HEADER + b"".join(row(at=at) for at in times)
    source = name.removesuffix(".gz")
    outcome = upload(tmp_path, content, small(bounds=Bounds(file_period=form)), name=source)
    assert [str(found[0]).removesuffix(" 00:00:00") for found in outcome.rows] == good
    assert {rule for _, _, rule in outcome.faults()} == {"file_period"}


@pytest.mark.parametrize("name", ["rides.csv", "rides_2019-13.csv", "rides_2019-1.csv", "rides_12019-12.csv"])
def test_a_name_that_does_not_say_the_period_is_refused(tmp_path: Path, name: str) -> None:
    dataset = small(bounds=Bounds(file_period="_%Y-%m"))
    assert "the name does not say its period" in refusal(tmp_path, HEADER + GOOD, dataset, name)


def test_columns_that_the_contract_does_not_know_are_left_out_and_recorded(tmp_path: Path) -> None:
    content = b"tip,at,zone,miles,note,way\n1,2019-01-01,1,2.5,x,y\n1,2019-01-01,z,2.5,x,y\n"
    outcome = upload(tmp_path, content)
    assert outcome.found.added_columns == ("tip", "way")
    assert [found[1:] for found in outcome.rows] == [(1, 2.5, "x")]
    assert outcome.bad[0]["value"] == "z"
    assert "has the columns tip, way" in refusal(tmp_path, content, small(extra_columns="refuse"))


def test_an_optional_column_may_be_missing_and_is_absent_then(tmp_path: Path) -> None:
    columns = {**small().columns, "note": Column(type="string", nullable=True, optional=True)}
    outcome = upload(tmp_path, b"at,zone,miles\n2019-01-01,1,2.5\n", small(columns=columns))
    assert outcome.found.absent_columns == ("note",)
    assert [found[1:] for found in outcome.rows] == [(1, 2.5, None)]


def test_new_categories_of_an_open_column_are_kept_and_reported(tmp_path: Path) -> None:
    columns = {**small().columns, "note": Column(type="categorical", allowed=("x", "y"), open=True, nullable=True)}
    content = HEADER + GOOD + row(note="w") + row(note="") + row(note="v") + row(note="u", zone="x")
    outcome = upload(tmp_path, content, small(columns=columns), block=60)
    assert outcome.found.new_categories == {"note": ("v", "w")}
    assert [found[3] for found in outcome.rows] == ["x", "w", None, "v"]


def test_months_count_the_good_rows_by_event_time(tmp_path: Path) -> None:
    content = HEADER + row(at="2019-02-01") + row(at="2018-12-31 23:59:59") + row(at="2019-02-28") + row(zone="x")
    assert dict(upload(tmp_path, content, block=40).found.months) == {"2018-12": 1, "2019-02": 2}
