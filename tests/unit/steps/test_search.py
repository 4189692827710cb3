"""The steps ``search`` and ``trial``, and ``train`` behind them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from perennial import keys
from perennial.errors import ConflictError, DataError, DefinitionError
from perennial.fakes import FakeObjectStore
from perennial.ports import Ports
from perennial.records import Round, TrialResult
from perennial.steps import search, train
from perennial.training.report import CandidateReport
from perennial.training.rows import Rows
from perennial.training.search.folds import folds
from perennial.training.search.rounds import LOST
from tests.support.interruptions import Fuse, Killed, mortal
from tests.support.searches import LINE, TREES, plan, search_all, searching, try_one
from tests.support.training_runs import BEGIN, SPLIT_AT, trips, world
from tests.support.world import survives_kills


def found(ports: Ports, searched: search.Searched) -> dict[str, list[tuple[Any, ...]]]:
    """Return all that a search found, by candidate."""
    last = Round.model_validate_json(ports.artifacts.get(keys.search_round("fare", "run-1", searched.round)))
    return {
        name: [(t.parameters, t.values, t.folds, t.error) for t in found.trials]
        for name, found in last.candidates.items()
    }


def chosen(ports: Ports) -> dict[str, dict[str, Any]]:
    """Return what the run's record says of each candidate."""
    output = ports.catalog.step("run-1", "search").output
    return dict(output["candidates"])


@pytest.fixture(scope="module")
def clean() -> tuple[search.Searched, Ports]:
    """Return a search that nothing disturbed."""
    ports = searching()
    return search_all(ports), ports


def test_each_candidate_s_best_is_in_the_run_s_record(clean: tuple[search.Searched, Ports]) -> None:
    searched, ports = clean
    assert (searched.done, searched.trials) == (True, 0)
    assert searched.reason == "all 6 parameter sets were tried (search.trials)"
    for name, candidate in chosen(ports).items():
        trials = found(ports, searched)[name]
        values = [values[0] for _, values, _, _ in trials]
        assert len(values) == candidate["trials"] == 6
        assert candidate["value"] == min(values) <= candidate["default"] == values[0]
        assert candidate["parameters"] == trials[int(np.argmin(values))][0]
    assert chosen(ports)["trees"]["number"] > 0, "the space holds better parameters than the defaults"


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_in_which_results_arrive_and_kills_at_any_point_change_nothing(
    clean: tuple[search.Searched, Ports], seed: int
) -> None:
    rng = random.Random(seed)
    ports = searching()

    def shuffled(count: int) -> Sequence[int]:
        return rng.sample(range(count), count)

    def killed_now_and_then(ports: Ports, planned: search.Searched, index: int) -> None:
        while True:
            try:
                try_one(mortal(ports, Fuse(rng.randrange(12), after=rng.random() < 0.5)), planned, index)
            except Killed:
                continue
            return

    searched = search_all(ports, shuffled, killed_now_and_then)
    assert found(ports, searched) == found(clean[1], clean[0])
    assert chosen(ports) == chosen(clean[1])


def test_a_plan_survives_kills_at_any_point() -> None:
    def tried() -> Ports:
        ports = searching(TREES)
        planned = plan(ports)
        for index in range(planned.trials):
            try_one(ports, planned, index)
        return ports

    first = plan(searching(TREES))
    assert survives_kills(lambda: searching(TREES), plan) > 3
    assert survives_kills(tried, lambda ports: plan(ports, first)) > 3


def test_a_trial_survives_kills_at_any_point() -> None:
    planned = plan(searching(TREES))

    def ready() -> Ports:
        ports = searching(TREES)
        plan(ports)
        return ports

    assert survives_kills(ready, lambda ports: try_one(ports, planned, 1), before=False) > 3


