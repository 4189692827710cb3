"""What `perennial monitor` shows."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from infra.watch import by_minute, save_report, show_watch
from perennial.errors import DataError, NotFoundError
from perennial.ports import Ports
from perennial.records import Moved
from tests.support.records import AT, an_assessment

SHIFT = Moved(subject="trip__distance", kind="shift", value=0.42, reference=0, threshold=0.1, chance=1e-7)
KEY = "reports/monitoring/fare/1/now.json"


def test_the_latest_finding_is_told_with_its_figures_and_those_before_it(ports: Ports) -> None:
    ports.catalog.record_assessment(an_assessment(sentence="quiet"))
    moved = an_assessment(
        at=AT + timedelta(hours=1),
        attention=True,
        sentence="trip__distance moved: by 0.42 standard deviations",
        figures={"features": 4.2, "predictions": 0.3},
        moved=(SHIFT,),
    )
    ports.catalog.record_assessment(moved)
    content, shown = show_watch(ports.catalog, "fare")
    assert content["latest"]["figures"] == moved.figures
    assert [one["sentence"] for one in content["history"]] == [moved.sentence, "quiet"]
    assert "needs attention" in str(shown[0])
    assert moved.sentence in str(shown[0])
    assert len(shown) == 4  # the sentence, the signals, what moved, the looks


def test_of_a_minute_the_latest_look_is_shown() -> None:
    looks = [an_assessment(at=AT + timedelta(seconds=seconds), rows=seconds) for seconds in (70, 50, 10)]
    assert [one.rows for one in by_minute(looks)] == [70, 50]


def test_a_model_that_nobody_looked_at_is_not_found(ports: Ports) -> None:
    with pytest.raises(NotFoundError, match="has not looked at a model 'fare' yet"):
        show_watch(ports.catalog, "fare")


def test_the_page_of_the_latest_report_is_saved(ports: Ports, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no report about model 'fare' yet"):
        save_report(ports, "fare", tmp_path / "page.html")
    ports.catalog.record_assessment(an_assessment(report_key=KEY, reported_at=AT))
    ports.artifacts.put(KEY.replace(".json", ".html"), b"<!DOCTYPE html>")
    assert save_report(ports, "fare", tmp_path / "page.html")["key"] == KEY
    assert (tmp_path / "page.html").read_bytes() == b"<!DOCTYPE html>"
    with pytest.raises(DataError, match="cannot be written"):
        save_report(ports, "fare", tmp_path / "nowhere" / "page.html")
