"""Metrics, comparisons and rules of the gate as sentences for people who do not build models."""

from __future__ import annotations

import re
from collections.abc import Mapping

from perennial.definitions import Task
from perennial.records import Rating, Verdict
from perennial.reporting.words import alike, number, share

METRIC_NAMES = {
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "bias": "bias",
    "r2": "explained share of the variance (R²)",
    "log_loss": "log loss",
    "brier": "Brier score",
    "roc_auc": "area under the ROC curve",
    "average_precision": "average precision",
    "accuracy": "accuracy",
    "f1": "F1 score",
    "macro_f1": "F1 score, averaged over the classes",
    "macro_roc_auc": "area under the ROC curve, averaged over the classes",
}
METRIC_MEANINGS = {
    "mae": "How far a prediction is off on average, in the target's unit. Less is better.",
    "rmse": "As the mean absolute error, but large misses count more; in the target's unit. Less is better.",
    "bias": "How much predictions are too high on average (below 0: too low), in the target's unit. 0 is best.",
    "r2": "How much of what makes targets differ is explained: 1 is all, 0 no more than always guessing the mean.",
    "log_loss": "How surprised the model is by what came true; being sure and wrong costs most. Less is better.",
    "brier": "Mean squared difference between the probability said and what came true (0 or 1). Less is better.",
    "roc_auc": "How often a row where it came true was held more likely than one where it did not: 1 is always, "
    "0.5 no better than chance.",
    "average_precision": "How many of the rows held most likely came true, over all ways to draw the line. 1 is best.",
    "accuracy": "Share of rows for which the likeliest class is the true one. More is better.",
    "f1": "Balance of how many alarms are right and how many cases are found, at a probability of 0.5. 1 is best.",
    "macro_f1": "Balance of right and found cases of each class, all classes counting the same. 1 is best.",
    "macro_roc_auc": "How well each class is put before the others, all classes counting the same. 1 is best.",
}
_RULES = {
    "finite": "Every prediction is a number",
    "max_error": "Error not too large",
    "min_score": "Score large enough",
    "beat_baseline": "Better than a guess without a model",
    "min_improvement": "Better than what serves",
    "confidence": "Surely better than what serves",
    "max_slice_worsening": "No part of the rows much worse",
    "max_parity_error": "Serves what was trained",
    "max_bytes": "Small enough",
    "max_milliseconds": "Fast enough",
    "max_rejected": "Enough good rows in the uploads",
}


def rated(rating: Rating, metric: str) -> str:
    """Return the metric of which a rule speaks: the model's, or the one that the rule limits."""
    return rating.rule.split(".")[1] if rating.rule.startswith("limits.") else metric


def short(value: float) -> str:
    """Write a figure with the three digits that matter."""
    return number(value, 3)


def metric_heading(metric: str) -> str:
    """Return a metric's name as a heading: `str.capitalize` would write Roc and r²."""
    name = METRIC_NAMES.get(metric, metric)
    return name[0].upper() + name[1:]


def plainly(sentence: str, metric: str) -> str:
    """Return a sentence of the gate with the metric's name in words."""
    said = re.sub(rf"\b{re.escape(metric)}\b", METRIC_NAMES.get(metric, metric), sentence)
    return said[:1].upper() + said[1:]


def rule_name(rule: str) -> str:
    """Return what a rule of the gate asks for."""
    if rule.startswith("limits."):
        name = rule.split(".")[1]
        return f"{metric_heading(name)} within its limit"
    return _RULES.get(rule, rule)


def guess_name(baseline: str) -> str:
    """Return what a baseline does."""
    return {"constant": "the best constant guess", "previous value": "guessing the previous value"}.get(
        baseline, baseline
    )


def ends(interval: tuple[float, float] | None) -> str:
    """Write where a value likely lies: ``1.5 to 1.7``, or nothing."""
    if interval is None:
        return ""
    form = alike(interval)
    return f"{form(interval[0])} to {form(interval[1])}"


def with_ends(metrics: Mapping[str, float], intervals: Mapping[str, tuple[float, float]], metric: str) -> str:
    """Write a metric with where it likely lies: ``1.62 (1.5 to 1.7)``."""
    if metric not in metrics:
        return "unknown"
    likely = ends(intervals.get(metric))
    return number(metrics[metric], 3) + (f" ({likely})" if likely else "")


def gain(improvement: float) -> str:
    """Write an improvement: ``12 % better``, ``3 % worse``, ``as good``."""
    if improvement == 0:
        return "exactly as good"
    return f"{_percent(abs(improvement))} {'better' if improvement > 0 else 'worse'}"


def gain_ends(interval: tuple[float, float]) -> str:
    """Write where an improvement likely lies: ``9 % to 15 % better``, ``from 2 % worse to 4 % better``."""
    low, high = interval
    if low > 0:
        return f"{_percent(low)} to {_percent(high)} better"
    if high < 0:
        return f"{_percent(-high)} to {_percent(-low)} worse"
    return f"from {gain(low)} to {gain(high)}"


def _percent(value: float) -> str:
    """Write a share in percent, in whole ones where there are many: the tenths are noise."""
    return share(round(value, 2) if value >= 0.095 else value)


def against_champion(verdict: Verdict, metric: str, subject: str) -> str:
    """Return the sentence's first half: how good a candidate is, beside what serves or, without that, a guess."""
    if verdict.improvement is not None:
        likely = f" (likely {gain_ends(verdict.improvement_interval)})" if verdict.improvement_interval else ""
        return f"{subject} is {gain(verdict.improvement)} than version {verdict.champion_version}, which serves{likely}"
    if metric not in verdict.metrics:
        return f"{subject} could not be measured by its {METRIC_NAMES[metric]}"
    said = f"{subject} has a {METRIC_NAMES[metric]} of {with_ends(verdict.metrics, verdict.intervals, metric)}"
    theirs = verdict.baseline_metrics.get(metric)
    beside = f", where {guess_name(verdict.baseline)} has {number(theirs, 3)}" if theirs is not None else ""
    no_one = "no version serves yet" if verdict.champion_version is None else "what serves cannot be compared"
    return f"{said}{beside}; {no_one}"


def outcome(verdict: Verdict, metric: str) -> str:
    """Return what follows: whether it may serve, and if not, the sentences of the rules that do not hold."""
    if verdict.passed:
        return "It passed every rule of the gate: it may serve."
    broken = " ".join(
        plainly(rating.sentence, rated(rating, metric)) for rating in verdict.ratings if not rating.passed
    )
    return f"It was refused, and what serves goes on serving. {broken}"


def predicted(task: Task) -> str:
    """Return what a task's predictions are."""
    return {"regression": "a number", "binary": "a probability", "multiclass": "one of several classes"}[task]
