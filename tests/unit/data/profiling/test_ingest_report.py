"""The report of an upload: all its facts in JSON, the same every time; a page that people understand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import duckdb
import pytest

from perennial.data.contract.validate import Validated
from perennial.data.profiling.ingest_report import EXAMPLES, MAX_RAW, UploadFacts, make_report, render
from perennial.data.profiling.profile import profile
from perennial.definitions import Column, Dataset
from perennial.sql import literal

EVIL = "<script>alert(1)</script>"
RIDES = Dataset(
    name="rides",
    event_time="at",
    columns={
        "at": Column(type="timestamp"),
        "miles": Column(type="double", min=0),
        EVIL: Column(type="categorical", nullable=True, open=True),
    },
)
UPLOAD = UploadFacts(
    dataset="rides", snapshot_id="5" * 32, source=f"s3://uploads/rides/{EVIL}.csv", source_version="v1",
    source_sha256="a" * 64, contract="c" * 64, uploaded_at=datetime(2019, 3, 1, tzinfo=UTC), previous_snapshot_id=None,
)  # fmt: skip
BAD = {
    "line": 7,
    "column": "miles",
    "value": EVIL,
    "rule": "type",
    "reason": "miles is not a number",
    "raw": f"1,{EVIL}",
}
FOUND = Validated(
    rows_in=1010,
    rows_good=1000,
    rows_rejected=10,
    months={"2019-01": 1000},
    min_event_time=datetime(2019, 1, 1),
    max_event_time=datetime(2019, 1, 31, 23),
    rejected_by={"miles: type": 9, "order": 1},
)


def part(folder: Path, miles: str = "i / 100.0", kind: str = f"'{EVIL}'", rows: int = 1000) -> Path:
    path = folder / "part.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT TIMESTAMP '2019-01-01' + to_minutes(i) AS at, CAST({miles} AS DOUBLE) AS miles, "
            f'{kind} AS "{EVIL}" FROM range({rows}) t(i)) TO {literal(str(path))} (FORMAT parquet)'
        )
    return path


def report(
    folder: Path, found: Validated = FOUND, previous: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    columns = {name: changes.pop(name) for name in ("miles", "kind", "rows") if name in changes}
    options = {"examples": [BAD], "profile": profile([part(folder, **columns)], RIDES), **changes}
    return make_report(upload=UPLOAD, validated=found, previous=previous, **options)


def test_a_report_holds_the_facts_of_the_upload(tmp_path: Path) -> None:
    made = report(tmp_path, forgotten=3, superseded={"9" * 32: 4})
    expected = {
        "dataset": "rides", "snapshot_id": "5" * 32, "source_sha256": "a" * 64, "contract": "c" * 64, "rows_in": 1010,
        "rows": 1000, "rejected": 10, "rejected_by": {"miles: type": 9, "order": 1}, "refusal": None,
        "min_event_time": "2019-01-01T00:00:00+00:00", "max_event_time": "2019-01-31T23:00:00+00:00",
        "uploaded_at": "2019-03-01T00:00:00+00:00", "forgotten": 3, "superseded": {"9" * 32: 4}, "comparison": None,
        "examples": [BAD],
    }  # fmt: skip
    assert {key: made[key] for key in expected} == expected
    assert made["profile"]["rows"] == 1000


def test_the_same_file_makes_the_same_bytes(tmp_path: Path) -> None:
    previous = report(tmp_path, miles="i % 7")
    first, second = (report(tmp_path, previous=previous) for _ in range(2))
    assert json.dumps(first) == json.dumps(second)
    assert render(first) == render(json.loads(json.dumps(second)))


def test_no_value_of_a_file_becomes_part_of_the_page(tmp_path: Path) -> None:
    found = Validated(**{**vars(FOUND), "added_columns": (EVIL,), "new_categories": {EVIL: (EVIL,)}})
    previous = report(tmp_path, kind=f"CASE WHEN i % 2 = 0 THEN '{EVIL}' ELSE '{EVIL}2' END")
    html = render(report(tmp_path, found, previous, miles="i * 3"))
    assert "<script" not in html
    # The file's name, the column, its category, what was added, the example's value and raw text, what vanished.
    assert html.count(escape(EVIL)) >= 8


def test_a_report_that_is_refused_says_so_first(tmp_path: Path) -> None:
    refused = Validated(
        rows_in=10, rows_good=0, rows_rejected=10, rejected_by={"miles: type": 10}, refusal="miles changed"
    )
    html = render(make_report(upload=UPLOAD, validated=refused, profile=None, examples=[BAD], previous=None))
    assert html.index("Refused as a whole: miles changed") < html.index("What was rejected")
    assert 'class="note bad"' in html
    assert "Taken in" not in html


def test_a_clean_first_file_is_told_in_a_sentence(tmp_path: Path) -> None:
    clean = Validated(rows_in=1000, rows_good=1000, rows_rejected=0)
    html = render(report(tmp_path, clean, examples=[]))
    assert "all of the 1\u202f000 rows keep the contract" in html
    assert "There is no snapshot before this one" in html
    assert "What was rejected" not in html


def test_what_moved_is_named_and_drawn_over_what_was_before(tmp_path: Path) -> None:
    previous = report(tmp_path, kind="'x'")
    html = render(report(tmp_path, previous=previous, miles="50 + i / 10.0", kind="'x'"))
    assert "1 column moved much: miles." in html
    assert 'class="before"' in html
    assert "The mean went up from 4.995 to 99.95" in html
    steady = render(report(tmp_path, previous=previous, kind="'x'"))
    assert "moved much:" not in steady


def test_few_rows_are_said_to_be_too_few(tmp_path: Path) -> None:
    mixed = "i * 37 % 1000"
    previous = report(tmp_path, miles=mixed, kind="'x'")
    html = render(report(tmp_path, previous=previous, miles=mixed, kind="'x'", rows=60))
    assert "of 1 column there are too few rows to say" in html


@pytest.mark.parametrize("previous", [{"snapshot_id": "1"}, {"profile": None}, {"profile": {"format": 0}}])
def test_a_report_without_a_profile_that_is_known_is_not_compared_with(
    tmp_path: Path, previous: dict[str, Any]
) -> None:
    assert report(tmp_path, previous=previous)["comparison"] is None


def test_examples_are_few_and_short(tmp_path: Path) -> None:
    long = BAD | {"raw": "x" * 10_000, "value": None, "column": None}
    made = report(tmp_path, examples=[long] * 100)
    assert len(made["examples"]) == EXAMPLES
    assert made["examples"][0]["raw"] == "x" * (MAX_RAW - 1) + "…"
    assert made["examples"][0]["value"] is None


def test_remarks_tell_what_else_befell_the_file(tmp_path: Path) -> None:
    found = Validated(
        **{
            **vars(FOUND),
            "added_columns": ("tip",),
            "absent_columns": ("fee",),
            "new_categories": {"kind": ("moped",)},
        }
    )
    html = render(report(tmp_path, found, forgotten=1, superseded={"a": 2, "b": 1}))
    for sentence in (
        "The file also has tip, which the contract does not know",
        "The file lacks fee, which the contract allows",
        "New categories of kind: moped.",
        "1 row had been forgotten on request",
        "Took the place of 3 rows with the same key in 2 snapshots.",
    ):
        assert sentence in html


def test_the_page_of_two_hundred_columns_stays_below_a_megabyte(tmp_path: Path) -> None:
    path = tmp_path / "wide.parquet"
    numbers, texts = [f"number_{n}" for n in range(100)], [f"text_{n}" for n in range(99)]
    columns = {"at": Column(type="timestamp")}
    columns |= {name: Column(type="double") for name in numbers} | {name: Column(type="categorical") for name in texts}
    dataset = Dataset(name="wide", event_time="at", columns=columns)
    reports: list[dict[str, Any]] = []
    for shift in (0, 3):
        selected = [f"sqrt(i * {n + 1}) + {shift} AS number_{n}" for n in range(100)]
        selected += [f"'a long category of many words, number ' || ((i + {shift}) % 40) AS text_{n}" for n in range(99)]
        with duckdb.connect() as connection:
            connection.execute(
                f"COPY (SELECT TIMESTAMP '2019-01-01' + to_minutes(i) AS at, {', '.join(selected)} "
                f"FROM range(2000) t(i)) TO {literal(str(path))} (FORMAT parquet)"
            )
        made = profile([path], dataset)
        previous = reports[-1] if reports else None
        reports.append(
            make_report(upload=UPLOAD, validated=FOUND, profile=made, examples=[BAD] * 20, previous=previous)
        )
    assert len(render(reports[-1]).encode()) < 1_000_000
