"""Quality over windows of event time, whenever and in whatever order the labels come.

A window is final once the watermark has passed it: the time before which labels are not waited for any more. Until then
it is told as it stands. Labels after that still count: the window is computed anew, and is the same as if they had come
in time, for what a window holds depends on the labels alone and not on their arrival.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Label:
    """What turned out to be true of a prediction."""

    prediction_id: str
    value: float
    at: datetime
    """When its sender said so: of several for one prediction the latest counts, and of these the largest value."""


@dataclass(frozen=True)
class LabelledWindow:
    """The predictions of a stretch of event time whose labels have come, in the order of time and id."""

    start: datetime
    end: datetime
    prediction_ids: tuple[str, ...]
    labels: tuple[float, ...]
    unlabelled: int
    """Predictions of the stretch whose label has not come."""
    final: bool
    """Whether the watermark has passed it."""


@dataclass(frozen=True)
class Labelled:
    """Windows, and what became of the labels."""

    windows: tuple[LabelledWindow, ...]
    """Those with a prediction, by rising time."""
    unknown: int
    """Ids that labels came for and that nobody predicted for."""
    repeated: int
    """Labels that said again, or corrected, what another one had said."""


def latest(labels: Iterable[Label]) -> dict[str, Label]:
    """Return the label that counts for each prediction, whatever order they come in and how often."""
    found: dict[str, Label] = {}
    for label in labels:
        known = found.get(label.prediction_id)
        if known is None or (label.at, label.value) > (known.at, known.value):
            found[label.prediction_id] = label
    return found


def labelled_windows(
    predicted: Mapping[str, datetime], labels: Iterable[Label], length: timedelta, lateness: timedelta, now: datetime
) -> Labelled:
    """Join labels to predictions in windows of event time.

    Parameters
    ----------
    predicted : mapping
        Prediction id to its event time, in UTC.
    labels : iterable of Label
        In any order, with repetitions, also for unknown ids.
    length : timedelta
        Of a window; windows begin at whole multiples of it since 1970.
    lateness : timedelta
        How long labels are waited for.
    now : datetime
        A window that ended ``lateness`` before is final.
    """
    everything = list(labels)
    counting = latest(everything)
    known = {name: label for name, label in counting.items() if name in predicted}
    stretches: dict[int, list[tuple[datetime, str]]] = {}
    for name, at in predicted.items():
        stretches.setdefault((at - _EPOCH) // length, []).append((at, name))
    windows = []
    for place in sorted(stretches):
        ids = [name for _, name in sorted(stretches[place])]
        there = [name for name in ids if name in known]
        end = _EPOCH + (place + 1) * length
        windows.append(
            LabelledWindow(
                start=_EPOCH + place * length,
                end=end,
                prediction_ids=tuple(there),
                labels=tuple(known[name].value for name in there),
                unlabelled=len(ids) - len(there),
                final=end + lateness <= now,
            )
        )
    return Labelled(tuple(windows), len(counting) - len(known), len(everything) - len(counting))
