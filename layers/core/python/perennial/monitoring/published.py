"""Figures of a look, each divided by its own limit: above 1 is too much, whatever the signal."""

from __future__ import annotations

from collections.abc import Iterator

from perennial.definitions import SIGNALS, SignalName
from perennial.monitoring.quality import LARGEST_RATIO, worsening
from perennial.monitoring.signals import Policy, Signal, Signals
from perennial.monitoring.window import PREDICTION, RECONSTRUCTION

METRICS: dict[str, str] = {signal.metric: name for name, signal in SIGNALS.items()} | {"PredictionsLost": "lost"}
"""Name of each metric that is published of a model to its signal. All but the last are divided by their limits; of
``lost`` the limit is that there are none."""


def group_of(signal: Signal) -> SignalName:
    """Return which of the published signals a comparison belongs to."""
    if signal.subject == PREDICTION:
        return "predictions"
    if signal.subject == RECONSTRUCTION:
        return "multivariate"
    return "features" if signal.kind in ("distribution", "shift") else "quality"


def multiple(signal: Signal, policy: Policy) -> float:
    """Return how many times the least size a change has; at most 1 where chance may have made it."""
    size = abs(signal.value - signal.reference) / policy.least(signal.kind)
    return min(size, LARGEST_RATIO if signal.significant else 1.0)


def published(found: Signals, policy: Policy) -> dict[str, float]:
    """Return the largest multiple of each group of signals that there is one of.

    The estimated quality is told by how many times worse than on the held-out rows it is, over the least such ratio.
    """
    figures: dict[str, float] = {}
    for group, size in _multiples(found, policy):
        figures[group] = max(size, figures.get(group, 0.0))
    return figures


def _multiples(found: Signals, policy: Policy) -> Iterator[tuple[str, float]]:
    for signal in found.signals:
        yield group_of(signal), multiple(signal, policy)
    if (estimated := found.estimated) is not None:
        worse = worsening(estimated.metric, estimated.reference, estimated.value) / (1 + policy.min_worsening)
        yield "estimated", worse if found.estimated_alarm else min(worse, 1.0)
