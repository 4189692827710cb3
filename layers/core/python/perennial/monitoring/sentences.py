"""What moved, as a person says it."""

from __future__ import annotations

from collections.abc import Sequence

from perennial.monitoring.window import PREDICTION, RECONSTRUCTION
from perennial.records import Assessment, Moved
from perennial.reporting.words import count, number, share

_NAMED = 3
"""Features that a sentence names; the others it counts."""
QUIET = "nothing moved by more than chance and the limits allow"
_SUBJECTS = {PREDICTION: "the predictions", RECONSTRUCTION: "how the features go together"}
_GROUPS = {"volume": "far more or fewer predictions than on earlier days", "freshness": "no predictions for too long"}


def figure_in_words(moved: Moved) -> str:
    """Say one figure: ``PSI 0.31``, ``missing in 12 % of the rows instead of 1 %``."""
    if moved.kind == "distribution":
        return f"PSI {number(moved.value, 2)}"
    if moved.kind == "shift":
        return f"by {number(moved.value, 2)} standard deviations"
    what = {"missing": "missing", "unseen": "unknown", "beyond": "beyond the learnt range"}[moved.kind]
    instead = f" instead of {share(moved.reference)}" if moved.kind != "beyond" else ""
    return f"{what} in {share(moved.value)} of the rows{instead}"


def sentence(assessment: Assessment, metric: str, promised: float | None, min_rows: int) -> str:
    """Say what a look found.

    Parameters
    ----------
    assessment : Assessment
        With all its figures.
    metric, promised : str, float or None
        The version's metric, and what it is on the held-out rows.
    min_rows : int
        How many rows it takes.
    """
    parts = [*_moves(assessment.moved), *_quality(assessment, metric, promised)]
    parts += [text for name, text in _GROUPS.items() if assessment.figures.get(name, 0.0) > 1]
    if assessment.lost:
        parts.append(f"{count(assessment.lost)} lines did not come to the prediction log")
    if not parts:
        few = f"{count(assessment.rows)} of {count(min_rows)} rows: too few to say"
        parts.append(few if assessment.rows < min_rows else QUIET)
    if assessment.first_window and assessment.moved:
        parts.append("these are the version's first rows, so training and serving may differ rather than the world")
    return "; ".join(parts)


def _moves(moved: Sequence[Moved]) -> list[str]:
    by_subject: dict[str, list[Moved]] = {}
    for one in moved:
        by_subject.setdefault(one.subject, []).append(one)
    special = [name for name in by_subject if name in _SUBJECTS]
    features = [name for name in by_subject if name not in _SUBJECTS]
    named = [f"{name} moved: {_figures(by_subject[name])}" for name in features[:_NAMED]]
    if len(features) > _NAMED:
        named.append(f"{len(features) - _NAMED} more features moved")
    return [*named, *(f"{_SUBJECTS[name]} moved: {_figures(by_subject[name])}" for name in special)]


def _figures(moved: Sequence[Moved]) -> str:
    return ", ".join(map(figure_in_words, moved))


def _quality(assessment: Assessment, metric: str, promised: float | None) -> list[str]:
    """Say what is worse than promised, by labels and as estimated."""
    found = []
    if assessment.figures.get("performance", 0.0) > 1 and assessment.performance is not None and promised is not None:
        ratio = f" ({number(assessment.performance_ratio or 0.0, 3)}×)"
        found.append(f"{metric} is {number(assessment.performance, 3)} instead of {number(promised, 3)}{ratio}")
    if assessment.figures.get("estimated", 0.0) > 1 and assessment.estimated is not None and promised is not None:
        found.append(
            f"{metric} is likely {number(assessment.estimated, 3)} instead of {number(promised, 3)}, before labels"
        )
    return found
