"""The page of a monitoring report: what moved and how, since when, and what it did to the predictions' quality."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

from perennial.monitoring.report import Day, MonitoringReport, Shape
from perennial.monitoring.root_causes import Cause
from perennial.monitoring.sentences import figure_in_words
from perennial.monitoring.signals import Signal
from perennial.records import Moved
from perennial.reporting.blocks import (
    Badge,
    Block,
    Cell,
    KeyFigure,
    KeyFigures,
    Note,
    Paragraph,
    Plot,
    Plots,
    Section,
    Table,
    Tone,
)
from perennial.reporting.charts import Bar, Line, bars, lines
from perennial.reporting.plots import SIZE
from perennial.reporting.words import count, number, share

_LINES = 25
"""Comparisons that the page lists; the JSON has all."""
_WHAT = {
    "distribution": "values fall elsewhere",
    "shift": "moved along its axis",
    "missing": "missing values",
    "unseen": "unknown categories",
    "beyond": "beyond the learnt range",
}


def title(report: MonitoringReport) -> str:
    """Return the page's heading."""
    found = report.assessment
    return f"{found.model} version {found.version}: {'needs attention' if found.attention else 'as it was'}"


def sections(report: MonitoringReport) -> list[Section]:
    """Return the sections of a report's page."""
    found = [
        Section("", [Note(f"{report.assessment.sentence}.", "bad" if report.assessment.attention else "good")]),
        Section("In figures", [_figures(report)]),
        Section("What moved", [*_moved(report), *_shapes(report.shapes)]),
        Section("Since when", [_since(report)]),
        Section("What it did to quality", _quality(report)),
    ]
    if report.causes is not None:
        found.append(Section("Which features explain it", _causes(report)))
    return found


def _figures(report: MonitoringReport) -> KeyFigures:
    found = report.assessment
    stretch = f"{found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC" if found.since and found.until else ""
    figures = [KeyFigure("Predictions looked at", count(found.rows), stretch)]
    promised = "" if report.promised is None else f"{number(report.promised, 3)} was promised"
    if found.performance is not None:
        labels = f"by {count(found.labelled)} labels; {promised}"
        bad = found.figures.get("performance", 0.0) > 1
        figures.append(KeyFigure(report.metric, number(found.performance, 3), labels, "bad" if bad else "plain"))
    if report.estimated is not None:
        band = f"without labels: {number(report.estimated.low, 3)} to {number(report.estimated.high, 3)}; {promised}"
        bad = found.figures.get("estimated", 0.0) > 1
        tone: Tone = "bad" if bad else "plain"
        figures.append(KeyFigure(f"{report.metric}, estimated", number(report.estimated.value, 3), band, tone))
    if report.calls:
        earlier = report.calls[1:]
        usual = f"a day before it {count(round(sum(earlier) / len(earlier)))}" if earlier else ""
        figures.append(KeyFigure("Predictions of the last 24 hours", count(report.calls[0]), usual))
    return KeyFigures(figures)


def _moved(report: MonitoringReport) -> list[Block]:
    if not report.signals:
        return [Paragraph("There were too few rows to compare.")]
    ordered = sorted(report.signals, key=lambda one: (not one.alarm, one.chance))[:_LINES]
    caption = (
        f"Compared with the training rows; at most {share(report.level)} of looks find anything where nothing moved. "
        f"The first {len(ordered)} of {len(report.signals)} comparisons"
    )
    rows = [[one.subject, _WHAT[one.kind], _said(one), _chance(one.chance), _verdict(one)] for one in ordered]
    return [Table(caption, ["Feature", "What", "Figure", "Chance of so much", "Verdict"], rows, frozenset({3}))]


def _said(signal: Signal) -> str:
    return figure_in_words(Moved.model_validate(signal.model_dump(include=set(Moved.model_fields))))


def _chance(chance: float) -> str:
    return "< 0.0001" if chance < 1e-4 else number(chance, 2)


