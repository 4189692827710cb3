"""Whether a challenger may go on: its errors, its time and its quality beside the champion's, in the same phase.

A challenger is taken back for what is credible, not for what was seen: of each limit it must be improbable that it was
exceeded by chance. It is looked at many times, and each look is another chance to be unlucky: so the confidence is
high.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from perennial.definitions import Delivery, Task
from perennial.monitoring.quality import measure, worsening
from perennial.records import Rating
from perennial.steps.delivering.bounds import chance_of_as_many, chance_of_more, quantile_bounds
from perennial.steps.delivering.observed import Labelled, Observed
from perennial.training.bootstrap import lower_bound, resamples
from perennial.training.resampled import resampled

CONFIDENCE = 0.999
"""Of each test and bound by itself, at each look."""
QUANTILE = 0.95
"""Of the time that requests take."""
RESAMPLES = 5000
"""Enough for a quantile of one in a thousand."""
Outcome = Literal["wait", "good", "bad"]
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measure:
    """By what quality is told, and of what."""

    metric: str
    task: Task
    more_is_better: bool
    seed: int


@dataclass(frozen=True)
class Judgement:
    """What a look at a phase came to."""

    outcome: Outcome
    sentence: str
    ratings: tuple[Rating, ...]


def judge(
    limits: Delivery,
    champion: Observed,
    challenger: Observed,
    measured: Measure | None,
    *,
    time_is_up: bool,
    patience_is_up: bool,
) -> Judgement:
    """Say whether a phase goes on, ends well, or ends badly.

    Parameters
    ----------
    limits : Delivery
        What the model's definition allows.
    champion, challenger : Observed
        What the two did in the same time.
    measured : Measure or None
        None if their metrics cannot be compared: they are of different tasks, or tell other classes apart.
    time_is_up, patience_is_up : bool
        Whether the phase has taken as long as it is to; and as long as it may.
    """
    ratings = (
        errors(limits.max_error_rate, champion, challenger),
        latency(limits.max_latency_ratio, champion, challenger),
        quality(limits.max_quality_ratio, limits.min_labelled, champion.labelled, challenger.labelled, measured),
    )
    broken = [rating.sentence for rating in ratings if not rating.passed]
    if broken:
        return Judgement("bad", " ".join(broken), ratings)
    seen = f"{challenger.all_rows:,} rows in {challenger.requests:,} requests"
    if not time_is_up:
        return Judgement("wait", f"No limit is broken so far, by {seen}.", ratings)
    if challenger.all_rows >= limits.min_rows:
        return Judgement("good", f"No limit was broken, by {seen}.", ratings)
    thin = f"Its time is up with {seen}, where {limits.min_rows:,} rows are asked for"
    if limits.on_too_little == "promote":
        return Judgement("good", f"{thin}; on_too_little lets it go on.", ratings)
    if limits.on_too_little == "wait" and not patience_is_up:
        return Judgement("wait", f"{thin}; it waits for more.", ratings)
    return Judgement("bad", f"{thin}: too little to judge it by.", ratings)


def errors(limit: float, champion: Observed, challenger: Observed) -> Rating:
    """Hold the share of requests that the challenger failed against the limit, and against the champion's."""
    ours, theirs = (challenger.failures, challenger.requests), (champion.failures, champion.requests)
    share = challenger.failures / challenger.requests if challenger.requests else None
    above_limit = chance_of_as_many(*ours, limit) < 1 - CONFIDENCE
    # A champion that nobody asked says nothing for the challenger.
    above_champion = not champion.requests or chance_of_more(*ours, *theirs) < 1 - CONFIDENCE
    failed = f"{challenger.failures:,} of {challenger.requests:,} requests failed"
    sentence = f"{failed}; of the champion's {champion.failures:,} of {champion.requests:,}."
    if above_limit and above_champion:
        sentence = f"{sentence[:-1]}: more than max_error_rate {limit:g}."
    return Rating(rule="errors", passed=not (above_limit and above_champion), value=share, limit=limit,
                  sentence=sentence)  # fmt: skip


