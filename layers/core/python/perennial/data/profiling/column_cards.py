"""A column's card on the page of an ingest report: its figures and its plot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from perennial.data.profiling.comparison import ColumnComparison
from perennial.data.profiling.histogram import Histogram
from perennial.data.profiling.moves_in_words import label, moves
from perennial.data.profiling.profile import MOMENTS, Category, ColumnProfile, Value
from perennial.reporting.blocks import Badge, Card
from perennial.reporting.charts import Bar, Chart, Distribution, Format, bars, histogram
from perennial.reporting.words import count, cut, number, share

BARS = 8
"""Most categories that are drawn; the report's JSON lists more."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400
_NAMES = ("this snapshot", "the one before")


def card(
    column: ColumnProfile, rows: int, compared: ColumnComparison | None, anchor: str, badges: Sequence[Badge]
) -> Card:
    """Return a column's card.

    Parameters
    ----------
    column : ColumnProfile
        What it is now.
    rows : int
        How many rows there are.
    compared : ColumnComparison or None
        What it was, and how it has moved.
    anchor : str
        Where links lead.
    badges : sequence of Badge
        What stands beside its name.
    """
    before = compared.before if compared else None
    chart, caption = _chart(column, before)
    return Card(
        title=column.name,
        anchor=anchor,
        subtitle=", ".join([column.type, *(cut(rule, 120) for rule in column.rules)]),
        badges=badges,
        facts=_facts(column, rows),
        chart=chart,
        caption=caption,
        notes=moves(compared, column) if compared else (),
    )


def _facts(column: ColumnProfile, rows: int) -> list[tuple[str, str]]:
    about = "" if column.distinct_exact else "about "
    facts = [("Empty", share(column.nulls, rows)), ("Distinct", about + count(column.distinct))]
    if column.mean is not None and not isinstance(column.mean, str):
        facts += [("Mean", number(column.mean)), ("Median", _shown(column.quantiles["p50"]))]
    if column.min is not None and column.max is not None:
        low, high = _shown(column.min), _shown(column.max)
        facts += [("Earliest", low), ("Latest", high)] if column.type in MOMENTS else [("Range", f"{low} to {high}")]
    if column.lengths:
        short, long = column.lengths.min, column.lengths.max
        facts.append(("Characters", count(short) if short == long else f"{count(short)} to {count(long)}"))
    return facts


def _shown(value: Value) -> str:
    return value.replace("T", " ") if isinstance(value, str) else number(value)


def _chart(column: ColumnProfile, before: ColumnProfile | None) -> tuple[Chart | None, str]:
    """Return the plot, and what is not in it: bars where there are few values, else a histogram."""
    listed = column.categories and (column.all_listed or column.histogram is None)
    if listed:
        return _bars(column, before if before and before.categories else None)
    if column.histogram is None:
        return None, "No value is frequent enough to be shown." if column.values else "All values are empty."
    moments = column.type in MOMENTS
    # Moments move by nature, so the ones before lie elsewhere.
    other = before.histogram if before and not moments else None
    form, ticks = _time_axis(column.histogram) if moments else (number, None)
    chart = histogram(
        f"How {column.name} is spread",
        _distribution(_NAMES[0], column.histogram),
        _distribution(_NAMES[1], other) if other else None,
        form=form,
        ticks=ticks,
    )
    return chart, _outside(column.histogram, form)


def _distribution(name: str, histogram: Histogram) -> Distribution:
    total = histogram.total
    return Distribution(name, histogram.edges, [rows / total for rows in histogram.counts])


def _outside(histogram: Histogram, form: Format) -> str:
    found = []
    if histogram.below:
        found.append(f"{share(histogram.below, histogram.total)} below {form(histogram.edges[0])}")
    if histogram.above:
        found.append(f"{share(histogram.above, histogram.total)} from {form(histogram.edges[-1])} on")
    return f"Not drawn: {' and '.join(found)}." if found else ""


def _bars(column: ColumnProfile, before: ColumnProfile | None) -> tuple[Chart, str]:
    old = {category.value: category.rows for category in before.categories} if before else {}
    unlisted = before is not None and not before.all_listed
    shown = column.categories[:BARS]
    rows = [
        Bar(
            label(column, category.value),
            category.rows / column.values,
            # Of a value that is not listed nothing is known, unless all are listed.
            None
            if before is None or (unlisted and category.value not in old)
            else old.get(category.value, 0) / before.values,
        )
        for category in _in_order(column, shown)
    ]
    chart = bars(f"The most frequent values of {column.name}", rows, _NAMES)
    rest = column.values - sum(category.rows for category in shown)
    return chart, f"Other values: {share(rest, column.values)}." if rest else ""


def _in_order(column: ColumnProfile, categories: Sequence[Category]) -> Sequence[Category]:
    """Put numbers in their own order, and leave texts by frequency."""
    return sorted(categories, key=lambda category: float(category.value)) if column.histogram else categories


def _time_axis(histogram: Histogram) -> tuple[Format, list[float]]:
    low, high = histogram.edges[0], histogram.edges[-1]
    letters = "%Y-%m-%d" if histogram.width >= _DAY or high - low > 3 * _DAY else "%Y-%m-%d %H:%M"

    def form(seconds: float) -> str:
        try:
            return (_EPOCH + timedelta(seconds=seconds)).strftime(letters)
        except OverflowError:  # a year that Python does not know
            return f"{1970 + seconds / (365.2425 * _DAY):.0f}"

    return form, [low, high]
