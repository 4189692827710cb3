"""The page of an evaluation: how a run's best candidate was judged, for those who decide on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from perennial.records import CompiledView, Verdict
from perennial.reporting.blocks import (
    Badge,
    Block,
    Cell,
    Code,
    KeyFigure,
    KeyFigures,
    Note,
    Paragraph,
    Plot,
    Section,
    Table,
)
from perennial.reporting.charts import Line, lines
from perennial.reporting.plots import SIZE, Dot, SpreadBar, dots, spread_bars
from perennial.reporting.words import alike, count, number, several, share, size
from perennial.training.bootstrap import LEVEL
from perennial.training.evaluation_report import EvaluationReport, Judged
from perennial.training.figures_in_words import (
    METRIC_MEANINGS,
    METRIC_NAMES,
    against_champion,
    ends,
    gain,
    gain_ends,
    guess_name,
    metric_heading,
    outcome,
    plainly,
    predicted,
    rated,
    rule_name,
    short,
    with_ends,
)
from perennial.training.fit_plots import fit_blocks
from perennial.training.report import Backtest, WindowTrial
from perennial.training.slice_plots import slice_blocks

MOST_FEATURES = 20
"""Features that the page shows; the JSON has all."""
_TO = "\u00a0to\u00a0"
_LIKELY = f"{LEVEL:.0%}".replace("%", "\u202f%")


def title(report: EvaluationReport) -> str:
    """Return the page's heading."""
    return f"{report.model}: how its best candidate was judged"


def subtitle(report: EvaluationReport) -> str:
    """Return the line below the heading: what is predicted."""
    about = f"{report.description}. " if report.description else ""
    return f"{about}Predicts {predicted(report.task)}; the target is “{report.target}” of the dataset {report.dataset}."


def sections(report: EvaluationReport, search: Sequence[Block] = ()) -> list[Section]:
    """Return the sections of the page.

    Parameters
    ----------
    report : EvaluationReport
        What was found.
    search : sequence of Block
        What is to be shown of a search for parameters, if there was one.
    """
    found = [
        Section("", [_verdict(report), _figures(report)]),
        Section("The rules, one by one", [gate_table(report.verdict, report.metric)]),
        Section("Everyone on the same rows", _compared(report)),
    ]
    if report.backtests:
        held_out = report.split_at, report.verdict.candidates
        blocks = backtest_blocks(report.backtests, report.metric, held_out)
        found.append(Section("How it would have done before", blocks))
    if report.windows:
        found.append(Section("How far back they learn", [window_table(report.windows, report.metric)]))
    if report.fit is not None:
        found.append(Section("Where predictions miss", fit_blocks(report.fit, report.task, report.classes)))
    if report.importance:
        found.append(Section("What it looks at", [_importance(report)]))
    if report.slices:
        found.append(Section("Parts of the rows", slice_blocks(report.slices, report.metric)))
    if search:
        found.append(Section("What the search tried", search))
    found.append(Section("What the words mean", [_glossary(report), Paragraph(_method(report))]))
    found.append(Section("Where this comes from", [_origin(report)]))
    return found


def gate_table(verdict: Verdict, metric: str) -> Table:
    """Return the gate's rules with what came of each; ``metric`` is the model's."""
    rows: list[list[Cell]] = [
        [
            rule_name(rating.rule),
            Badge("holds", "good") if rating.passed else Badge("does not hold", "bad"),
            plainly(rating.sentence, rated(rating, metric)),
            f"gate.{rating.rule}" if rating.rule != "finite" else "always",
        ]
        for rating in verdict.ratings
    ]
    caption = "A candidate may serve if all of these hold; the definition of the model sets them"
    return Table(caption, ["Rule", "", "What was found", "Set by"], rows)