def latency(limit: float, champion: Observed, challenger: Observed) -> Rating:
    """Hold the time of the challenger's requests against the champion's, over requests of about as many rows.

    Requests are told apart by the power of two that their rows reach (1, 2 to 3, 4 to 7, …), and looked at are those of
    which both versions answered most.
    """
    size, ours, theirs = _alike(challenger, champion)
    if not len(ours) or not len(theirs):
        unsaid = "There are no requests of as many rows to both whose time could be compared."
        return Rating(rule="latency", passed=True, value=None, limit=limit, sentence=unsaid)
    mine, other = float(np.quantile(ours, QUANTILE)), float(np.quantile(theirs, QUANTILE))
    least = quantile_bounds(ours, QUANTILE, CONFIDENCE)[0]
    most = quantile_bounds(theirs, QUANTILE, CONFIDENCE)[1]
    slower = most < math.inf and least > limit * most
    sentence = (
        f"95 % of its {len(ours):,} requests of {size} took at most {mine:.3g} ms, of the champion's {len(theirs):,} "
        f"{other:.3g} ms"
    )
    sentence += f": credibly more than max_latency_ratio {limit:g} times as long." if slower else "."
    return Rating(rule="latency", passed=not slower, value=mine / other if other else None, limit=limit,
                  sentence=sentence)  # fmt: skip


def quality(limit: float, enough: int, champion: Labelled, challenger: Labelled, measured: Measure | None) -> Rating:
    """Hold the challenger's metric on the labels that came against the champion's on those of the same time.

    Both are measured on the same resamples of stretches of time, so that a bad hour is a bad hour of both.
    """

    def unsaid(sentence: str) -> Rating:
        return Rating(rule="quality", passed=True, value=None, limit=limit, sentence=sentence)

    if measured is None:
        return unsaid("The two versions do not predict the same, so their metrics are not compared.")
    fewer = min(len(champion.labels), len(challenger.labels))
    if fewer < enough:
        return unsaid(
            f"{len(challenger.labels):,} of its rows have a label, {len(champion.labels):,} of the champion's; "
            f"min_labelled asks for {enough:,} of each."
        )
    ours, theirs = (measure(measured.metric, of.labels, of.predictions, measured.task) for of in (challenger, champion))
    if ours is None or theirs is None:
        return unsaid(f"{measured.metric} cannot be told of the labels that came.")
    ratio = worsening(measured.metric, theirs, ours)
    least = _least_worsening(champion, challenger, measured)
    worse = least is not None and least > limit
    sentence = f"{measured.metric} is {ours:.4g} on {len(challenger.labels):,} labels, the champion's {theirs:.4g}"
    sentence += f": credibly more than max_quality_ratio {limit:g} times as bad." if worse else "."
    return Rating(rule="quality", passed=not worse, value=ratio, limit=limit, sentence=sentence)


def _alike(challenger: Observed, champion: Observed) -> tuple[str, Vector, Vector]:
    """Return how many rows the requests have that both answered most of, and their milliseconds, failures left out."""
    sizes = [np.where(of.failed | (of.rows < 1), -1, np.log2(np.maximum(of.rows, 1)).astype(np.int64))
             for of in (challenger, champion)]  # fmt: skip
    most = max((int(size.max()) for size in sizes if len(size)), default=-1)
    shared = [min(int(np.count_nonzero(size == power)) for size in sizes) for power in range(most + 1)]
    power = int(np.argmax(shared)) if shared else 0
    first, last = 2**power, 2 ** (power + 1) - 1
    words = "1 row" if power == 0 else f"{first:,} to {last:,} rows"
    return words, challenger.milliseconds[sizes[0] == power], champion.milliseconds[sizes[1] == power]


def _least_worsening(champion: Labelled, challenger: Labelled, measured: Measure) -> float | None:
    """Return how many times as bad the challenger is at least; None where there are too few rows to say."""
    draws = resamples(np.concatenate([champion.at, challenger.at]), measured.seed, RESAMPLES)
    its = np.arange(len(champion.at) + len(challenger.at)) >= len(champion.at)
    figures = [
        resampled(measured.metric, of.labels, of.predictions, measured.task, draws.of(rows))
        for of, rows in ((champion, ~its), (challenger, its))
    ]
    theirs, ours = (1 - figure if measured.more_is_better else figure for figure in figures)
    ratios = np.divide(ours, theirs, out=np.full(np.shape(ours), np.nan), where=theirs > 0)
    # Where the champion made no mistake at all, any mistake is infinitely worse.
    ratios = np.where((theirs <= 0) & (ours > 0), np.finfo(np.float64).max, ratios)
    return lower_bound(ratios, CONFIDENCE)
