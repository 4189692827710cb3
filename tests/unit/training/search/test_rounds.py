"""Planning rounds, with made-up results."""

from __future__ import annotations

import math
from collections import Counter
from datetime import timedelta

import pytest

from perennial.errors import DefinitionError
from perennial.prices import JobSize
from perennial.records import Round, TrialResult, TrialTask
from perennial.training.search.budget import MOST_ROUNDS
from perennial.training.search.ladder import shares_of
from perennial.training.search.rounds import LOST, next_round, place_of
from tests.support.searches import AT, LINE, TREES, a_model, a_result, bowl, simulate
from tests.support.training_runs import world

MANY = 1_000_000
"""Rows that are enough for every rung."""


def sets_of(rounds: list[Round]) -> list[dict[str, object]]:
    return [dict(trial.parameters) for trial in rounds[-1].candidates["trees"].trials]


def test_the_first_trial_is_what_would_be_trained_without_a_search_and_on_all_rows_at_once() -> None:
    first, *others = simulate(a_model(), rows=MANY)[0].tasks
    assert (first.number, first.parameters, first.share) == (0, {}, 1.0)
    assert {task.share for task in others} == {1 / 16}
    assert len(others) == 7


def test_the_same_seed_asks_the_same_and_another_seed_something_else() -> None:
    one, two, other = (sets_of(simulate(a_model(seed=seed))) for seed in (1, 1, 2))
    assert one == two
    assert len(one) == 32
    assert one[1] != other[1]


def test_parameter_sets_lie_in_the_space_and_are_all_different() -> None:
    tried = sets_of(simulate(a_model()))[1:]
    assert all(0.02 <= float(str(found["learning_rate"])) <= 1.0 for found in tried)
    assert all(isinstance(found["max_leaf_nodes"], int) and 4 <= found["max_leaf_nodes"] <= 40 for found in tried)
    assert len({str(found) for found in tried}) == len(tried)


def test_the_best_on_all_rows_is_chosen_however_well_others_did_on_some() -> None:
    def answer(task: TrialTask) -> TrialResult:
        return a_result(task, 5.0 + task.number if task.share == 1 else 0.0)

    last = simulate(a_model(), answer, rows=MANY)[-1]
    assert last.candidates["trees"].best == 0


def test_where_more_is_better_the_largest_is_chosen() -> None:
    model = a_model(metric="r2")
    last = simulate(model, lambda task: a_result(task, 0.01 * task.number), rows=MANY)[-1]
    found = last.candidates["trees"]
    full = [trial.number for trial in found.trials if 2 in trial.values]
    assert found.best == max(full) > 0


def test_half_of_those_that_finish_a_rung_go_on_to_the_next_and_they_are_its_best() -> None:
    # With so many places, nobody loses patience.
    last = simulate(a_model(search={"trials": 65, "parallel": 16}), rows=MANY)[-1]
    trials = last.candidates["trees"].trials[1:]
    rungs = Counter(rung for trial in trials for rung in trial.values)
    assert rungs[0] == 64
    # Whoever went on early may have been overtaken by later ones since, so there may be a few more than half.
    assert 32 <= rungs[1] <= 45
    assert rungs[1] // 2 <= rungs[2] <= rungs[1] // 2 + 8
    first_half = sorted(trials, key=lambda trial: trial.values[0])[:32]
    assert all(1 in trial.values for trial in first_half)


def test_few_rows_are_not_divided_and_halving_can_be_left_out() -> None:
    search = a_model().search
    assert shares_of(search, 1000) == (1.0,)
    assert shares_of(search, 20_000) == (1 / 4, 1.0)
    assert shares_of(search, 80_000) == (1 / 16, 1 / 4, 1.0)
    assert shares_of(a_model(search={"halving": False}).search, MANY) == (1.0,)


def test_a_round_has_no_more_tasks_than_it_may_and_each_trial_once() -> None:
    for plan in simulate(a_model(search={"trials": 40, "parallel": 5}), rows=MANY):
        assert len(plan.tasks) <= 5
        assert len({task.number for task in plan.tasks}) == len(plan.tasks)


def test_candidates_share_the_places_of_a_round_and_each_has_all_its_trials() -> None:
    model = world(candidates=[LINE, TREES], search={"trials": 9, "parallel": 3}).model("fare")
    rounds = simulate(model)
    assert Counter(task.candidate for task in rounds[0].tasks) == {"line": 2, "trees": 1}
    assert Counter(task.candidate for task in rounds[1].tasks) == {"line": 1, "trees": 2}
    assert {name: len(found.trials) for name, found in rounds[-1].candidates.items()} == {"line": 9, "trees": 9}
    assert rounds[-1].reason == "all 9 parameter sets were tried (search.trials)"


def test_one_place_is_shared_by_turns() -> None:
    model = world(candidates=[LINE, TREES], search={"trials": 3, "parallel": 1}).model("fare")
    assert [task.candidate for plan in simulate(model) for task in plan.tasks] == ["line", "trees"] * 3


