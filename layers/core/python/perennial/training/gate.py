"""The gate: what a candidate must fulfil before it may serve. Pure rules over figures."""

from __future__ import annotations

from dataclasses import dataclass

from perennial.definitions import Gate
from perennial.records import Rating


@dataclass(frozen=True)
class Opponent:
    """The champion that a candidate is compared with."""

    version: int
    metrics: dict[str, float] | None
    """On the rows that judge the candidate; None when it cannot be compared."""
    obstacle: str = ""
    """Why it cannot be compared, as the end of a sentence."""


def judge(
    gate: Gate, metric: str, candidate: dict[str, float], parity_error: float, champion: Opponent | None
) -> tuple[Rating, ...]:
    """Rate a candidate by every rule that is set.

    Parameters
    ----------
    gate : Gate
        The rules.
    metric : str
        The model's metric, ``mae`` or ``rmse``; smaller is better.
    candidate : dict
        The candidate's metrics on the held-out rows (``perennial.training.evaluation.metrics``).
    parity_error : float
        Largest relative difference between the artifact and its estimator.
    champion : Opponent or None
        What serves now; None when nothing does.
    """
    ratings = [_finite(candidate)]
    if gate.max_error is not None:
        ratings.append(_max_error(gate.max_error, metric, candidate.get(metric)))
    ratings.append(_improvement(gate, metric, candidate.get(metric), champion))
    ratings.append(_parity(gate.max_parity_error, parity_error))
    return tuple(ratings)


def refusal(ratings: tuple[Rating, ...]) -> str:
    """Return the sentences of the rules that do not hold, or an empty text."""
    return " ".join(rating.sentence for rating in ratings if not rating.passed)


def _finite(candidate: dict[str, float]) -> Rating:
    bad, rows = int(candidate.get("not_finite", 0)), int(candidate["n"])
    how_many = f"{bad} of {rows} predictions are not" if bad else f"All {rows} predictions are"
    return Rating(rule="finite", passed=bad == 0, value=float(bad), limit=0.0, sentence=f"{how_many} finite numbers.")


def _max_error(limit: float, metric: str, value: float | None) -> Rating:
    if value is None:
        return _rating("max_error", False, None, limit, f"There is no {metric}, so it is not within {limit:g}.")
    passed = value <= limit
    return _rating(
        "max_error", passed, value, limit, f"{metric} {value:.4g} is {'within' if passed else 'above'} {limit:g}."
    )


def _improvement(gate: Gate, metric: str, value: float | None, champion: Opponent | None) -> Rating:
    """Compare with the champion on the same rows.

    A champion that cannot be compared (its features or target are no longer those of the definition) must not block
    every new definition for good; but something has to judge, so the rule then holds only if ``max_error`` is set.
    """
    rule, asked = "min_improvement", gate.min_improvement
    if champion is None:
        return _rating(rule, True, None, asked, "There is no champion to improve on.")
    who = f"champion version {champion.version}"
    theirs = None if champion.metrics is None else champion.metrics.get(metric)
    if theirs is None:
        why = champion.obstacle or f"its {metric} on these rows is unknown"
        judged = gate.max_error is not None
        end = "max_error alone judges" if judged else "set gate.max_error, or promote the version by hand"
        return _rating(rule, judged, None, asked, f"{who[0].upper()}{who[1:]} cannot be compared: {why}; {end}.")
    if value is None:
        return _rating(rule, False, None, asked, f"There is no {metric} to compare with {who}'s {theirs:.4g}.")
    passed = value <= theirs * (1.0 - asked)
    if theirs == 0:
        return _rating(rule, passed, None, asked, f"{metric} {value:.4g} stands against {who}'s 0.")
    gain = 1.0 - value / theirs
    words = f"{abs(gain):.1%} {'below' if gain >= 0 else 'above'} {who}'s {theirs:.4g}"
    return _rating(rule, passed, gain, asked, f"{metric} {value:.4g} is {words}; {asked:.1%} below is asked.")


def _parity(limit: float, value: float) -> Rating:
    passed = value <= limit
    words = "within" if passed else "more than"
    return _rating(
        "max_parity_error", passed, value, limit,
        f"The ONNX model differs from its estimator by {value:.2g} at most, {words} {limit:g}.",
    )  # fmt: skip


def _rating(rule: str, passed: bool, value: float | None, limit: float, sentence: str) -> Rating:
    return Rating(rule=rule, passed=passed, value=value, limit=limit, sentence=sentence)
