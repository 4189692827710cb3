"""The picture of the demo's result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from infra.demo import Month

_FROZEN, _SERVED, _ALARM, _GREY = "#b0413e", "#20639b", "#e08e0b", "#666666"


def draw_months(months: Sequence[Month], threshold: float, path: Path) -> None:
    """Draw the months' errors and drift into a PNG file.

    Parameters
    ----------
    months : sequence of Month
        What the demo found, in order.
    threshold : float
        Performance ratio above which the alarm fires.
    path : Path
        The file to write.
    """
    figure = Figure(figsize=(9, 6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    _draw_errors(top, months)
    _draw_drift(bottom, months, threshold)
    figure.suptitle("A model that retrains itself when the world drifts", fontsize=14, fontweight="bold")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def _draw_errors(axes: Axes, months: Sequence[Month]) -> None:
    names = [month.month for month in months]
    axes.plot(names, [m.mae_frozen for m in months], "o--", color=_FROZEN, label="version 1, had it stayed")
    axes.plot(names, [m.mae_served for m in months], "o-", color=_SERVED, linewidth=2.5, label="what perennial served")
    for index, month in enumerate(months):
        served_by = " and ".join(f"v{version}" for version in sorted(month.versions))
        axes.annotate(
            f"{served_by}\n$ {month.mae_served:.2f}", (index, month.mae_served), xytext=(0, -10),
            textcoords="offset points", ha="center", va="top", fontsize=9, color=_SERVED,
        )  # fmt: skip
        if month.versions.keys() != {"1"}:
            axes.annotate(
                f"$ {month.mae_frozen:.2f}", (index, month.mae_frozen), xytext=(0, 7),
                textcoords="offset points", ha="center", fontsize=9, color=_FROZEN,
            )  # fmt: skip
        if any(event.startswith("retrained") for event in month.happened):
            axes.axvline(index + 0.5, color=_ALARM, linewidth=1.5, linestyle=":")
            axes.annotate(
                "alarm, retraining\nand takeover, unattended", (index + 0.5, 0.04), xycoords=("data", "axes fraction"),
                xytext=(6, 0), textcoords="offset points", fontsize=9, color=_ALARM,
            )  # fmt: skip
    axes.set_ylim(0, 1.15 * max(max(m.mae_frozen, m.mae_served) for m in months))
    axes.set_ylabel("mean error of a price, $")
    axes.legend(loc="upper left", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_drift(axes: Axes, months: Sequence[Month], threshold: float) -> None:
    ratios = [m.drift.performance_ratio or 0.0 for m in months]
    colours = [_ALARM if ratio > threshold else _SERVED for ratio in ratios]
    bars = axes.bar([m.month for m in months], ratios, width=0.45, color=colours)
    axes.bar_label(bars, fmt="%.2f", fontsize=9, label_type="center", color="white")
    axes.axhline(threshold, color=_GREY, linewidth=1, linestyle="--")
    axes.annotate(
        f"alarm above {threshold:g}", (0, threshold), xycoords=("axes fraction", "data"), xytext=(4, 3),
        textcoords="offset points", fontsize=9, color=_GREY,
    )  # fmt: skip
    axes.set_ylim(0, 1.25 * max([threshold, *ratios]))
    axes.set_ylabel("error ÷ error when\nthe version was accepted")
    axes.spines[["top", "right"]].set_visible(False)
