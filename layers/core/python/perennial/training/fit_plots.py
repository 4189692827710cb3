"""Where predictions lie to the truth, as plots with a sentence each: residuals, reliability, confusion."""

from __future__ import annotations

from collections.abc import Sequence

from perennial.definitions import Task
from perennial.reporting.blocks import Block, Cell, Plot, Plots, Table
from perennial.reporting.charts import Distribution, histogram
from perennial.reporting.plots import SIZE, Band, band, reliability
from perennial.reporting.words import count, number, share
from perennial.training.calibration import Fit, Spread

MOST_CLASSES = 12
"""Classes up to which the page shows which one is taken for which."""


def fit_blocks(fit: Fit, task: Task, classes: Sequence[str]) -> list[Block]:
    """Return the plots of a candidate's predictions on the held-out rows."""
    return _of_numbers(fit) if task == "regression" else _of_classes(fit, task, classes)


def _of_numbers(fit: Fit) -> list[Block]:
    plots: list[Plot] = []
    if fit.prediction is not None and fit.truth is not None:
        chart = histogram(
            "Predictions and truth", _spread(fit.prediction, "predicted"), _spread(fit.truth, "true"), size=SIZE
        )
        caption = (
            "How often each value was predicted (bars) and came true (line), in the target's unit. Where the line is "
            "above the bars, such values are predicted too rarely."
        )
        plots.append(Plot(chart, caption, "Predictions and truth"))
    if fit.residuals is not None:
        middle, low, high = (fit.residual_quantiles[q] for q in ("0.5", "0.05", "0.95"))
        chart = histogram("Prediction minus truth", _spread(fit.residuals, "prediction minus truth"), size=SIZE)
        caption = (
            f"By how much predictions miss, in the target's unit: nine of ten between {number(low, 3)} and "
            f"{number(high, 3)}, half of them below {number(middle, 3)}. Right of 0 they are too high."
        )
        plots.append(Plot(chart, caption, "By how much predictions miss"))
    if fit.residuals_by_prediction:
        points = [Band(each.predicted, each.mean, each.low, each.high) for each in fit.residuals_by_prediction]
        chart = band("Misses by prediction", points, ("mean of prediction minus truth", "eight of ten rows"))
        caption = (
            "How predictions miss (upwards: too high) for small and large predictions, from left to right; both axes "
            "in the target's unit. A line that stays on the dashed 0 means that they are right on average throughout; "
            "a band that widens means that they are less exact there."
        )
        plots.append(Plot(chart, caption, "Misses of small and large predictions"))
    return [Plots(plots)]


def _of_classes(fit: Fit, task: Task, classes: Sequence[str]) -> list[Block]:
    what = "the condition" if task == "binary" else "the likeliest class"
    chart = reliability(f"Said and happened: {what}", [(each.predicted, each.observed) for each in fit.reliability])
    off = "" if fit.calibration_error is None else f" On average the two are {_points(fit.calibration_error)} apart."
    caption = (
        f"Of rows for which the model says a probability (left to right), how often {what} came true (upwards). On the "
        f"dashed line, {share(0.3)} means {share(0.3)}; below it the model promises too much.{off}"
    )
    plots = [Plot(chart, caption, "Said and happened")]
    if fit.prediction is not None:
        chart = histogram(
            "Predicted probabilities", _spread(fit.prediction, "predicted probability"), form=share, size=SIZE
        )
        caption = (
            "How often the model says each probability: the more it stays away from the middle, the more it decides."
        )
        plots.append(Plot(chart, caption, "Predicted probabilities"))
    blocks: list[Block] = [Plots(plots)]
    if len(classes) <= MOST_CLASSES and len(fit.confusion) == len(classes):
        blocks.append(_confusion(fit, task, classes))
    return blocks


def _confusion(fit: Fit, task: Task, classes: Sequence[str]) -> Table:
    taken = "for which each class was the likeliest"
    if task == "binary":
        taken = f"taken for each class: for true from a probability of {share(0.5)} on"
    rows: list[list[Cell]] = []
    for name, line in zip(classes, fit.confusion, strict=True):
        total = sum(line)
        rows.append([name, count(total), *(share(each, total) if total else "–" for each in line)])
    return Table(
        f"Of the rows of each true class, the share {taken}",
        ["Truth", "Rows", *(f"taken for {name}" for name in classes)],
        rows,
        frozenset(range(1, len(classes) + 2)),
    )


def _points(value: float) -> str:
    return f"{number(100 * value, 2)} percentage points"


def _spread(spread: Spread, name: str) -> Distribution:
    return Distribution(name, spread.edges, spread.shares)