def test_a_killed_trial_goes_on_behind_its_last_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    from perennial.steps import trial

    judged = []
    judge = trial.judge
    monkeypatch.setattr(trial, "judge", lambda *given: judged.append(given) or judge(*given))
    ports = searching(TREES)
    planned = plan(ports)

    class Deaf(FakeObjectStore):
        """Dies when the result of a whole trial is written, which comes after its folds."""

        def put(self, key: str, content: bytes, content_type: str = "") -> None:
            if key.endswith("00000-0.json"):
                raise Killed
            ports.artifacts.put(key, content, content_type)

        def get(self, key: str) -> bytes:
            return ports.artifacts.get(key)

        def download(self, key: str, path: Any, version: str | None = None) -> None:
            ports.artifacts.download(key, path)

    with pytest.raises(Killed):
        try_one(replace(ports, artifacts=Deaf()), planned, 0)
    assert len(judged) == 2
    try_one(ports, planned, 0)
    assert len(judged) == 2


def test_the_held_out_rows_are_never_read() -> None:
    ports = searching()
    output = ports.catalog.step("run-1", "training_set").output
    ports.artifacts.put(output["holdout_key"], b"whoever reads this is caught")

    class Guarded:
        def __getattr__(self, name: str) -> Any:
            def call(*given: Any, **options: Any) -> Any:
                assert output["holdout_key"] not in given
                return getattr(ports.artifacts, name)(*given, **options)

            return call

    assert search_all(replace(ports, artifacts=Guarded())).done


def test_no_fold_learns_from_what_comes_after_it_nor_reaches_the_held_out_rows() -> None:
    columns = trips()
    rows = Rows(columns["event_time"], columns["trip__zone"].reshape(-1, 1), columns["target"])
    early = rows.before(SPLIT_AT)
    # 300 hours before the split: three stretches of four days, and 12 hours before them.
    cut = folds(early, SPLIT_AT, timedelta(days=4), 4, None, "regression")
    assert [(len(fold.learning), len(fold.judging)) for fold in cut] == [(204, 96), (108, 96), (12, 96)]
    for fold in cut:
        assert fold.learning.event_time.max() < fold.judging.event_time.min()
        assert fold.judging.event_time.max() < np.datetime64(SPLIT_AT)
    (short, *_) = folds(early, SPLIT_AT, timedelta(days=4), 1, timedelta(hours=10), "regression")
    assert len(short.learning) == 10
    with pytest.raises(DataError, match="no backtest has rows"):
        folds(early, SPLIT_AT, timedelta(days=20), 2, None, "regression")
    assert datetime(2019, 1, 1) == BEGIN


def test_a_trial_s_value_is_the_mean_of_what_its_folds_give(clean: tuple[search.Searched, Ports]) -> None:
    for parameters, values, parts, _ in found(clean[1], clean[0])["line"]:
        assert len(parts) == 2
        assert values[0] == pytest.approx(sum(parts) / 2), parameters


def test_parameters_that_the_estimator_refuses_are_failed_trials_with_the_reason() -> None:
    odd = {**LINE, "space": {"alpha": {"low": -1000, "high": 10, "real": True}}}
    ports = searching(odd, max_failed=0.9)
    search_all(ports)
    errors = [error for *_, error in found(ports, search_all(ports))["line"] if error]
    assert errors
    assert all("alpha" in error for error in errors)
    assert chosen(ports)["line"]["failed"] == len(errors)

    ports = searching(odd, max_failed=0.1)
    with pytest.raises(DefinitionError, match=r"max_failed.*the commonest reason, \d times: .*alpha"):
        search_all(ports)
    step = ports.catalog.step("run-1", "search")
    assert step.status == "failed"
    assert "alpha" in str(step.error)


def test_a_trial_whose_job_died_for_good_is_a_failed_one() -> None:
    ports = searching(TREES)
    planned = plan(ports)
    for index in (0, 2):
        try_one(ports, planned, index)
    planned = plan(ports, planned)
    assert found(ports, planned)["trees"][1][3] == LOST


