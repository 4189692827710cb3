"""The model card of a version (M. Mitchell et al., *Model Cards for Model Reporting*, 2019): JSON and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from perennial.definitions import Model, Task
from perennial.manifest import Manifest
from perennial.records import Record, TrainingSet, Verdict
from perennial.reporting.blocks import Block, Cell, Code, KeyFigure, KeyFigures, Note, Paragraph, Section, Table
from perennial.reporting.words import alike, count, listing, number, several, share
from perennial.training.evaluation_page import backtest_blocks, gate_table, metric_table, window_table
from perennial.training.evaluation_report import EvaluationReport, Judged
from perennial.training.figures_in_words import (
    METRIC_MEANINGS,
    METRIC_NAMES,
    against_champion,
    ends,
    guess_name,
    metric_heading,
    outcome,
    predicted,
)
from perennial.training.importance import Importance
from perennial.training.report import Backtest, CandidateReport, WindowTrial
from perennial.training.slice_plots import slice_blocks
from perennial.training.slices import SliceFigures
from perennial.utc import naive_utc

UNSAID = "Nobody has said so far: write {key} in the definition of the model."


class Data(Record):
    """What a version learnt from, and was judged on."""

    dataset: str
    filter: str
    """SQL condition of the rows that count."""
    snapshots: int
    rows_train: int
    rows_learnt: int
    """Of these, the candidate's: its history may be shorter."""
    rows_holdout: int
    rows_without_target: int
    earliest: datetime | None
    split_at: datetime
    """Event time from which rows were held out."""
    latest: datetime | None
    rejected: tuple[int, int] | None
    """Quarantined rows and all rows of the uploads."""


class Lineage(Record):
    """Where a version comes from."""

    run_id: str
    training_set_id: str
    definition_hash: str
    code_version: str
    onnx_sha256: str
    libraries: dict[str, str]


class ModelCard(Record):
    """What people should know of a version (``card.json`` beside its manifest); the same run gives the same bytes."""

    format: int = 1
    model: str
    version: int
    description: str
    intended_use: str
    limitations: str
    task: Task
    target: str
    """SQL expression of what is predicted."""
    classes: tuple[str, ...]
    features: tuple[str, ...]
    algorithm: str
    candidate: str
    parameters: dict[str, Any]
    seed: int
    created_at: datetime
    """When the run began."""
    data: Data
    metric: str
    judged: tuple[Judged, ...]
    """This version, what served, and the baseline, on the same held-out rows."""
    slices: tuple[SliceFigures, ...]
    importance: tuple[Importance, ...]
    backtests: tuple[Backtest, ...]
    windows: tuple[WindowTrial, ...] = ()
    """How it was chosen how far back it learnt, if the candidate has several windows."""
    verdict: Verdict
    monitoring: dict[str, float | str] = Field(default_factory=dict)
    """Thresholds beyond which it counts as drifting."""
    lineage: Lineage


def model_card(
    model: Model, manifest: Manifest, report: CandidateReport, training_set: TrainingSet, evaluation: EvaluationReport
) -> ModelCard:
    """Put a version's card together, of what was recorded alone."""
    chosen = evaluation.verdict.candidate
    return ModelCard(
        model=model.name,
        version=manifest.version,
        description=model.description,
        intended_use=model.intended_use,
        limitations=model.limitations,
        task=model.task,
        target=model.target,
        classes=evaluation.classes,
        features=manifest.features,
        algorithm=manifest.algorithm,
        candidate=manifest.candidate,
        parameters=manifest.parameters,
        seed=manifest.seed,
        created_at=manifest.created_at,
        data=Data(
            dataset=model.dataset,
            filter=model.filter,
            snapshots=len(training_set.snapshots),
            rows_train=training_set.rows_train,
            rows_learnt=report.rows,
            rows_holdout=training_set.rows_holdout,
            rows_without_target=training_set.rows_without_target,
            earliest=evaluation.earliest,
            split_at=training_set.split_at,
            latest=evaluation.latest,
            rejected=evaluation.rejected,
        ),
        metric=model.metric,
        judged=tuple(each for each in evaluation.judged if each.kind != "candidate" or each.name == chosen),
        slices=evaluation.slices,
        importance=evaluation.importance,
        backtests=report.backtests,
        windows=report.windows,
        verdict=evaluation.verdict,
        monitoring={
            key: value if isinstance(value, (int, float)) else str(value)
            for key, value in {**dict(model.monitor), "window_rows": model.monitor.rows}.items()
            if value is not None
        },
        lineage=Lineage(
            run_id=manifest.run_id,
            training_set_id=manifest.training_set_id,
            definition_hash=manifest.definition_hash,
            code_version=manifest.code_version,
            onnx_sha256=report.onnx_sha256,
            libraries=manifest.libraries,
        ),
    )


