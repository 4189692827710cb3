"""Signals: what of a window is not as the training rows were, more than chance allows and enough to matter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import Field

from perennial.monitoring.baseline import Baseline
from perennial.monitoring.comparisons import Comparison, Kind, comparisons
from perennial.monitoring.estimate import Estimated, estimate
from perennial.monitoring.quality import worsening
from perennial.monitoring.window import PREDICTION, RECONSTRUCTION, Window
from perennial.records import Record


class Policy(Record):
    """When a signal is an alarm: both unlikely by chance and large enough."""

    level: float = Field(default=0.01, gt=0, lt=1)
    """False-alarm rate of one look at one model: the chance that any of its signals alarms though nothing has moved."""
    min_psi: float = Field(default=0.1, ge=0)
    """Least population stability index."""
    min_shift: float = Field(default=0.1, ge=0)
    """Least Wasserstein distance, in standard deviations of the training rows."""
    min_share: float = Field(default=0.01, ge=0)
    """Least change of the share of missing values, and of unseen or out-of-range ones."""
    min_worsening: float = Field(default=0.05, ge=0)
    """Least relative worsening of the estimated metric; of a score what it lacks to 1 is compared."""

    def least(self, kind: Kind) -> float:
        """Return the least size of a change of that kind that matters."""
        return {"distribution": self.min_psi, "shift": self.min_shift}.get(kind, self.min_share)

    def large(self, comparison: Comparison) -> bool:
        """Tell whether a change is large enough to matter."""
        return abs(comparison.value - comparison.reference) >= self.least(comparison.kind)


class Signal(Record):
    """One comparison of a window with the baseline."""

    kind: Kind
    subject: str
    """The feature, ``prediction``, or ``reconstruction`` (whether the features go together as they did)."""
    value: float
    """PSI, Wasserstein distance in standard deviations, or share of the window's rows."""
    reference: float
    """The share of the training rows; 0 of a distance."""
    threshold: float
    """What ``value`` has to exceed to be more than chance, were this signal the only one that moved."""
    chance: float
    """How likely at least this much is where nothing has moved."""
    jensen_shannon: float | None = None
    """Of a distribution, the Jensen-Shannon divergence in nats; its threshold is an eighth of ``threshold``."""
    significant: bool
    """Whether ``chance`` is small enough for the policy's rate, all signals of the look considered."""
    large: bool
    """Whether the change is at least the policy's least."""

    @property
    def alarm(self) -> bool:
        """Whether a person should look at it."""
        return self.significant and self.large


class Signals(Record):
    """What a look at a window found."""

    rows: int
    level: float
    signals: tuple[Signal, ...]
    """The least likely first."""
    estimated: Estimated | None = None
    estimated_alarm: bool = False
    """Whether the estimated quality is worse, more than chance allows and by the policy's least."""

    @property
    def alarms(self) -> tuple[Signal, ...]:
        """The signals that a person should look at."""
        return tuple(signal for signal in self.signals if signal.alarm)


DEFAULT = Policy()


def assess(
    baseline: Baseline, window: Window, policy: Policy = DEFAULT, scores: npt.NDArray[np.float64] | None = None
) -> Signals:
    """Compare a window with a baseline.

    The rate holds for the look as a whole by Holm's rule, whatever the signals have to do with one another.

    Parameters
    ----------
    window : Window
        From `perennial.monitoring.window.count`, or the sum of such. Served soon after promotion and compared with the
        training rows, it shows skew between training and serving: the world had no time to move.
    scores : float64 array, optional
        Of classes the window's probabilities, for the estimated quality.
    """
    found = list(_compared(baseline, window))
    estimated = _estimated(baseline, window, scores)
    chances = [comparison.chance for _, comparison in found] + ([estimated.chance] if estimated else [])
    kept = holm(chances, policy.level)
    each = policy.level / max(len(chances), 1)
    signals = [
        Signal(
            kind=comparison.kind,
            subject=subject,
            value=comparison.value,
            reference=comparison.reference,
            threshold=comparison.threshold(each),
            chance=comparison.chance,
            jensen_shannon=comparison.jensen_shannon,
            significant=significant,
            large=policy.large(comparison),
        )
        for (subject, comparison), significant in zip(found, kept, strict=False)
    ]
    return Signals(
        rows=window.rows,
        level=policy.level,
        signals=tuple(sorted(signals, key=lambda signal: signal.chance)),
        estimated=estimated,
        estimated_alarm=estimated is not None
        and kept[-1]
        and worsening(estimated.metric, estimated.reference, estimated.value) - 1 >= policy.min_worsening,
    )


def holm(chances: Sequence[float], level: float) -> list[bool]:
    """Tell which tests are significant if the chance of any false one is to be at most ``level``.

    S. Holm, *A simple sequentially rejective multiple test procedure*, 1979.
    """
    kept = [False] * len(chances)
    for rank, place in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        if chances[place] > level / (len(chances) - rank):
            break
        kept[place] = True
    return kept


def _compared(baseline: Baseline, window: Window) -> Iterator[tuple[str, Comparison]]:
    """Give each column's comparisons; none of a column that the window lacks."""
    columns = {**baseline.columns, PREDICTION: baseline.prediction}
    if baseline.reconstruction_error is not None:
        columns[RECONSTRUCTION] = baseline.reconstruction_error
    for name, column in columns.items():
        if name in window.counts:
            for comparison in comparisons(column, window.counts[name], shares=name != RECONSTRUCTION):
                yield name, comparison


def _estimated(baseline: Baseline, window: Window, scores: npt.NDArray[np.float64] | None) -> Estimated | None:
    estimator = baseline.estimator
    if estimator is None or not estimator.loss.terms.keys() <= window.counts.keys():
        return None
    return estimate(estimator, window.counts, window.rows, scores)
