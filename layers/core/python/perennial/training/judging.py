"""Judging candidates, the champion and the baseline on the same held-out rows; no IO."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from perennial.definitions import Model
from perennial.records import TrainingSet, Verdict
from perennial.training.baseline import Baseline, Known, best_baseline
from perennial.training.bootstrap import Resamples, improvement, interval, resamples
from perennial.training.calibration import fit_of
from perennial.training.evaluation import best, metrics
from perennial.training.evaluation_report import EvaluationReport, Judged
from perennial.training.gate import Evidence, Opponent, judge
from perennial.training.importance import MOST_ROWS, permutation_importance
from perennial.training.latency import milliseconds
from perennial.training.report import CandidateReport
from perennial.training.resampled import intervals, resampled
from perennial.training.rows import Rows
from perennial.training.slices import slice_figures

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Contender:
    """A trained candidate: what training said of it, and what the file that would serve says of the held-out rows."""

    report: CandidateReport
    score: Callable[[Matrix], Matrix]
    size: int
    """Bytes of the ONNX file."""
    prediction: Matrix


@dataclass(frozen=True)
class Case:
    """What candidates are judged on, and by."""

    model: Model
    run_id: str
    training_set: TrainingSet
    holdout: Rows
    slices: Mapping[str, npt.NDArray[np.object_]]
    """Name to the texts of the held-out rows (`slices.read_slices`)."""
    known: Known
    rejected: tuple[int, int] | None
    report_key: str

    @cached_property
    def draws(self) -> Resamples:
        """The resamples that all figures share."""
        return resamples(self.holdout.event_time, self.model.seed)

    @cached_property
    def baseline(self) -> Baseline:
        """The best guess without a model."""
        return best_baseline(self.known, self.holdout, self.model.task, self.model.metric)

    def judged(self, name: str, kind: str, prediction: Matrix, figures: dict[str, float]) -> Judged:
        """Return figures with their intervals."""
        found = intervals(figures, self.holdout.target, prediction, self.model.task, self.draws)
        return Judged(name=name, kind=kind, metrics=figures, intervals=found)

    def improvements(self, ours: Matrix, theirs: Matrix) -> Matrix:
        """Return the improvement of the model's metric on each resample."""
        model = self.model
        ours, theirs = (
            resampled(model.metric, self.holdout.target, prediction, model.task, self.draws)
            for prediction in (ours, theirs)
        )
        return improvement(ours, theirs, more_is_better=model.more_is_better)


def judge_candidates(
    case: Case, contenders: Sequence[Contender], champion: Opponent | None, champion_prediction: Matrix | None
) -> EvaluationReport:
    """Choose the best candidate by the model's metric, and rate it by the gate.

    Parameters
    ----------
    contenders : sequence of Contender
        In the order of the definition.
    champion, champion_prediction
        What serves, and what it says of the held-out rows; no prediction if it cannot be compared.
    """
    model, target = case.model, case.holdout.target
    named = {each.report.candidate: each for each in contenders}
    figures = {name: metrics(target, each.prediction, model.task) for name, each in named.items()}
    name = best(figures, model.metric)
    chosen, finite = named[name], "not_finite" not in figures[name]
    theirs = champion.metrics if champion and champion_prediction is not None else None
    comparable = finite and theirs is not None and theirs.get(model.metric) is not None
    gains = np.empty(0)
    if comparable and champion_prediction is not None:
        gains = case.improvements(chosen.prediction, champion_prediction)
    slices = slice_figures(
        case.slices, target, chosen.prediction, champion_prediction,
        task=model.task, metric=model.metric, draws=case.draws,
    )  # fmt: skip
    judged = [case.judged(key, "candidate", named[key].prediction, figures[key]) for key in _ranked(figures, name)]
    if champion is not None and champion_prediction is not None and theirs is not None:
        who = f"champion version {champion.version}"
        judged.append(case.judged(who, "champion", champion_prediction, theirs))
    guess = case.baseline
    judged.append(case.judged(guess.name, "baseline", guess.prediction, guess.metrics))
    took = milliseconds(chosen.score, case.holdout.features)
    evidence = Evidence(
        rows=len(target), baseline=guess.name, baseline_metrics=guess.metrics, improvements=gains, slices=slices,
        size=chosen.size, milliseconds=took, rejected=case.rejected,
    )  # fmt: skip
    ratings = judge(model.gate, model.metric, figures[name], chosen.report.parity_error, champion, evidence)
    gain = None
    if comparable and theirs is not None and theirs[model.metric] != 0:
        more = model.more_is_better
        gain = float(improvement(figures[name][model.metric], theirs[model.metric], more_is_better=more))
    verdict = Verdict(
        candidate=name,
        passed=all(rating.passed for rating in ratings),
        ratings=ratings,
        metrics=figures[name],
        champion_version=champion.version if champion else None,
        champion_metrics=champion.metrics if champion else None,
        candidates=figures,
        report_key=case.report_key,
        intervals=judged[0].intervals,
        improvement=gain,
        improvement_interval=interval(gains) if gain is not None else None,
        baseline=guess.name,
        baseline_metrics=guess.metrics,
    )
    return _report(case, contenders, chosen, verdict, judged, evidence)


def _report(
    case: Case,
    contenders: Sequence[Contender],
    chosen: Contender,
    verdict: Verdict,
    judged: Sequence[Judged],
    evidence: Evidence,
) -> EvaluationReport:
    model, training_set, holdout = case.model, case.training_set, case.holdout
    finite = "not_finite" not in verdict.metrics
    return EvaluationReport(
        model=model.name,
        description=model.description,
        run_id=case.run_id,
        task=model.task,
        target=model.target,
        metric=model.metric,
        dataset=model.dataset,
        classes=_classes(case),
        training_set_id=training_set.training_set_id,
        split_at=training_set.split_at,
        rows_train=training_set.rows_train,
        rows_holdout=training_set.rows_holdout,
        earliest=case.known.earliest,
        latest=holdout.event_time.max().astype("datetime64[us]").item(),
        judged=tuple(judged),
        parity_errors={each.report.candidate: each.report.parity_error for each in contenders},
        fit=fit_of(holdout.target, chosen.prediction, model.task) if finite else None,
        slices=tuple(evidence.slices),
        importance=permutation_importance(
            chosen.score, holdout.features, holdout.target, training_set.features,
            task=model.task, metric=model.metric, seed=model.seed,
        ) if finite else (),
        importance_rows=min(len(holdout), MOST_ROWS),
        backtests={each.report.candidate: each.report.backtests for each in contenders if each.report.backtests},
        windows={each.report.candidate: each.report.windows for each in contenders if each.report.windows},
        size=evidence.size,
        milliseconds=evidence.milliseconds,
        request=training_set.request and training_set.request.model_copy(update={"program": None}),
        rejected=evidence.rejected,
        verdict=verdict,
    )  # fmt: skip


def _classes(case: Case) -> tuple[str, ...]:
    if case.model.task == "regression":
        return ()
    return case.training_set.classes or ("false", "true")


def _ranked(figures: Mapping[str, dict[str, float]], first: str) -> list[str]:
    return [first, *(name for name in figures if name != first)]
