"""What the alarms of a model are, and how a definition changes them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, FiniteFloat, model_validator

from perennial.definitions.base import Definition, Length

SignalName = Literal[
    "features", "predictions", "multivariate", "quality", "volume", "freshness", "performance", "estimated"
]
ARRIVALS: tuple[SignalName, ...] = ("volume", "freshness")
"""The signals about whether the model is called at all: there silence says something, if calls are expected."""
_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
_HOUR = timedelta(hours=1)
_DATAPOINTS = re.compile(r"^([1-9]\d{0,3}) of ([1-9]\d{0,3})$")


@dataclass(frozen=True)
class Signal:
    """One of the signals that the monitor publishes of each champion, divided by its limit: above 1 is too much."""

    metric: str
    """Its name in CloudWatch."""
    means: str
    """What an alarm tells a person: that …"""
    trains: bool
    """Whether a training run may mend it."""


SIGNALS: dict[SignalName, Signal] = {
    "features": Signal("FeatureDrift", "the values of a feature moved away from those that the champion learnt", True),
    "predictions": Signal("PredictionDrift", "the predictions moved away from those on the held-out rows", True),
    "multivariate": Signal("MultivariateDrift", "the features no longer go together as they did in training", True),
    "quality": Signal("DataQuality", "requests bring missing values, unknown categories or values out of range", False),
    "volume": Signal("Volume", "far more or far fewer predictions are asked for than before", False),
    "freshness": Signal("Freshness", "no predictions were asked for, or none were logged, for too long", False),
    "performance": Signal("PerformanceRatio", "the predictions are worse than was promised, by their labels", True),
    "estimated": Signal(
        "EstimatedPerformanceRatio",
        "the predictions are likely worse than was promised; labels are not there yet",
        True,
    ),
}
"""Signal to its metric and its words."""


def parse_datapoints(text: str) -> tuple[int, int]:
    """Turn ``"2 of 3"`` into how many datapoints must be too high, and of how many.

    Raises
    ------
    ValueError
        It is written otherwise, or asks for more than there are.
    """
    match = _DATAPOINTS.match(text)
    if match is None or int(match[1]) > int(match[2]):
        raise ValueError(f'datapoints are written like "2 of 3", not {text!r}')
    return int(match[1]), int(match[2])


def _checked_datapoints(text: str) -> str:
    parse_datapoints(text)
    return text


def _whole_minutes(period: timedelta) -> timedelta:
    if period.total_seconds() % 60 or period > _DAY:
        raise ValueError("a period is whole minutes, a day at most")
    return period


def _true_false_or_signals(chosen: object) -> object:
    # Said here, for of a union pydantic says what each of its branches misses.
    if isinstance(chosen, bool):
        return chosen
    names = [str(name) for name in chosen] if isinstance(chosen, list | tuple) else None
    if names is None:
        raise ValueError(f'should be true, false or a list of signals, such as ["performance"], not {chosen!r}')
    unknown = [name for name in names if name not in SIGNALS]
    if unknown:
        raise ValueError(f"there is no signal {unknown[0]!r}; there are {', '.join(SIGNALS)}")
    return tuple(names)


Datapoints = Annotated[str, AfterValidator(_checked_datapoints)]
Period = Annotated[Length, AfterValidator(_whole_minutes)]
Chosen = Annotated[bool | tuple[SignalName, ...], BeforeValidator(_true_false_or_signals)]
"""Signals by name, none, or those that are meant anyway."""


class SignalRule(Definition):
    """How one signal's datapoints become an alarm, where it differs from the model's other signals."""

    datapoints: Datapoints | None = None
    """How many of the latest periods must be above the limit, such as "2 of 3"."""
    period: Period | None = None
    """How long a datapoint's period is; the largest value in it counts."""


