"""docs/reference.md: the query over the prediction log runs over what the log really is."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from perennial.data.prediction_parts import TYPES
from perennial.ports import Ports
from perennial.serving.ids import make_request_id
from perennial.steps import feedback, log_predictions
from tests.support.artifacts import MODEL, a_manifest, register
from tests.support.prediction_logs import a_request, lines_of
from tests.support.records import AT

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference.md").read_text()


def test_the_query_says_how_each_version_did(ports: Ports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(ports)
    register(ports, a_manifest(version=2))
    names = [make_request_id(AT + timedelta(seconds=20 * number), bytes(10)) for number in range(4)]
    made = [
        a_request(version=1 + number // 2, request_id=name, values=[10.0 * number], features=[[float(number)] * 4])
        for number, name in enumerate(names)
    ]
    shadow = a_request(version=2, request_id=names[0], route="shadow")
    lines = lines_of([*made, shadow, a_request(request_id=names[1], error="DataError", values=[], features=[])])
    for delivery in (lines, lines[:2]):  # some of it comes twice
        log_predictions.run(log_predictions.Request(lines=delivery), ports)
    for value in (100.0, 13.0):  # the second corrects the first
        label = feedback.LabelledPrediction(prediction_id=f"1-{names[1]}-0", label=value)
        feedback.run(feedback.Request(model=MODEL, labels=[label]), ports)
    for key in [*ports.artifacts.keys("predictions/"), *ports.artifacts.keys("labels/")]:
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(ports.artifacts.get(key))

    [query] = re.findall(r"<!-- run: prediction log -->\n```sql\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    with duckdb.connect() as connection:
        assert connection.execute(query).fetchall() == [(1, 2, 1, 3.0, 0.5), (2, 2, 0, None, 2.5)]


def test_the_page_names_every_column_of_a_part() -> None:
    section = PAGE.partition("## The prediction log")[2].partition("\n## ")[0]
    named = {
        name for row in re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert named == {*TYPES}
