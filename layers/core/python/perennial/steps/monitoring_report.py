"""The report of a look: written when a model comes to need attention, else seldom, so that there are few of them."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from perennial import keys
from perennial.metrics import row_losses
from perennial.monitoring.cells import cells_of
from perennial.monitoring.report import MonitoringReport, shapes_of, since_when
from perennial.monitoring.report_page import sections, title
from perennial.monitoring.root_causes import Causes, causes_before_labels, causes_of
from perennial.monitoring.window import PREDICTION
from perennial.ports import Ports
from perennial.records import Assessment
from perennial.steps.daily_history import daily_history
from perennial.steps.log_window import LogReader
from perennial.steps.looking import Look

WHILE_ALARMED, WHILE_QUIET = timedelta(hours=1), timedelta(days=1)
"""Least time between two reports of a version while it needs attention, and while it does not."""
_SHOWN = 8
"""Columns whose distributions are drawn."""


def report_is_due(before: Assessment | None, now: Assessment) -> bool:
    """Tell whether a look deserves a report, by the one before it.

    Parameters
    ----------
    before : Assessment or None
        The model's latest that was recorded.
    """
    if not now.figures:
        return False
    if before is None or before.version != now.version or before.report_key is None or before.reported_at is None:
        return True
    age = now.at - before.reported_at
    # A flapping signal turns on again and again: the hour holds for it, too, once there is a report of it.
    if now.attention and not before.report_of_attention:
        return True
    return age >= (WHILE_ALARMED if now.attention else WHILE_QUIET)


def write_monitoring_report(ports: Ports, look: Look, reader: LogReader) -> str:
    """Write a look's report, JSON and page; return the key of the JSON."""
    from perennial.reporting.page import page

    report = make_report(ports, look, reader)
    found = report.assessment
    key, html = (keys.monitoring_report(found.model, found.version, found.at, suffix) for suffix in ("json", "html"))
    text = page(title(report), sections(report), subtitle=found.sentence, footer=found.at.isoformat())
    ports.artifacts.put(html, text.encode(), "text/html; charset=utf-8")
    ports.artifacts.put(key, report.model_dump_json(indent=1).encode(), "application/json")
    return key


def make_report(ports: Ports, look: Look, reader: LogReader) -> MonitoringReport:
    """Put together what a look found, and the days before it."""
    manifest, found = look.manifest, look.assessment
    limits = ports.definitions.model(found.model).monitor
    history = daily_history(reader, manifest, look.baseline, found.at, limits.labels_watermark)
    signals = look.signals.signals if look.signals else ()
    moved = list(dict.fromkeys(one.subject for one in found.moved))
    nearest = list(dict.fromkeys([*moved, *(one.subject for one in signals)]))[: max(len(moved), 4)][:_SHOWN]
    subjects = [name for name in look.baseline.features if name not in manifest.log.masked_features]
    estimator = look.baseline.estimator
    return MonitoringReport(
        metric=manifest.metric,
        promised=manifest.metrics.get(manifest.metric),
        level=limits.level,
        assessment=found,
        signals=signals,
        estimated=look.signals.estimated if look.signals else None,
        causes=_causes(look),
        loss=estimator.loss_metric if estimator else "",
        days=history.days,
        unknown_labels=history.unknown,
        repeated_labels=history.repeated,
        since=since_when(history.days, [*subjects, PREDICTION], limits.level),
        shapes=shapes_of(look.baseline, look.window.window.counts, nearest, manifest.categories) if look.window else (),
        calls=look.arrivals.days if look.arrivals else (),
    )


def _causes(look: Look) -> Causes | None:
    """Take the change of the mean loss apart, by labels where there are enough of them."""
    estimator, said, manifest = look.baseline.estimator, look.labelled.predictions, look.manifest
    if estimator is None or look.window is None or manifest.log.masked_features:
        return None
    if look.assessment.performance is None or said is None:
        return causes_before_labels(estimator.loss, look.window.window.counts) if look.signals else None
    values = said.predictions if said.probabilities is None else said.probabilities
    losses = row_losses(estimator.loss_metric, np.array(look.labelled.labels), values, manifest.task)
    if losses is None:
        return None
    columns = {**look.baseline.columns, PREDICTION: look.baseline.prediction}
    cells = {
        name: cells_of(columns[name].histogram.edges, said.predictions if name == PREDICTION else said.features[name])
        for name in estimator.loss.terms
    }
    return causes_of(estimator.loss, cells, losses)