def test_a_space_that_is_used_up_ends_the_search() -> None:
    few = {**TREES, "space": {"max_leaf_nodes": {"choices": [4, 8, 31]}}}
    model = world(candidates=[few]).model("fare")

    def answer(task: TrialTask) -> TrialResult:
        found = a_result(task, float(task.number))
        # The default, 31 leaves, is one of the choices, so it is not tried twice.
        return found.model_copy(update={"defaults": {"max_leaf_nodes": 31}}) if task.number == 0 else found

    last = simulate(model.model_copy(update={"search": model.search.model_copy(update={"parallel": 1})}), answer)[-1]
    tried = [dict(trial.parameters) for trial in last.candidates["trees"].trials]
    assert sorted(tried, key=str) == [{"max_leaf_nodes": 4}, {"max_leaf_nodes": 8}, {}]
    assert last.reason == "the space has no other parameter set"


def test_a_sampler_that_learns_comes_nearer_than_chance() -> None:
    def best(method: str, seed: int) -> float:
        model = a_model(seed=seed, search={"trials": 40, "method": method})
        found = simulate(model)[-1].candidates["trees"]
        assert found.best is not None
        return found.trials[found.best].values[0] - 0.1

    seeds = range(5)
    assert sum(best("tpe", seed) for seed in seeds) < sum(best("random", seed) for seed in seeds) / 2


@pytest.mark.parametrize(
    ("limit", "seconds", "reason"),
    [
        ({"time": "10 minutes"}, 240.0, "the time was up: 720 of 600 seconds (search.time)"),
        # An hour of 2 processors and 8 GiB is 2 * 0.03238 + 8 * 0.00356 = 0.09324 dollars; 24 trials are 1.6 h.
        ({"cost": 0.13}, 240.0, "the money was spent: $0.1492 of $0.1300 (search.cost)"),
        # One minute is billed of a job of one second: 24 minutes.
        ({"cost": 0.03}, 1.0, "the money was spent: $0.0373 of $0.0300 (search.cost)"),
        ({}, 4000.0, "the time was up: 12,000 of 10,800 seconds (the longest for any search)"),
        ({"time": "5 hours"}, 4000.0, "the time was up: 12,000 of 10,800 seconds (the longest for any search)"),
    ],
)
def test_no_round_begins_when_a_budget_is_spent(limit: dict[str, object], seconds: float, reason: str) -> None:
    model = a_model(search={"trials": 1000, **limit})
    rounds = simulate(model, lambda task: at_round(task, seconds))
    assert (len(rounds), rounds[-1].reason) == (4, reason)
    assert rounds[-1].tasks == ()
    assert rounds[-1].candidates["trees"].best is not None


def at_round(task: TrialTask, seconds: float) -> TrialResult:
    """Return a result whose trial ended after all those of the rounds before it, of eight trials each."""
    ended = AT + timedelta(seconds=seconds * (task.number // 8 + 1))
    return bowl(task).model_copy(update={"seconds": seconds, "ended_at": ended})


def test_a_search_that_finds_nothing_better_gives_up() -> None:
    last = simulate(a_model(search={"trials": 1000, "parallel": 8}), lambda task: a_result(task, float(task.number)))[
        -1
    ]
    assert last.reason == "the last 47 parameter sets were none better"
    patient = simulate(a_model(search={"trials": 1000, "parallel": 1}), lambda t: a_result(t, float(t.number)))[-1]
    assert patient.reason == "the last 20 parameter sets were none better"


def test_there_is_an_end_to_rounds() -> None:
    model = a_model(search={"trials": 10_000})
    plan = simulate(model.model_copy(update={"search": model.search.model_copy(update={"trials": 1})}))[0]
    late = plan.model_copy(update={"number": MOST_ROUNDS})
    results = {place_of(task): bowl(task) for task in plan.tasks}
    assert next_round(model, late, results, JobSize()).reason == "there were 500 rounds, the most for any search"


def test_failed_and_lost_trials_are_tolerated_up_to_a_share() -> None:
    def answer(task: TrialTask) -> TrialResult | None:
        if task.number % 4 == 1:
            return a_result(task, None, error="max_leaf_nodes must not be odd")
        return None if task.number % 4 == 2 else bowl(task)

    last = simulate(a_model(), answer)[-1].candidates["trees"]
    assert [trial.error for trial in last.trials[:4]] == [None, "max_leaf_nodes must not be odd", LOST, None]
    assert last.best is not None
    assert last.trials[last.best].error is None


def test_too_many_failed_trials_fail_the_search_with_the_commonest_reason() -> None:
    def answer(task: TrialTask) -> TrialResult:
        if task.number % 4:
            return a_result(task, None, error="too odd" if task.number % 4 < 3 else "too even")
        return bowl(task)

    with pytest.raises(DefinitionError, match=r"6 of 8 trials .* 50% may .*the commonest reason, 4 times: too odd"):
        simulate(a_model(), answer)


def test_a_single_failure_at_the_start_is_not_yet_half_of_all() -> None:
    model = a_model(search={"parallel": 1, "trials": 10})
    last = simulate(model, lambda task: bowl(task) if task.number else a_result(task, None, error="no"))[-1]
    assert last.candidates["trees"].trials[0].error == "no"


def test_a_search_of_which_nothing_is_left_fails_whatever_may_fail() -> None:
    with pytest.raises(DefinitionError, match="ended without a result"):
        simulate(a_model(search={"max_failed": 1.0}), lambda _: None)


def test_a_value_that_is_worse_than_any_number_does_not_win() -> None:
    last = simulate(a_model(), lambda task: a_result(task, 1e300 if task.number else 1.0))[-1]
    assert last.candidates["trees"].best == 0
    assert math.isfinite(last.seconds)
