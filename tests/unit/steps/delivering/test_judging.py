"""Whether a challenger goes on: from counts and times whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from perennial.definitions import Delivery
from perennial.steps.delivering.judging import Judgement, Measure, errors, judge, latency, quality
from perennial.steps.delivering.observed import Labelled, Observed

LIMITS = Delivery(canary=(0.5,), min_rows=100, min_labelled=100)
MAE = Measure("mae", "regression", False, seed=0)
START = np.datetime64("2019-03-01T00:00:00", "us")


def observed(
    requests: int,
    failures: int = 0,
    version: int = 1,
    rows: int | npt.NDArray[np.int64] = 1,
    milliseconds: npt.NDArray[np.float64] | None = None,
    labelled: Labelled | None = None,
) -> Observed:
    return Observed(
        version,
        np.full(requests, rows, dtype=np.int64),
        np.full(requests, 5.0) if milliseconds is None else milliseconds,
        np.arange(requests) < failures,
        labelled or Labelled(),
    )


def labels(errors: npt.NDArray[np.float64], rng: np.random.Generator) -> Labelled:
    """Return labels, within one hour, of predictions that are wrong by that much."""
    at = START + np.sort(rng.integers(0, 3_600_000_000, len(errors))).astype("timedelta64[us]")
    true = rng.normal(size=len(errors))
    return Labelled(at, true, true + errors)


def look(champion: Observed, challenger: Observed, limits: Delivery = LIMITS, **changes: Any) -> Judgement:
    told = {"time_is_up": True, "patience_is_up": False, **changes}
    return judge(limits, champion, challenger, MAE, **told)


def test_a_challenger_that_fails_every_request_is_taken_back_after_a_few() -> None:
    judgement = look(observed(50), observed(5, failures=5), time_is_up=False)
    assert judgement.outcome == "bad"
    assert judgement.sentence == (
        "5 of 5 requests failed; of the champion's 0 of 50: more than max_error_rate 0.01."
    )  # fmt: skip


def test_one_failure_alone_takes_nothing_back() -> None:
    assert errors(0.01, observed(50), observed(1, failures=1)).passed


def test_a_challenger_that_fails_as_often_as_the_champion_is_not_to_blame() -> None:
    assert errors(0.01, observed(1000, failures=200), observed(1000, failures=210)).passed
    rating = errors(0.01, observed(1000, failures=20), observed(1000, failures=210))
    assert (rating.passed, rating.value, rating.limit) == (False, 0.21, 0.01)


def test_a_challenger_may_fail_more_than_the_champion_within_the_limit() -> None:
    assert errors(0.05, observed(10_000), observed(10_000, failures=200)).passed
    assert not errors(0.01, observed(10_000), observed(10_000, failures=200)).passed


def test_a_challenger_that_fails_while_nobody_asks_the_champion_is_taken_back() -> None:
    assert not errors(0.01, observed(0), observed(10, failures=10)).passed


def test_a_challenger_that_takes_three_times_as_long_is_taken_back() -> None:
    rng = np.random.default_rng(1)
    times = rng.lognormal(1, 0.3, 600)
    slow = observed(60, milliseconds=3 * times[:60])
    rating = latency(2.0, observed(540, milliseconds=times[60:]), slow)
    assert not rating.passed
    assert rating.value == pytest.approx(3.0, rel=0.25)
    assert "credibly more than max_latency_ratio 2 times as long" in rating.sentence


def test_a_few_slow_requests_do_not_make_a_slow_version() -> None:
    rng = np.random.default_rng(2)
    times = rng.lognormal(1, 0.3, 600)
    times[:4] *= 100  # of 100: artifacts that are loaded, processes that start
    assert latency(2.0, observed(500, milliseconds=times[100:]), observed(100, milliseconds=times[:100])).passed


def test_time_is_compared_over_requests_of_as_many_rows() -> None:
    # The challenger's callers send 64 rows, which takes ten times as long; of 1 row it takes as long as the champion.
    ours = np.repeat([1, 64], [150, 150])
    theirs = np.repeat([1, 64], [400, 10])
    slow = observed(300, rows=ours, milliseconds=np.where(ours == 64, 50.0, 5.0))
    rating = latency(2.0, observed(410, rows=theirs, milliseconds=np.where(theirs == 64, 50.0, 5.0)), slow)
    assert (rating.passed, rating.value) == (True, 1.0)
    assert rating.sentence.startswith("95 % of its 150 requests of 1 row took at most 5 ms, of the champion's 400 5 ms")


def test_failures_are_not_quick_answers() -> None:
    times = np.concatenate([np.full(200, 0.1), np.full(40, 30.0)])
    half_failed = observed(240, failures=200, milliseconds=times)
    assert not latency(2.0, observed(500), half_failed).passed


def test_without_requests_of_like_size_nothing_is_said_about_time() -> None:
    rating = latency(2.0, observed(50, rows=500), observed(50))
    assert (rating.passed, rating.value) == (True, None)


def test_a_challenger_that_is_twice_as_wrong_is_taken_back() -> None:
    rng = np.random.default_rng(3)
    good, bad = labels(rng.normal(size=2000), rng), labels(2 * rng.normal(size=500), rng)
    rating = quality(1.1, 100, good, bad, MAE)
    assert not rating.passed
    assert rating.value == pytest.approx(2.0, rel=0.15)
    assert "credibly more than max_quality_ratio 1.1 times as bad" in rating.sentence
    assert quality(1.1, 100, bad, good, MAE).passed


def test_a_score_is_held_against_what_is_missing_to_one() -> None:
    rng = np.random.default_rng(4)
    said = np.where(rng.random(3000) < 0.5, 0.9, 0.1)

    def right(share: float) -> Labelled:
        hit = rng.random(3000) < share
        at = START + np.arange(3000).astype("timedelta64[s]")
        return Labelled(at, np.where(hit, said > 0.5, said < 0.5).astype(np.float64), said)

    accuracy = Measure("accuracy", "binary", True, seed=0)
    rating = quality(1.5, 100, right(0.9), right(0.7), accuracy)
    assert (rating.passed, rating.value) == (False, pytest.approx(3.0, rel=0.15))
    assert quality(1.5, 100, right(0.9), right(0.88), accuracy).passed


def test_a_bad_hour_of_both_is_not_held_against_either() -> None:
    # Errors are ten times as large in a stretch that holds a fifth of the time; both versions see it alike.
    rng = np.random.default_rng(5)

    def lived_through(number: int) -> Labelled:
        found = labels(rng.normal(size=number), rng)
        bad = (found.at - START) < np.timedelta64(720, "s")
        return Labelled(
            found.at, found.labels, np.where(bad, 10, 1) * (found.predictions - found.labels) + found.labels
        )

    assert quality(1.05, 100, lived_through(2000), lived_through(400), MAE).passed


def test_a_few_labels_or_other_classes_say_nothing_about_quality() -> None:
    rng = np.random.default_rng(6)
    few, many = labels(9 * rng.normal(size=99), rng), labels(rng.normal(size=1000), rng)
    assert quality(1.1, 100, many, few, MAE) == quality(1.1, 100, many, few, MAE).model_copy(
        update={"passed": True, "value": None}
    )
    assert "do not predict the same" in quality(1.1, 100, many, many, None).sentence


@pytest.mark.parametrize(
    ("policy", "patience_is_up", "outcome"),
    [
        ("promote", False, "good"),
        ("wait", False, "wait"),
        ("wait", True, "bad"),
        ("rollback", False, "bad"),
    ],
)
def test_thin_traffic_is_what_the_definition_makes_of_it(policy: str, patience_is_up: bool, outcome: str) -> None:
    limits = LIMITS.model_copy(update={"on_too_little": policy})
    judgement = look(observed(500), observed(99), limits, patience_is_up=patience_is_up)
    assert judgement.outcome == outcome
    assert "99 rows in 99 requests, where 100 rows are asked for" in judgement.sentence


def test_a_phase_ends_well_when_its_time_is_up_and_enough_was_seen() -> None:
    assert look(observed(500), observed(100), time_is_up=False).outcome == "wait"
    assert look(observed(500), observed(100)).outcome == "good"
    assert look(observed(500), observed(2, rows=50)).outcome == "good"


def test_noise_alone_takes_hardly_any_version_back() -> None:
    # Two versions that are the same, with limits that ask for it: 100 phases of 20 looks each at a growing log.
    limits = LIMITS.model_copy(update={"max_error_rate": 0.0, "max_latency_ratio": 1.0000001})
    rng = np.random.default_rng(8)
    taken_back = 0
    for _ in range(100):
        failed, times = rng.random(2000) < 0.02, rng.lognormal(1, 0.5, 2000)
        ours = rng.random(2000) < 0.2

        def until(end: int, mine: npt.NDArray[np.bool_], failed: Any = failed, times: Any = times) -> Observed:
            seen = np.flatnonzero(mine[:end])
            return Observed(1, np.ones(len(seen), dtype=np.int64), times[seen], failed[seen])

        outcomes = {look(until(end, ~ours), until(end, ours), limits).outcome for end in range(100, 2001, 100)}
        taken_back += "bad" in outcomes
    assert taken_back <= 2


def test_noise_alone_makes_no_version_worse_on_its_labels() -> None:
    rng = np.random.default_rng(9)
    judged = [
        quality(1.0, 100, labels(rng.standard_t(4, 800), rng), labels(rng.standard_t(4, 200), rng), MAE).passed
        for _ in range(60)
    ]
    assert judged.count(False) <= 1
