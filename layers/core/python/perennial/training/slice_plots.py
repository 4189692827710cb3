"""How a candidate does on parts of the held-out rows, as plots and tables."""

from __future__ import annotations

from collections.abc import Sequence

from perennial.reporting.blocks import Block, Cell, Paragraph, Plot, Plots, Table
from perennial.reporting.plots import Dot, dots
from perennial.reporting.words import count
from perennial.training.evaluation import more_is_better
from perennial.training.figures_in_words import METRIC_NAMES, ends, gain, gain_ends, metric_heading, short
from perennial.training.slices import SliceFigures

MOST_SLICES = 15
"""Values of a slice that a plot shows; the table has all."""


def slice_blocks(slices: Sequence[SliceFigures], metric: str) -> list[Block]:
    """Return a plot and a table for each slice."""
    blocks: list[Block] = [
        Paragraph(
            "A model may be better on the whole and worse for some. Each part of the held-out rows is judged by "
            "itself; short lines mean sure figures, long ones few rows."
        )
    ]
    plots: list[Plot] = []
    tables: list[Table] = []
    for name in dict.fromkeys(each.name for each in slices):
        parts = [each for each in slices if each.name == name]
        shown = [each for each in parts if each.metric is not None][:MOST_SLICES]
        if shown:
            rows = [Dot(each.value, each.metric or 0.0, each.interval, beside=each.champion) for each in shown]
            words = f"{metric_heading(metric)} by {name}"
            compared = any(each.champion is not None for each in shown)
            beside = ", what serves in orange" if compared else ""
            caption = f"The candidate (blue) and where it likely lies{beside}. {_better(metric)}"
            caption += f" The {MOST_SLICES} values with most rows are shown." if len(parts) > MOST_SLICES else ""
            plots.append(Plot(dots(words, rows, form=short), caption, words))
        compared = any(each.champion is not None for each in parts)
        tables.append(_slice_table(name, parts, metric, compared=compared))
    return [*blocks, Plots(plots), *tables]


def _slice_table(name: str, parts: Sequence[SliceFigures], metric: str, *, compared: bool) -> Table:
    rows: list[list[Cell]] = []
    for each in parts:
        value = "unknown" if each.metric is None else short(each.metric)
        line: list[Cell] = [each.value, count(each.rows), value, ends(each.interval)]
        if compared:
            line += [
                "unknown" if each.champion is None else short(each.champion),
                "" if each.improvement is None else gain(each.improvement),
                "" if each.improvement_interval is None else gain_ends(each.improvement_interval),
            ]
        rows.append(line)
    columns = [name, "Rows", metric_heading(metric), "Likely"]
    columns += ["What serves", "Beside it", "Likely so"] if compared else []
    return Table(
        f"The {METRIC_NAMES[metric]} by {name}", columns, rows, frozenset({1, 2, 4} & set(range(len(columns))))
    )


def _better(metric: str) -> str:
    return "Further right is better." if more_is_better(metric) else "Further left is better."
