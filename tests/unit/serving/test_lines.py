"""A function's own log: a JSON object a line."""

from __future__ import annotations

import json
from datetime import date

import pytest

from perennial.serving.lines import say


def test_an_event_is_one_line_with_its_facts(capsys: pytest.CaptureFixture[str]) -> None:
    say("ERROR", "stand_in", version=2, sentence="two\nlines ☃", on=date(2019, 3, 1), nothing=None)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {
        "level": "ERROR",
        "message": "stand_in",
        "version": 2,
        "sentence": "two\nlines ☃",
        "on": "2019-03-01",
        "nothing": None,
    }