def metric_table(judged: Sequence[Judged], candidate: str = "") -> Table:
    """Return every figure of everyone, those of the first; ``candidate`` is what the candidates are called instead."""
    names = [name for name in judged[0].metrics if name not in ("n", "not_finite")]
    rows: list[list[Cell]] = [
        # A range that breaks in the middle reads as two figures.
        [metric_heading(name), *(with_ends(each.metrics, each.intervals, name).replace(" to ", _TO) for each in judged)]
        for name in names
    ]
    columns = ["Figure", *(candidate if candidate and each.kind == "candidate" else _who(each) for each in judged)]
    return Table("All figures on the held-out rows, with where they likely lie", columns, rows)


def backtest_blocks(
    backtests: Mapping[str, Sequence[Backtest]],
    metric: str,
    held_out: tuple[datetime, Mapping[str, Mapping[str, float]]],
) -> list[Block]:
    """Return a plot of a metric over earlier stretches of time, and over the held-out one.

    Parameters
    ----------
    backtests : mapping
        Of each candidate.
    metric : str
        The model's.
    held_out : pair
        When the held-out stretch begins, and each candidate's metrics on it.
    """
    split_at, judged = held_out
    series = []
    for name, tests in list(backtests.items())[:5]:
        points = [(_day(test.start), test.metrics[metric]) for test in tests if metric in test.metrics]
        if metric in judged.get(name, {}):
            points.append((_day(split_at), judged[name][metric]))
        if points:
            series.append(Line(name, points))
    if not series:
        return [Paragraph(f"The {METRIC_NAMES[metric]} is unknown in earlier times.")]
    chart = lines(f"The {METRIC_NAMES[metric]} over time", series, form_x=_date, size=SIZE)
    caption = (
        f"The {METRIC_NAMES[metric]} that would have been reached in earlier stretches of time, learning only from "
        "what was before each; the last point is the held-out stretch. A line that jumps means that one good result "
        "proves little."
    )
    return [Plot(chart, caption, f"{metric_heading(metric)} over time")]


def window_table(windows: Mapping[str, Sequence[WindowTrial]], metric: str) -> Table:
    """Return what each window of each candidate came to on the latest stretch before the held-out one."""
    rows: list[list[Cell]] = [
        [
            name,
            trial.window,
            f"{trial.rows:,}",
            number(trial.metrics[metric]) if metric in trial.metrics else "too few rows",
            Badge("taken", "good") if trial.chosen else "",
        ]
        for name, trials in windows.items()
        for trial in trials
    ]
    caption = "Learnt from the rows of each window, tried on the latest stretch of time before the held-out one"
    return Table(caption, ["Candidate", "Window", "Rows", metric_heading(metric), ""], rows)


def _verdict(report: EvaluationReport) -> Note:
    verdict = report.verdict
    subject = f"Candidate {verdict.candidate} of {report.model}"
    said = against_champion(verdict, report.metric, subject)
    return Note(f"{said}. {outcome(verdict, report.metric)}", "good" if verdict.passed else "bad")


def _figures(report: EvaluationReport) -> KeyFigures:
    verdict, metric = report.verdict, report.metric
    value = verdict.metrics.get(metric)
    figures = [
        KeyFigure(
            metric_heading(metric), "unknown" if value is None else number(value, 3),
            f"likely {ends(verdict.intervals[metric])}" if metric in verdict.intervals else "",
        ),
    ]  # fmt: skip
    if verdict.improvement is not None:
        likely = f"likely {gain_ends(verdict.improvement_interval)}" if verdict.improvement_interval else ""
        figures.append(KeyFigure(f"Beside version {verdict.champion_version}", gain(verdict.improvement), likely))
    theirs = verdict.baseline_metrics.get(metric)
    if theirs is not None:
        figures.append(KeyFigure("A guess without a model", number(theirs, 3), guess_name(verdict.baseline)))
    until = "" if report.latest is None else f" to {_date_of(report.latest)}"
    figures.append(KeyFigure("Judged on", several(report.rows_holdout, "row"), f"{_date_of(report.split_at)}{until}"))
    figures.append(KeyFigure("Learnt from", several(report.rows_train, "row"), "at most, all before these"))
    figures.append(
        KeyFigure("Model file", size(report.size), f"{number(report.milliseconds, 2)} ms for one prediction")
    )
    return KeyFigures(figures)