def card_title(card: ModelCard) -> str:
    """Return the page's heading."""
    return f"{card.model}, version {card.version}: model card"


def card_sections(card: ModelCard) -> list[Section]:
    """Return the sections of the page."""
    found = [
        Section("", [_verdict(card), _figures(card)]),
        Section("What it is for", _use(card)),
        Section("What it learnt from", [_data(card)]),
        Section("How good it is", _quality(card)),
    ]
    if card.backtests:
        held_out = card.data.split_at, {card.candidate: card.verdict.metrics}
        blocks = backtest_blocks({card.candidate: card.backtests}, card.metric, held_out)
        found.append(Section("How it would have done before", blocks))
    if card.windows:
        found.append(Section("How far back it learns", [window_table({card.candidate: card.windows}, card.metric)]))
    if card.slices:
        found.append(Section("Parts of the rows", slice_blocks(card.slices, card.metric)))
    found += [
        Section("The gate", [gate_table(card.verdict, card.metric)]),
        Section("How it works", [_algorithm(card), _features(card)]),
        Section("When it counts as drifting", [_monitoring(card)]),
        Section("Where it comes from", [_lineage(card)]),
    ]
    return found


def _verdict(card: ModelCard) -> Note:
    said = against_champion(card.verdict, card.metric, f"Version {card.version} of {card.model}")
    return Note(
        f"When it was made: {said}. {outcome(card.verdict, card.metric)}", "good" if card.verdict.passed else "bad"
    )


def _figures(card: ModelCard) -> KeyFigures:
    verdict, metric = card.verdict, card.metric
    value, theirs = verdict.metrics.get(metric), verdict.baseline_metrics.get(metric)
    likely = ends(verdict.intervals.get(metric))
    figures = [
        KeyFigure(
            metric_heading(metric),
            "unknown" if value is None else number(value, 3),
            f"likely {likely}" if likely else "",
        ),
        KeyFigure("Learnt from", several(card.data.rows_learnt, "row")),
        KeyFigure("Judged on", several(card.data.rows_holdout, "row"), "later ones than it learnt from"),
        KeyFigure("Made", card.created_at.date().isoformat()),
    ]
    if theirs is not None:
        figures.insert(1, KeyFigure("A guess without a model", number(theirs, 3), guess_name(verdict.baseline)))
    return KeyFigures(figures)


def _use(card: ModelCard) -> list[Block]:
    about = f"{card.description}. " if card.description else ""
    rows: list[list[Cell]] = [
        ["What it predicts", f"{about}It gives {predicted(card.task)}."],
        ["Intended use", card.intended_use or UNSAID.format(key="intended_use")],
        ["Limitations", card.limitations or UNSAID.format(key="limitations")],
    ]
    if card.classes:
        rows.insert(1, ["Classes", listing(list(card.classes), 20)])
    return [Table("As the definition of the model says it", ["What", "Which"], rows)]


