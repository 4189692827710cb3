"""Judging candidates of all three tasks, and the pages about it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from perennial.definitions import Task
from perennial.records import CompiledView, Rating
from perennial.reporting.blocks import Paragraph, Plot
from perennial.reporting.page import page
from perennial.training.evaluation_page import backtest_blocks, gate_table, sections, subtitle, title
from perennial.training.evaluation_report import EvaluationReport
from perennial.training.figures_in_words import plainly, rated
from tests.support.evaluations import a_report

TASKS: tuple[Task, ...] = ("regression", "binary", "multiclass")


def html(report: EvaluationReport) -> str:
    return page(title(report), sections(report), subtitle=subtitle(report))


@pytest.mark.parametrize("task", TASKS)
def test_the_better_candidate_is_chosen_and_passes(task: Task) -> None:
    report = a_report(task, gate={"confidence": 0.99, "max_slice_worsening": 0.0})
    verdict = report.verdict
    assert (verdict.candidate, verdict.passed) == ("line", True)
    assert verdict.improvement is not None
    assert verdict.champion_metrics is not None
    gain = 1 - verdict.metrics[report.metric] / verdict.champion_metrics[report.metric]
    assert verdict.improvement == pytest.approx(gain)
    low, high = verdict.improvement_interval or (0, 0)
    assert 0 < low < verdict.improvement < high
    assert [each.name for each in report.judged] == ["line", "older", "champion version 3", verdict.baseline]


@pytest.mark.parametrize("task", TASKS)
def test_the_worse_candidate_is_refused(task: Task) -> None:
    verdict = a_report(task, better=False, gate={"confidence": 0.9, "max_slice_worsening": 0.05}).verdict
    broken = [rating.rule for rating in verdict.ratings if not rating.passed]
    assert broken == ["min_improvement", "confidence", "max_slice_worsening"]


def test_what_matters_is_most_important() -> None:
    assert [each.feature for each in a_report().importance][:2] == ["trip_context__distance", "trip_context__hour"]


def test_all_values_of_all_slices_are_judged() -> None:
    slices = a_report().slices
    assert sorted(each.value for each in slices if each.name == "zone") == [*"ABCDEFGH"]
    for name in ("zone", "night"):
        assert sum(each.rows for each in slices if each.name == name) == 4000


def test_the_same_case_gives_the_same_report_but_for_the_time_that_it_took() -> None:
    first, again = (a_report().model_dump(exclude={"milliseconds"}) for _ in range(2))
    assert first == again


def test_a_report_is_read_back_as_it_was_written() -> None:
    report = a_report("binary")
    assert EvaluationReport.model_validate_json(report.model_dump_json()) == report


def test_a_verdict_is_small_enough_for_the_catalog() -> None:
    assert (
        len(a_report("binary", gate={"confidence": 0.9, "max_slice_worsening": 0.1}).verdict.model_dump_json()) < 10_000
    )


def test_the_held_out_stretch_is_the_last_point_of_the_plot_of_the_past() -> None:
    report = a_report()
    held_out = report.split_at, {"line": {report.metric: 0.125}}
    (plot,) = backtest_blocks({"line": report.backtests["line"]}, report.metric, held_out)
    assert isinstance(plot, Plot)
    assert plot.chart.description.endswith(f", 0.125 at {report.split_at.date()}")


def test_the_gate_speaks_of_metrics_by_their_names() -> None:
    found = [str(row[2]) for row in gate_table(a_report("binary").verdict, "log_loss").rows]
    assert any(re.match(r"Log loss \d", sentence) for sentence in found)
    assert not any("log_loss" in sentence for sentence in found)
    # A limited metric is named by the rule that limits it.
    rating = Rating(rule="limits.roc_auc.min", passed=False, value=0.8, limit=0.9, sentence="roc_auc 0.8 is below 0.9.")
    assert plainly(rating.sentence, rated(rating, "log_loss")) == "Area under the ROC curve 0.8 is below 0.9."


@pytest.mark.parametrize("champion", [True, False])
@pytest.mark.parametrize("task", TASKS)
def test_the_page_is_complete_in_itself(task: Task, champion: bool) -> None:
    text = html(a_report(task, champion=champion))
    assert not re.search(r"https?:|<script|<link|<img|url\(", text)
    for heading in ("The rules, one by one", "How it would have done before", "What it looks at", "Parts of the rows"):
        assert f"<h2>{heading}</h2>" in text
    assert "nan" not in re.sub(r"[a-z_]*nan[a-z_]+|[a-z_]+nan[a-z_]*", "", text)


def test_the_page_begins_with_what_came_of_it() -> None:
    text = html(a_report())
    (first,) = re.findall(r'<p class="note good">(.*?)</p>', text)
    assert re.match(r"Candidate line of fare is 45\s% better than version 3, which serves \(likely ", first)
    assert first.endswith("It passed every rule of the gate: it may serve.")
    (refused,) = re.findall(r'<p class="note bad">(.*?)</p>', html(a_report(better=False)))
    assert "worse than version 3, which serves" in refused
    assert "It was refused, and what serves goes on serving. Mean absolute error" in refused


def test_without_a_champion_the_guess_is_what_it_is_compared_with() -> None:
    (first,) = re.findall(r'<p class="note good">(.*?)</p>', html(a_report(champion=False)))
    assert re.search(
        r"mean absolute error of 1\.\d+ \(1\.\d+ to 1\.\d+\), where the best constant guess has 6\.\d+; no", first
    )


def test_a_search_has_its_place() -> None:
    found = sections(a_report(), [Paragraph("32 trials")])
    assert "What the search tried" in [section.title for section in found]
    assert "What the search tried" not in [section.title for section in sections(a_report())]


def test_predictions_that_are_not_finite_are_shown_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(task: Task) -> tuple[object, object]:
        return (lambda features: np.full(len(features), np.nan),) * 2

    monkeypatch.setattr("tests.support.evaluations.scorers", broken)
    monkeypatch.setattr("tests.support.evaluations.truth", lambda task: lambda features: features[:, 0])
    report = a_report()
    assert not report.verdict.passed
    assert report.fit is None
    assert "could not be measured by its mean absolute error" in html(report)


def test_the_page_says_whether_the_request_view_is_compiled_and_on_how_many_rows_that_was_tried() -> None:
    report = a_report()
    assert "Request view" not in html(report)
    compiled = report.model_copy(update={"request": CompiledView(rows=1234)})
    assert "compiled; gave the SQL&#39;s values on 1,234 held-out rows" in html(compiled).replace("\u202f", ",")
    left = report.model_copy(update={"request": CompiledView(reason="the function hash")})
    assert "served by DuckDB; not compiled: the function hash" in html(left)
