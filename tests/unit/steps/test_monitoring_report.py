"""Reports: when they are written, what they hold, and that a death or a second monitor spoils none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from threading import Thread

import numpy as np
import pytest

from perennial import keys
from perennial.definitions import Monitor
from perennial.fakes import FixedClock
from perennial.monitoring.report import MonitoringReport
from perennial.ports import Ports
from perennial.records import Assessment
from perennial.steps import monitor
from perennial.steps.monitoring_report import report_is_due
from tests.support.artifacts import FEATURES, MODEL
from tests.support.interruptions import copied, each_death
from tests.support.records import AT, an_assessment
from tests.support.watched import a_baseline, days, label, register_watched, rows, said, serve, true, watched_by

LIMITS = Monitor(window_rows=600, min_rows=300)
BASELINE = a_baseline(np.random.default_rng(1))
HOUR = timedelta(hours=1)


@pytest.fixture
def watched(ports: Ports) -> Ports:
    register_watched(ports, BASELINE)
    return watched_by(ports, LIMITS)


def assess(ports: Ports) -> Assessment:
    return monitor.run(monitor.Request(model=MODEL), ports).assessed[MODEL]


def report_of(ports: Ports, found: Assessment) -> MonitoringReport:
    assert found.report_key is not None
    return MonitoringReport.model_validate_json(ports.artifacts.get(found.report_key))


def looks(*steps: tuple[float, bool]) -> list[bool]:
    """Tell at which of some looks, each so many hours after the first, and whether attention is needed, one is due."""
    before, due = None, []
    for hours, attention in steps:
        now = an_assessment(at=AT + hours * HOUR, attention=attention, figures={"features": 1.0})
        due.append(report_is_due(before, now))
        kept = before or now
        update = {name: getattr(kept, name) for name in ("report_key", "reported_at", "report_of_attention")}
        if due[-1]:
            update = {"report_key": "r", "reported_at": now.at, "report_of_attention": attention}
        before = now.model_copy(update=update)
    return due


def test_a_report_is_written_when_attention_is_needed_then_hourly_and_in_peace_once_a_day() -> None:
    assert looks((0, False), (1, False), (23.9, False), (24, False)) == [True, False, False, True]
    assert looks((0, False), (0.1, True), (0.2, True), (1.2, True)) == [True, True, False, True]
    flapping = [(number / 60, number % 2 == 1) for number in range(120)]
    assert sum(looks(*flapping)) <= 4  # of 120 looks within two hours
    assert not report_is_due(None, an_assessment())  # there were too few rows for any figure
    other = an_assessment(version=2, report_key="r", reported_at=AT, figures={"features": 1.0})
    assert report_is_due(other, an_assessment(figures={"features": 1.0}))


def drifted(ports: Ports, clock: FixedClock) -> Assessment:
    """Let a feature rise on the 11th of 15 days, by which the model errs more, and look on the next day."""
    draw = np.random.default_rng(4)
    for day, at in enumerate(days(AT, 15)):
        some = rows(draw, 60)
        some[:, 1] += 1.5 if day >= 10 else 0
        ids = serve(ports, some, at, day)
        label(ports, ids, true(draw, some).tolist(), at + HOUR)
    clock.set("2019-03-16T12:00:00Z")
    return assess(ports)


def test_a_report_says_what_moved_how_since_when_and_what_it_did(watched: Ports, clock: FixedClock) -> None:
    report = report_of(watched, drifted(watched, clock))
    found = report.assessment
    assert FEATURES[1] in {one.subject for one in found.moved}
    since = {one.subject: one for one in report.since}
    assert f"{since[FEATURES[1]].day}" == "2019-03-11"
    assert since[FEATURES[1]].before == pytest.approx(0.5, abs=0.1)
    assert FEATURES[2] not in since
    assert len(report.days) == 15
    assert all(one.labelled == one.rows == 60 for one in report.days)
    assert report.causes is not None
    assert report.causes.measured == pytest.approx(found.performance, rel=1e-9)
    assert report.causes.causes[0].subject in (FEATURES[1], FEATURES[3], "prediction")  # what depends on it, too
    shapes = {one.subject: one.bins for one in report.shapes}
    assert shapes[FEATURES[1]][0].seen < shapes[FEATURES[1]][0].learnt
    assert (report.unknown_labels, report.repeated_labels) == (0, 0)


def test_the_page_stands_beside_it_and_says_it_in_words(watched: Ports, clock: FixedClock) -> None:
    found = drifted(watched, clock)
    assert found.report_key is not None
    page = watched.artifacts.get(found.report_key.replace(".json", ".html")).decode()
    assert page.startswith("<!DOCTYPE html>")
    for words in (
        f"{MODEL} version 1: needs attention",
        f"{FEATURES[1]} moved: by",
        "2019-03-11",
        "mae by day",
        "Which features explain it",
        "Share of rows: bars as seen",
        "all there",
        "<svg",
    ):
        assert words in page
    assert "<script" not in page


def test_a_look_without_a_report_takes_over_the_one_before_it(watched: Ports, clock: FixedClock) -> None:
    serve(watched, rows(np.random.default_rng(1), 400), AT)
    first = assess(watched)
    clock.advance(minutes=5)
    second = assess(watched)
    assert second.report_key == first.report_key == keys.monitoring_report(MODEL, 1, AT)
    assert len(watched.artifacts.keys("reports/monitoring/")) == 2
    clock.advance(days=1)
    assert assess(watched).report_key != first.report_key


def test_killed_at_any_call_the_next_look_ends_the_same(watched: Ports) -> None:
    moved = rows(np.random.default_rng(9), 400) + 1
    label(watched, serve(watched, moved, AT), (said(moved) + 5).tolist(), AT + HOUR)
    whole = copied(watched)
    expected = assess(whole)
    reports = {key: whole.artifacts.get(key) for key in whole.artifacts.keys("reports/")}
    deaths = list(each_death(assess, lambda: watched, before=False))
    assert len(deaths) >= 3
    for ports, where in deaths:
        assert assess(ports) == expected, where
        assert ports.catalog.assessments(MODEL) == [expected], where
        assert {key: ports.artifacts.get(key) for key in ports.artifacts.keys("reports/")} == reports, where


def test_two_monitors_at_once_record_the_same(watched: Ports, clock: FixedClock) -> None:
    serve(watched, rows(np.random.default_rng(9), 400) + 1, AT)
    looks = [Thread(target=assess, args=(replace(watched),)) for _ in range(2)]
    for one in looks:
        one.start()
    for one in looks:
        one.join()
    (found,) = watched.catalog.assessments(MODEL)  # of one moment, as the clock stands still
    assert found.attention
    assert report_of(watched, found).assessment.figures == found.figures
    assert len(watched.artifacts.keys("reports/monitoring/")) == 2