def _data(card: ModelCard) -> Table:
    data = card.data
    read = "" if data.rows_learnt == data.rows_train else f", of which this candidate reads {count(data.rows_learnt)}"
    rows = [
        ("Dataset", data.dataset),
        ("Target", card.target),
        ("Rows that count", data.filter if data.filter != "true" else "all"),
        ("Snapshots", count(data.snapshots)),
        ("Rows to learn from", f"{count(data.rows_train)}{read}"),
        ("Rows held out to judge", count(data.rows_holdout)),
        ("Rows left out, as their target is unknown", count(data.rows_without_target)),
        ("Learnt from rows since", "unknown" if data.earliest is None else _moment(data.earliest)),
        ("Held out from", _moment(data.split_at)),
        ("Until", "unknown" if data.latest is None else _moment(data.latest)),
    ]
    if data.rejected is not None:
        bad, total = data.rejected
        rows.append(("Quarantined rows of the uploads", f"{count(bad)} of {count(total)} ({share(bad, total)})"))
    return Table("The data, all times in UTC", ["What", "Which"], [list(row) for row in rows])


def _quality(card: ModelCard) -> list[Block]:
    meaning = METRIC_MEANINGS[card.metric]
    words = (
        f"It is judged by its {METRIC_NAMES[card.metric]}. {meaning} Ranges hold the value with about 95 % probability."
    )
    return [Paragraph(words), metric_table(card.judged, "This version")]


def _algorithm(card: ModelCard) -> Table:
    rows: list[list[Cell]] = [["Algorithm", card.algorithm], ["Candidate", card.candidate], ["Seed", str(card.seed)]]
    rows += [[f"Parameter {name}", Code(str(value))] for name, value in sorted(card.parameters.items())]
    return Table("The estimator", ["What", "Which"], rows)


def _features(card: ModelCard) -> Table:
    worth = {each.feature: each for each in card.importance}
    order = sorted(card.features, key=lambda name: -worth[name].worsening if name in worth else 0.0)
    form = alike([each.worsening for each in card.importance])
    rows: list[list[Cell]] = [
        [name.replace("__", "."), form(worth[name].worsening) if name in worth else "unknown"] for name in order
    ]
    caption = (
        f"What it reads, and by how much the {METRIC_NAMES[card.metric]} becomes worse if that says nothing any more"
    )
    return Table(caption, ["Feature", "Worse by"], rows, frozenset({1}))


def _monitoring(card: ModelCard) -> Table:
    words = {
        "window_rows": "Latest predictions that are looked at",
        "window": "How far back they reach at most",
        "min_rows": "Fewest of them",
        "level": "False-alarm rate of one look",
        "min_psi": "Least population stability index",
        "min_shift": "Least shift, in standard deviations of the training rows",
        "min_share": "Least change of the share of missing, unknown and out-of-range values",
        "min_worsening": "Least relative worsening of the estimated quality",
        "min_volume": "Least relative change of a day's rows",
        "performance_ratio": "Largest metric over labelled predictions, divided by that on the held-out rows",
        "labels_watermark": "How late labels are expected at most",
    }
    rows = {words.get(key, key): v if isinstance(v, str) else number(v) for key, v in card.monitoring.items()}
    return _facts("What is more than chance, and at least so large, is an alarm", rows)


def _lineage(card: ModelCard) -> Table:
    lineage = card.lineage
    facts = {
        "Run": lineage.run_id,
        "Training set": lineage.training_set_id,
        "Fingerprint of the definitions": lineage.definition_hash,
        "Code": lineage.code_version,
        "SHA-256 of the ONNX file": lineage.onnx_sha256,
        **{f"Library {name}": version for name, version in lineage.libraries.items()},
    }
    return _facts("Ids by which all of this is found", facts)


def _facts(caption: str, facts: Mapping[str, str]) -> Table:
    rows: Sequence[Sequence[Cell]] = [[name, Code(value)] for name, value in facts.items() if value]
    return Table(caption, ["What", "Which"], rows)


def _moment(at: datetime) -> str:
    return naive_utc(at).isoformat(sep=" ", timespec="minutes")
