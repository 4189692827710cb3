"""What the CLI prints."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from infra.display import Display, describe_run, duration, mark, several, table
from perennial.records import Run, StepRecord, Trigger
from tests.support.records import a_run

AT = datetime(2024, 1, 1, tzinfo=UTC)


def test_brackets_and_colons_of_an_upload_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    outside = "has the columns a[/b], [red] and :smile:"
    run = Run(
        run_id="r", kind="ingest", subject="s", status="failed", started_at=AT,
        trigger=Trigger(kind="upload", source="x"), code_version="",
    )  # fmt: skip
    step = StepRecord(run_id="r", step="ingest", status="failed", started_at=AT, ended_at=AT, error=outside)
    display = Display(as_json=False)

    display.step(run, step)
    display.result([], table(outside, [""], [(mark("failed"),), (outside,)]))
    display.result([], outside)

    printed = capsys.readouterr().out
    assert printed.count(outside) == 4
    assert "[red]✗" not in printed


def test_json_is_all_that_stands_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display(as_json=True)

    display.say("progress")
    display.result({"a": 1}, "one")

    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"a": 1}
    assert printed.err == "progress\n"


@pytest.mark.parametrize(("amount", "said"), [(0, "0 rows"), (1, "1 row"), (2000, "2,000 rows")])
def test_one_is_singular(amount: int, said: str) -> None:
    assert several(amount, "row") == said
    run = a_run("r", kind="ingest", status="succeeded", outputs={"rows": amount, "rejected": 1})
    assert describe_run(run) == f"{said}, 1 rejected"


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(days=90), "90 days"),
        (timedelta(hours=36), "36 hours"),
        (timedelta(hours=24), "1 day"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(seconds=5), "5 seconds"),
    ],
)
def test_a_length_of_time_is_said_in_the_largest_unit_that_is_whole(length: timedelta, said: str) -> None:
    assert duration(length) == said


@pytest.mark.parametrize(("identical", "phrase"), [(True, "version 3 is identical"), (False, "version 3 differs")])
def test_a_rebuild_is_told_by_whether_it_is_the_same(identical: bool, phrase: str) -> None:
    run = a_run(kind="rebuild", subject="fare", status="succeeded", outputs={"version": 3, "identical": identical})

    assert describe_run(run) == phrase