def _compared(report: EvaluationReport) -> list[Block]:
    metric = report.metric
    styles = {"candidate": 1, "champion": 2, "baseline": 3}
    rows = [
        Dot(_who(each), each.metrics[metric], each.intervals.get(metric), styles[each.kind])
        for each in report.judged
        if metric in each.metrics
    ]
    blocks: list[Block] = []
    if rows:
        words = METRIC_NAMES[metric]
        serves = ", of what serves (orange)" if any(each.kind == "champion" for each in report.judged) else ""
        caption = (
            f"The {words} of the candidates (blue){serves} and of a guess without a model (grey), and where each "
            f"likely lies. {METRIC_MEANINGS[metric]}"
        )
        blocks.append(Plot(dots(f"The {words} of everyone", rows, form=short), caption, metric_heading(metric)))
    return [*blocks, metric_table(report.judged)]


def _who(judged: Judged) -> str:
    return guess_name(judged.name) if judged.kind == "baseline" else judged.name


def _importance(report: EvaluationReport) -> Plot:
    shown = report.importance[:MOST_FEATURES]
    more = (
        f" The {len(shown)} most important of {len(report.importance)} are shown."
        if len(report.importance) > len(shown)
        else ""
    )
    rows = [SpreadBar(each.feature.replace("__", "."), each.worsening, each.spread) for each in shown]
    caption = (
        f"How much worse the {METRIC_NAMES[report.metric]} becomes if a feature's values are shuffled among "
        f"{count(report.importance_rows)} held-out rows, so that they say nothing any more; the thin line is the "
        f"spread between repeats. Features that say the same stand in for one another, and each may look "
        f"unimportant.{more}"
    )
    return Plot(
        spread_bars("Importance of the features", rows, form=alike([row.value for row in rows])),
        caption,
        "Worse without the feature",
    )


def _glossary(report: EvaluationReport) -> Table:
    names = [name for name in report.judged[0].metrics if name in METRIC_MEANINGS]
    rows: list[list[Cell]] = [
        [metric_heading(name), METRIC_MEANINGS[name], Code(name)] for name in names or [report.metric]
    ]
    return Table("Figures", ["Figure", "What it says", "In definitions"], rows)


def _method(report: EvaluationReport) -> str:
    return (
        f"“Likely” is a range that holds the value with about {_LIKELY} probability. It comes from drawing stretches "
        "of the held-out time again and again (a block bootstrap), because rows that happen close to one another are "
        "alike; a candidate and what serves are compared on the same draws. All were judged on the same rows, none of "
        f"which any candidate has learnt from: those from {_date_of(report.split_at)} on. The champion is the version "
        "that serves. A guess without a model is the better of two: what would have been best for all rows before, and "
        "what the row before lets one expect."
    )


def _origin(report: EvaluationReport) -> Table:
    facts: list[tuple[str, str]] = [
        ("Run", report.run_id),
        ("Training set", report.training_set_id),
        ("Held out from", report.split_at.astimezone(UTC).isoformat()),
        ("Candidate", report.verdict.candidate),
    ]
    if report.rejected is not None:
        bad, rows = report.rejected
        facts.append(("Quarantined rows of the uploads", f"{bad} of {rows} ({share(bad, rows)})"))
    if report.request is not None:
        facts.append(("Request view", _served(report.request)))
    return Table("Ids by which all of this is found", ["What", "Which"], [[name, Code(text)] for name, text in facts])


def _served(view: CompiledView) -> str:
    """Say what computes the request view of the version, and what that was found out on."""
    if view.reason:
        return f"served by DuckDB; not compiled: {view.reason}"
    return f"compiled; gave the SQL's values on {several(view.rows, 'held-out row')}"


def _day(at: datetime) -> float:
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at.timestamp() / 86400


def _date(days: float) -> str:
    return datetime.fromtimestamp(days * 86400, UTC).date().isoformat()


def _date_of(at: datetime) -> str:
    return at.date().isoformat()