def test_too_short_a_history_of_data_fails_the_search_with_the_mend() -> None:
    ports = searching(LINE, hours=310, folds=1)
    ports = replace(ports, definitions=world(candidates=[LINE], split={"holdout": "300 days"}, search={"trials": 4}))
    run = ports.catalog.run("run-1")
    ports.catalog._runs["run-1"] = run.model_copy(  # type: ignore[attr-defined]
        update={"definition_hash": ports.definitions.fingerprint("fare")}
    )
    with pytest.raises(DefinitionError, match=r"shorten split\.holdout"):
        search_all(ports)


def test_a_training_set_that_was_changed_stops_the_trial_and_is_no_result() -> None:
    ports = searching(TREES)
    planned = plan(ports)
    output = ports.catalog.step("run-1", "training_set").output
    ports.artifacts.put(output["train_key"], b"something else")
    with pytest.raises(DataError, match="SHA-256"):
        try_one(ports, planned, 0)
    assert not ports.artifacts.exists(keys.trial("fare", "run-1", "trees", 0, 0))


def test_a_plan_that_was_changed_or_has_no_such_task_is_refused() -> None:
    ports = searching(TREES)
    planned = plan(ports)
    with pytest.raises(DataError, match="3 trials, and none with index 3"):
        try_one(ports, planned, 3)
    ports.artifacts.put(keys.search_round("fare", "run-1", 1), b"{}")
    with pytest.raises(DataError, match="SHA-256"):
        try_one(ports, planned, 0)
    with pytest.raises(DataError, match="SHA-256"):
        plan(ports, planned)


def test_a_definition_that_was_changed_meanwhile_stops_both_steps() -> None:
    ports = searching(TREES)
    planned = plan(ports)
    other = replace(ports, definitions=world(candidates=[LINE]))
    with pytest.raises(ConflictError):
        try_one(other, planned, 0)
    with pytest.raises(ConflictError):
        plan(other, planned)


def test_what_is_trained_has_the_chosen_parameters(clean: tuple[search.Searched, Ports]) -> None:
    _, ports = clean
    train.run(train.Request(run_id="run-1", model="fare", candidate="trees"), ports)
    content = ports.artifacts.get(keys.candidate("fare", "run-1", "trees", "candidate.json"))
    learnt = CandidateReport.model_validate_json(content).parameters
    best = chosen(ports)["trees"]["parameters"]
    assert set(best) == {"learning_rate", "max_leaf_nodes"}
    assert {**best, "max_iter": 8}.items() <= learnt.items()


def test_a_candidate_is_not_trained_before_its_search_is_over() -> None:
    ports = searching(TREES)
    with pytest.raises(DataError, match="the search for candidate 'trees' is not over"):
        train.run(train.Request(run_id="run-1", model="fare", candidate="trees"), ports)
    plan(ports)
    with pytest.raises(DataError, match="the search for candidate 'trees' is not over"):
        train.run(train.Request(run_id="run-1", model="fare", candidate="trees"), ports)


def test_a_share_of_the_rows_is_learnt_from_on_the_lower_rungs(monkeypatch: pytest.MonkeyPatch) -> None:
    from perennial.training.search import folds as module
    from perennial.training.search import ladder

    for place in (module, ladder):
        monkeypatch.setattr(place, "LEAST_ROWS", 15)
    ports = searching(TREES, folds=1, trials=4, parallel=4)
    planned = plan(ports)
    for index in range(4):
        try_one(ports, planned, index)
    rows = [
        ports.artifacts.get(keys.trial("fare", "run-1", "trees", number, rung, 0)) for number, rung in ((0, 2), (1, 0))
    ]
    # Of the 204 rows before the stretch all, and a sixteenth, but 15 at least.
    assert b'"rows":204' in rows[0]
    assert b'"rows":15' in rows[1]


def test_results_are_plain_json(clean: tuple[search.Searched, Ports]) -> None:
    content = clean[1].artifacts.get(keys.trial("fare", "run-1", "trees", 0, 0))
    result = TrialResult.model_validate_json(content)
    # scikit-learn 1.9 documents these defaults of HistGradientBoostingRegressor.
    assert result.defaults == {"learning_rate": 0.1, "max_leaf_nodes": 31}