class Alarms(Definition):
    """Which signals become alarms of a model, and after how many datapoints."""

    off: tuple[SignalName, ...] = ()
    """Signals without an alarm; they are published all the same."""
    datapoints: Datapoints = "1 of 1"
    """How many of the latest periods must be above the limit, such as "2 of 3"."""
    period: Period = timedelta(minutes=1)
    """How long a datapoint's period is; the largest value in it counts."""
    called_every: Length | None = None
    """How often the model is called at least. With it, volume and freshness have alarms, and silence is one of both;
    without it, a model that nobody calls is well."""
    signals: dict[SignalName, SignalRule] = Field(default_factory=dict)
    """Signal to what differs for it."""

    @model_validator(mode="after")
    def _cloudwatch_looks_so_far_back(self) -> Alarms:
        for name in self.on:
            (_, periods), period = self.datapoints_of(name), self.period_of(name)
            if periods * period > (_WEEK if period >= _HOUR else _DAY):
                raise ValueError(
                    f"the alarm {name} looks back for {periods} periods of {period}; CloudWatch allows a day, "
                    "or a week with periods of an hour and more"
                )
        return self

    @model_validator(mode="after")
    def _off_is_off(self) -> Alarms:
        for name in self.signals:
            if name in self.off:
                raise ValueError(f"signals.{name}: this alarm is off; take it out of off, or its rule away")
        return self

    @property
    def on(self) -> tuple[SignalName, ...]:
        """The signals that have an alarm, in the order of `SIGNALS`."""
        # Of a model that may rest, how often it is called says nothing about its health.
        absent = self.off if self.called_every is not None else (*self.off, *ARRIVALS)
        return tuple(name for name in SIGNALS if name not in absent)

    def datapoints_of(self, name: SignalName) -> tuple[int, int]:
        """Return how many datapoints of a signal must be too high, and of how many."""
        rule = self.signals.get(name, SignalRule())
        return parse_datapoints(rule.datapoints or self.datapoints)

    def period_of(self, name: SignalName) -> timedelta:
        """Return the length of a signal's periods.

        Where silence is an alarm, a period must be long enough that the monitor, which looks once an hour whatever
        happens, has published in it.
        """
        rule = self.signals.get(name, SignalRule())
        if rule.period is not None:
            return rule.period
        if self.silence_is_an_alarm(name):
            assert self.called_every is not None
            minutes = math.ceil(self.called_every.total_seconds() / 60)
            return min(max(self.period, 2 * _HOUR, timedelta(minutes=minutes)), _DAY)
        return self.period

    def silence_is_an_alarm(self, name: SignalName) -> bool:
        """Return whether a period without a value counts as one above the limit."""
        return name in ARRIVALS and self.called_every is not None


class Expected(Definition):
    """What is expected of a dataset's uploads; where it is not so, people are told. It refuses nothing."""

    quarantined: FiniteFloat | None = Field(default=0.05, gt=0, le=1)
    """Largest share of an upload's rows that goes to quarantine; None: any."""
    every: Length | None = None
    """How often an upload comes at least, an hour to seven days; None: whenever it likes."""

    @model_validator(mode="after")
    def _an_alarm_sees_so_far(self) -> Expected:
        if self.every is not None and not _HOUR <= self.every <= _WEEK:
            raise ValueError('every is at least "1 hour" and at most "7 days", which is as far as an alarm looks back')
        return self


def attention_name(deployment: str, model: str) -> str:
    """Return the name of the alarm that is on while any alarm of a model is."""
    return f"{deployment}-{model}-needs-attention"


def signal_alarm_name(deployment: str, model: str, name: SignalName) -> str:
    """Return the name of the alarm of a model's signal."""
    return f"{deployment}-{model}-{SIGNALS[name].metric}"


def model_needing_attention(deployment: str, alarm: str) -> str | None:
    """Return the model that an alarm says needs attention; None of any other alarm."""
    beginning, end = f"{deployment}-", "-needs-attention"
    if not (alarm.startswith(beginning) and alarm.endswith(end)):
        return None
    return alarm[len(beginning) : -len(end)]
