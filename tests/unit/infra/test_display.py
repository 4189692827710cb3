"""What the CLI prints."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from infra.display import Display, mark, table
from perennial.records import Run, StepRecord, Trigger

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