def _verdict(signal: Signal) -> Cell:
    if signal.alarm:
        return Badge("moved", "bad")
    return Badge("small", "warn") if signal.significant else Badge("chance", "plain")


def _shapes(shapes: Sequence[Shape]) -> list[Block]:
    plots = [
        Plot(
            bars(shape.subject, [Bar(one.label, one.seen, one.learnt) for one in shape.bins], ("seen", "learnt")),
            "Share of rows: bars as seen, the thin ones as learnt.",
            shape.subject,
        )
        for shape in shapes
        if shape.bins
    ]
    return [Plots(plots)] if plots else []


def _since(report: MonitoringReport) -> Block:
    if not report.since:
        days = len(report.days)
        return Paragraph(f"Over the {days} days that were looked at no series shows a change by itself.")
    rows = [
        [one.subject, f"{one.day}", number(one.before, 3), number(one.after, 3), _chance(one.chance)]
        for one in sorted(report.since, key=lambda one: one.day, reverse=True)
    ]
    caption = (
        "The latest change of each series by day. Of a feature its mean rank among the learnt rows: 0.5 as learnt, "
        "near 1 above nearly all of them"
    )
    return Table(caption, ["Series", "Since", "Before", "After", "Chance"], rows, frozenset({2, 3, 4}))


def _quality(report: MonitoringReport) -> list[Block]:
    series = [
        Line(name, points)
        for name, points in (
            ("by labels", [(_at(day.day), day.performance) for day in report.days if day.performance is not None]),
            ("estimated", [(_at(day.day), day.estimated) for day in report.days if day.estimated is not None]),
        )
        if points
    ]
    blocks: list[Block] = []
    if series:
        if report.promised is not None:
            ends = [_at(report.days[0].day), _at(report.days[-1].day)]
            series.append(Line("on the held-out rows", [(x, report.promised) for x in sorted(set(ends))]))
        chart = lines(f"{report.metric} by day", series, form_x=_day, size=SIZE)
        blocks.append(Plot(chart, "By the day on which predictions were asked for.", f"{report.metric} by day"))
    rows = [[f"{day.day}", *_of_day(day)] for day in reversed(report.days)]
    caption = (
        f"Labels in whatever order they came; {count(report.unknown_labels)} were for predictions that are not in the "
        f"log, {count(report.repeated_labels)} said again what another one had said"
    )
    columns = ["Day", "Predictions", "Labels", "By labels", "Estimated", "Labels are"]
    return [*blocks, Table(caption, columns, rows, frozenset({1, 2, 3, 4}))]


def _of_day(day: Day) -> list[Cell]:
    figures = ["–" if one is None else number(one, 3) for one in (day.performance, day.estimated)]
    return [count(day.rows), count(day.labelled), *figures, "all there" if day.final else "still waited for"]


def _causes(report: MonitoringReport) -> list[Block]:
    causes = report.causes
    assert causes is not None, "only then there is such a section"
    told = (
        f"Mean {report.loss} on the held-out rows {number(causes.reference, 3)}; {number(causes.expected, 3)} as the "
    )
    told += "shifts of the columns alone would make it"
    if causes.measured is not None and causes.unexplained is not None:
        told += (
            f"; {number(causes.measured, 3)} by labels, so {number(causes.unexplained, 3)} is due to what features "
            "have come to mean for the target, or to their combinations"
        )
    rows = [_cause(one) for one in causes.causes]
    columns = ["Column", "Its shift adds", "Share of the change", "Uneven beyond that"]
    return [Paragraph(f"{told}."), Table("The most first", columns, rows, frozenset({1, 2, 3}))]


def _cause(cause: Cause) -> list[Cell]:
    found = "–" if cause.found is None else number(cause.found, 3)
    part = "–" if cause.share is None else f"{100 * cause.share:.0f} %"
    return [cause.subject, number(cause.shifted, 3), part, found]


def _at(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
