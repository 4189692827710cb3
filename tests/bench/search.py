"""Our search against scikit-learn's and Optuna's own, each as long as the others: ``tests/bench/search.py 100000``.

All choose parameters of the same boosted trees, on the same rows, by the same later stretch of time, in as many
processes. scikit-learn's halving search is not told how long it may take, so it goes first and its time is the others'
budget. What is chosen learns all rows but the latest, and is measured on these.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import optuna
from joblib import Parallel, delayed
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingRandomSearchCV, PredefinedSplit
from threadpoolctl import threadpool_limits

from perennial.definitions import Model
from perennial.prices import JobSize
from perennial.records import TrialResult
from perennial.training.candidates import fit, predict
from perennial.training.evaluation import metrics
from perennial.training.problem import Problem
from perennial.training.rows import Rows
from perennial.training.search.folds import Fold, folds, judge
from perennial.training.search.rounds import first_round, next_round, place_of

BEGIN, DAYS = datetime(2019, 1, 1), 100
SPLIT_AT, STRETCH = BEGIN + timedelta(days=DAYS - 10), timedelta(days=10)
SPACE: dict[str, dict[str, Any]] = {
    "learning_rate": {"low": 0.01, "high": 0.5, "log": True},
    "max_iter": {"low": 20, "high": 300, "log": True},
    "max_leaf_nodes": {"low": 4, "high": 128, "log": True},
    "min_samples_leaf": {"low": 5, "high": 200, "log": True},
    "l2_regularization": {"low": 1e-3, "high": 100, "log": True},
}
Parameters = dict[str, Any]


def a_model(seconds: float, seed: int, parallel: int, **search: Any) -> Model:
    """Return the definition of what is searched."""
    return Model.model_validate(
        {
            "name": "bench",
            "dataset": "bench",
            "target": "y",
            "features": {"view": ["x"]},
            "split": {"holdout": f"{STRETCH.days} days"},
            "metric": "rmse",
            "seed": seed,
            "candidates": [{"name": "trees", "algorithm": "hist_gradient_boosting", "space": SPACE}],
            "search": {
                "trials": 10_000, "parallel": parallel, "folds": 1, "time": f"{max(1, round(seconds))} seconds",
                **search,
            },
        }
    )  # fmt: skip


def generated(rows: int, seed: int = 0) -> Rows:
    """Return made-up rows of 20 features, half of which say something about the target, and much noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 20))
    signal = np.sin(2 * x[:, 0]) * x[:, 1] + np.where(x[:, 2] > 0, x[:, 3], -x[:, 4]) + np.abs(x[:, 5] * x[:, 6])
    signal += 0.5 * x[:, 7] + np.cos(x[:, 8] * x[:, 9])
    times = np.datetime64(BEGIN, "us") + np.arange(rows) * (np.timedelta64(DAYS * 86_400_000_000, "us") // rows)
    return Rows(times, x, signal + rng.normal(size=rows))


def ours(model: Model, fold: Fold, rows: int, processes: int) -> Parameters:
    """Return what our search chooses: the same plans as in AWS, with processes in the place of jobs."""
    plan = first_round(model, rows, datetime.now(UTC))
    (candidate,) = model.candidates
    with Parallel(n_jobs=processes) as parallel:
        while plan.tasks:
            variants = [candidate.model_copy(update={"parameters": task.parameters}) for task in plan.tasks]
            found = parallel(
                delayed(timed)(model, variant, fold, task.share)
                for variant, task in zip(variants, plan.tasks, strict=True)
            )
            results = {place_of(task): result for task, result in zip(plan.tasks, found, strict=True)}
            plan = next_round(model, plan, results, JobSize())
    found_of = plan.candidates["trees"]
    print(f"  {plan.number - 1} rounds, {len(found_of.trials)} parameter sets: {plan.reason}")
    assert found_of.best is not None
    return dict(found_of.trials[found_of.best].parameters)


def timed(model: Model, candidate: Any, fold: Fold, share: float) -> TrialResult:
    """Do what the step ``trial`` does, without its files."""
    start = time.perf_counter()
    judged = judge(model, candidate, Problem(model.task), fold, share)
    return TrialResult(
        value=judged.value,
        seconds=time.perf_counter() - start,
        ended_at=datetime.now(UTC),
        defaults=judged.defaults,
    )


def halving_of_scikit_learn(estimator: Any, fold: Fold, processes: int, seed: int, candidates: int) -> Parameters:
    """Return what HalvingRandomSearchCV chooses."""
    from scipy.stats import loguniform

    class Whole:
        """Whole numbers, even in the logarithm."""

        def __init__(self, low: float, high: float) -> None:
            self.drawn = loguniform(low, high)

        def rvs(self, random_state: Any = None) -> int:
            return round(self.drawn.rvs(random_state=random_state))

    chosen = {
        name: (loguniform if isinstance(space["low"], float) else Whole)(space["low"], space["high"])
        for name, space in SPACE.items()
    }
    x = np.vstack([fold.learning.features, fold.judging.features])
    y = np.concatenate([fold.learning.target, fold.judging.target])
    place = np.r_[np.full(len(fold.learning), -1), np.zeros(len(fold.judging))]
    search = HalvingRandomSearchCV(
        estimator, chosen, n_candidates=candidates, factor=3, min_resources=max(len(x) // 27, 50),
        scoring="neg_root_mean_squared_error", cv=PredefinedSplit(place), refit=False, n_jobs=processes,
        random_state=seed,
    )  # fmt: skip
    # In one process the trees would be grown by threads, which on few rows wait for one another (see `fit`).
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        warnings.simplefilter("ignore")
        search.fit(x, y)
    return {name: value.item() if hasattr(value, "item") else value for name, value in search.best_params_.items()}


def plain_optuna(model: Model, fold: Fold, processes: int, seconds: float, shares: tuple[float, ...]) -> Parameters:
    """Return what Optuna chooses by itself: TPE and its own successive halving, in threads."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    (candidate,) = model.candidates

    def objective(trial: optuna.Trial) -> float:
        parameters = {
            name: (trial.suggest_float if isinstance(space["low"], float) else trial.suggest_int)(name, **space)
            for name, space in SPACE.items()
        }
        value = np.inf
        for rung, share in enumerate(shares):
            value = judge(
                model, candidate.model_copy(update={"parameters": parameters}), Problem(model.task), fold, share
            ).value
            trial.report(value, rung + 1)
            if share < 1 and trial.should_prune():
                raise optuna.TrialPruned
        return value

    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=model.seed), pruner=pruner)
    study.optimize(objective, timeout=seconds, n_jobs=processes)
    print(f"  {len(study.trials)} parameter sets")
    return dict(study.best_params)


def measured(model: Model, rows: Rows, parameters: Parameters) -> float:
    """Return the error on the latest rows of what learnt all others with these parameters."""
    late = rows.since(SPLIT_AT)
    early = rows.before(SPLIT_AT)
    (candidate,) = model.candidates
    estimator = fit(candidate.model_copy(update={"parameters": parameters}), early, model.seed)
    return metrics(late.target, predict(estimator, late.features), model.task)["rmse"]


def main(rows: int, processes: int, seeds: int, candidates: int, seconds: float) -> None:
    """Print a line for each contender and seed."""
    data = generated(rows)
    early = data.before(SPLIT_AT)
    (fold,) = folds(early, SPLIT_AT, STRETCH, 1, None, "regression")
    default = measured(a_model(1, 0, 8), data, {})
    print(f"{rows:,} rows × 20 features, {processes} processes; noise alone is an error of 1")
    print(f"  {'defaults':<22} error {default:.4f}")
    estimator = fit(a_model(1, 0, 8).candidates[0], early.select(np.arange(min(1000, len(early)))), 0).estimator
    totals: dict[str, list[float]] = {}
    for seed in range(seeds):
        budget = seconds
        for name in ("scikit-learn halving", "random, all rows", "Optuna TPE + halving", "ours"):
            model = a_model(budget, seed, parallel=4 * processes)
            chance = a_model(budget, seed, parallel=4 * processes, method="random", halving=False)
            shares = first_round(model, len(early), datetime.now(UTC)).shares
            contenders: dict[str, Callable[[], Parameters]] = {
                "scikit-learn halving": lambda s=seed: halving_of_scikit_learn(
                    estimator, fold, processes, s, candidates
                ),
                "random, all rows": lambda m=chance: ours(m, fold, len(early), processes),
                "Optuna TPE + halving": lambda m=model, b=budget, s=shares: plain_optuna(m, fold, processes, b, s),
                "ours": lambda m=model: ours(m, fold, len(early), processes),
            }
            start = time.perf_counter()
            parameters = contenders[name]()
            took = time.perf_counter() - start
            budget = budget or took
            error = measured(model, data, parameters)
            totals.setdefault(name, []).append(error)
            print(f"  {name:<22} error {error:.4f}   {took:6.1f} s   seed {seed}")
    for name, errors in totals.items():
        # Of what can be explained beyond the defaults: the error of the noise itself is 1.
        gained = [(default - error) / (default - 1) for error in errors]
        print(f"  {name:<22} takes away {np.mean(gained):.1%} of the defaults' error above the noise")
    ours_gain, theirs = (float(default - np.mean(totals[name])) for name in ("ours", "scikit-learn halving"))
    if theirs > 0:
        print(f"  ours gains {ours_gain / theirs:.2f}× what scikit-learn's halving gains")
    else:
        print(f"  ours gains {ours_gain:.4f} on the defaults; scikit-learn's halving gains nothing ({theirs:.4f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=int, nargs="?", default=100_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--candidates", type=int, default=32, help="of scikit-learn's halving search")
    parser.add_argument("--seconds", type=float, default=0.0, help="of each other one, instead of what that took")
    given = parser.parse_args()
    main(given.rows, given.processes, given.seeds, given.candidates, given.seconds)
