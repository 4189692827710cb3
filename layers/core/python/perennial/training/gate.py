"""The gate: what a candidate must fulfil before it may serve. Pure rules over figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from perennial.definitions import Gate
from perennial.records import Rating
from perennial.reporting.words import share, size
from perennial.training.bootstrap import improvement, lower_bound
from perennial.training.evaluation import more_is_better
from perennial.training.slices import SliceFigures


@dataclass(frozen=True)
class Opponent:
    """The champion that a candidate is compared with."""

    version: int
    metrics: dict[str, float] | None
    """On the rows that judge the candidate; None when it cannot be compared."""
    obstacle: str = ""
    """Why it cannot be compared, as the end of a sentence."""


@dataclass(frozen=True)
class Evidence:
    """What is known of a candidate beside its metrics."""

    rows: int
    """Held-out rows."""
    baseline: str = ""
    baseline_metrics: dict[str, float] = field(default_factory=dict)
    improvements: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """Improvement of the model's metric over the champion's on each resample of the rows; empty if there is none."""
    slices: Sequence[SliceFigures] = ()
    size: int = 0
    """Bytes of the ONNX file."""
    milliseconds: float = 0.0
    """For one row."""
    rejected: tuple[int, int] | None = None
    """Quarantined rows and all rows of the uploads that were learnt from; None if they are no longer to be found."""


def judge(
    gate: Gate,
    metric: str,
    candidate: dict[str, float],
    parity_error: float,
    champion: Opponent | None,
    evidence: Evidence | None = None,
) -> tuple[Rating, ...]:
    """Rate a candidate by every rule that is set.

    Parameters
    ----------
    gate : Gate
        The rules.
    metric : str
        The model's metric; what is better, less or more of it, is known by its name.
    candidate : dict
        The candidate's metrics on the held-out rows (``perennial.training.evaluation.metrics``).
    parity_error : float
        Largest relative difference between the artifact and its estimator.
    champion : Opponent or None
        What serves now; None when nothing does.
    evidence : Evidence or None
        For the rules that look at more than metrics; None rates none of them.
    """
    value = candidate.get(metric)
    ratings = [_finite(candidate)]
    if gate.max_error is not None:
        ratings.append(_bound("max_error", metric, value, gate.max_error, below=True))
    if gate.min_score is not None:
        ratings.append(_bound("min_score", metric, value, gate.min_score, below=False))
    for name, limit in gate.limits.items():
        for bound, below in ((limit.min, False), (limit.max, True)):
            if bound is not None:
                rule = f"limits.{name}.{'max' if below else 'min'}"
                ratings.append(_bound(rule, name, candidate.get(name), bound, below=below))
    if evidence is not None and gate.beat_baseline:
        ratings.append(_baseline(metric, value, evidence))
    ratings.append(_improvement(gate, metric, value, champion))
    if evidence is not None:
        ratings.extend(_by_evidence(gate, metric, champion, evidence))
    ratings.append(_parity(gate.max_parity_error, parity_error))
    return tuple(ratings)


def refusal(ratings: tuple[Rating, ...]) -> str:
    """Return the sentences of the rules that do not hold, or an empty text."""
    return " ".join(rating.sentence for rating in ratings if not rating.passed)


def _by_evidence(gate: Gate, metric: str, champion: Opponent | None, evidence: Evidence) -> list[Rating]:
    found = []
    if gate.confidence is not None:
        found.append(_confidence(gate.confidence, metric, champion, evidence))
    if gate.max_slice_worsening is not None:
        found.append(_slices(gate.max_slice_worsening, gate.slice_rows, metric, champion, evidence))
    if gate.max_bytes is not None:
        words = f"The ONNX file has {size(evidence.size)}; {size(gate.max_bytes)} are allowed."
        found.append(_most("max_bytes", evidence.size, gate.max_bytes, words))
    if gate.max_milliseconds is not None:
        words = f"One prediction takes {evidence.milliseconds:.3g} ms; {gate.max_milliseconds:g} ms are allowed."
        found.append(_most("max_milliseconds", evidence.milliseconds, gate.max_milliseconds, words))
    if gate.max_rejected is not None:
        found.append(_rejected(gate.max_rejected, evidence.rejected))
    return found


def _finite(candidate: dict[str, float]) -> Rating:
    bad, rows = int(candidate.get("not_finite", 0)), int(candidate["n"])
    how_many = f"{bad} of {rows} predictions are not" if bad else f"All {rows} predictions are"
    return Rating(rule="finite", passed=bad == 0, value=float(bad), limit=0.0, sentence=f"{how_many} finite numbers.")


def _bound(rule: str, metric: str, value: float | None, limit: float, *, below: bool) -> Rating:
    """Rate a metric that must not lie beyond a limit; the limit itself may be reached."""
    inside = f"within {limit:g}" if below else f"at least {limit:g}"
    if value is None:
        return _rating(rule, False, None, limit, f"There is no {metric}, so it is not {inside}.")
    passed = value <= limit if below else value >= limit
    beyond = f"{'above' if below else 'below'} {limit:g}"
    return _rating(rule, passed, value, limit, f"{metric} {value:.4g} is {inside if passed else beyond}.")


def _baseline(metric: str, value: float | None, evidence: Evidence) -> Rating:
    """Ask for a metric that is better, not equal, than that of the best guess without a model."""
    rule, theirs = "beat_baseline", evidence.baseline_metrics.get(metric)
    guess = "guessing the previous value" if evidence.baseline == "previous value" else "the best constant guess"
    if value is None:
        return _rating(rule, False, None, theirs, f"There is no {metric} to compare with that of {guess}.")
    if theirs is None:
        return _rating(
            rule, True, value, None, f"The {metric} of {guess} is undefined, so {value:.4g} need not beat it."
        )
    passed = value > theirs if more_is_better(metric) else value < theirs
    words = "is better than" if passed else "is not better than"
    return _rating(rule, passed, value, theirs, f"{metric} {value:.4g} {words} {theirs:.4g}, which {guess} reaches.")


def _improvement(gate: Gate, metric: str, value: float | None, champion: Opponent | None) -> Rating:
    """Compare with the champion on the same rows.

    A champion that cannot be compared (its features or target are no longer those of the definition) must not block
    every new definition for good; but something has to judge, so the rule then holds only if ``max_error`` (or
    ``min_score``) is set.
    """
    rule, asked, more = "min_improvement", gate.min_improvement, more_is_better(metric)
    if champion is None:
        return _rating(rule, True, None, asked, "There is no champion to improve on.")
    who = f"champion version {champion.version}"
    theirs = None if champion.metrics is None else champion.metrics.get(metric)
    if theirs is None:
        why = champion.obstacle or f"its {metric} on these rows is unknown"
        bound = "min_score" if more else "max_error"
        judged = (gate.min_score if more else gate.max_error) is not None
        end = f"{bound} alone judges" if judged else f"set gate.{bound}, or promote the version by hand"
        return _rating(rule, judged, None, asked, f"{who[0].upper()}{who[1:]} cannot be compared: {why}; {end}.")
    if value is None:
        return _rating(rule, False, None, asked, f"There is no {metric} to compare with {who}'s {theirs:.4g}.")
    passed = value >= theirs + abs(theirs) * asked if more else value <= theirs * (1.0 - asked)
    if theirs == 0:
        return _rating(rule, passed, None, asked, f"{metric} {value:.4g} stands against {who}'s 0.")
    gain = float(improvement(value, theirs, more_is_better=more))
    good, bad = ("above", "below") if more else ("below", "above")
    words = f"{abs(gain):.1%} {good if gain >= 0 else bad} {who}'s {theirs:.4g}"
    wanted = f"{asked:.1%} {good} is asked" if asked else "it must not be worse"
    return _rating(rule, passed, gain, asked, f"{metric} {value:.4g} is {words}; {wanted}.")


def _confidence(asked: float, metric: str, champion: Opponent | None, evidence: Evidence) -> Rating:
    """Ask for an improvement that is above 0 on a share ``asked`` of the resamples: its value is that lower bound.

    Without a champion, or with one that cannot be compared, there is nothing to be sure of: the other rules judge.
    """
    rule = "confidence"
    if champion is None or champion.metrics is None or champion.metrics.get(metric) is None:
        why = "There is no champion" if champion is None else f"Champion version {champion.version} cannot be compared"
        return _rating(rule, True, None, 0.0, f"{why}, so there is nothing to be sure of.")
    who = f"champion version {champion.version}"
    bound = lower_bound(evidence.improvements, asked)
    if bound is None:
        words = f"{evidence.rows} held-out rows are too few to tell how sure it is that {metric} improves on {who}."
        return _rating(rule, False, None, 0.0, f"{words} Widen the split's holdout.")
    if bound > 0:
        words = f"With a confidence of {asked:.3g}, {metric} is at least {bound:.1%} better than {who}'s."
    else:
        words = (
            f"It is not sure enough that {metric} is better than {who}'s: with a confidence of {asked:.3g} it may be "
            f"{abs(bound):.1%} worse."
        )
    return _rating(rule, bound > 0, bound, 0.0, words)


def _slices(limit: float, rows: int, metric: str, champion: Opponent | None, evidence: Evidence) -> Rating:
    rule = "max_slice_worsening"
    if champion is None or champion.metrics is None:
        why = "There is no champion" if champion is None else f"Champion version {champion.version} cannot be compared"
        return _rating(rule, True, None, limit, f"{why}, so no slice can have become worse.")
    judged = [each for each in evidence.slices if each.rows >= rows and each.improvement is not None]
    if not judged:
        return _rating(rule, True, None, limit, f"No slice has {rows} held-out rows to be judged by.")
    worst = min(judged, key=lambda each: each.improvement or 0.0)
    loss = -(worst.improvement or 0.0)
    where = f"the slice {worst.name} = {worst.value} ({worst.rows} rows)"
    if loss <= 0:
        words = f"On none of {len(judged)} slices {metric} is worse than champion version {champion.version}'s."
    else:
        words = f"On {where}, {metric} is {loss:.1%} worse than champion version {champion.version}'s"
        words += f", the most of {len(judged)} slices; {limit:.1%} are allowed."
    return _rating(rule, loss <= limit, loss, limit, words)


def _rejected(limit: float, rejected: tuple[int, int] | None) -> Rating:
    rule = "max_rejected"
    if rejected is None:
        words = (
            "How many rows were quarantined is not known any more, as the uploads were replaced; start the run again."
        )
        return _rating(rule, False, None, limit, words)
    bad, rows = rejected
    words = f"{share(bad, rows)} of the uploaded rows ({bad} of {rows}) were quarantined; {share(limit)} are allowed."
    return _most(rule, bad / rows if rows else 0.0, limit, words)


def _parity(limit: float, value: float) -> Rating:
    words = "within" if value <= limit else "more than"
    sentence = f"The ONNX model differs from its estimator by {value:.2g} at most, {words} {limit:g}."
    return _most("max_parity_error", value, limit, sentence)


def _most(rule: str, value: float, limit: float, sentence: str) -> Rating:
    return _rating(rule, value <= limit, value, limit, sentence)


def _rating(rule: str, passed: bool, value: float | None, limit: float | None, sentence: str) -> Rating:
    return Rating(rule=rule, passed=passed, value=value, limit=limit, sentence=sentence)
