"""Tell people that an alarm went on: what moved, what it means, and what they can do."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, Field

from perennial.definitions.alarms import SIGNALS, model_needing_attention
from perennial.ports import Ports
from perennial.ports.people import LONGEST_SUBJECT

TOLD = "told "
"""What the name begins with of the claim by which an alarm is told of once in a while."""
QUIET = timedelta(hours=1)
"""How long nothing more is said about an alarm that flaps."""


class State(BaseModel):
    """The state that an alarm has now."""

    value: str
    """``ALARM``, ``OK`` or ``INSUFFICIENT_DATA``."""
    reason: str = ""
    """CloudWatch's words."""
    reason_data: str = Field(default="", alias="reasonData")
    """JSON; of a composite alarm it says which others set it off."""


class Configuration(BaseModel):
    """What an alarm is."""

    description: str = ""


class Change(BaseModel):
    """What became of an alarm."""

    alarm: str = Field(alias="alarmName")
    state: State
    configuration: Configuration = Configuration()


class Request(BaseModel):
    """CloudWatch's event "CloudWatch Alarm State Change", as it is: of a field that is missing no rule makes JSON."""

    id: str
    """The same if the event is delivered twice."""
    time: datetime
    detail: Change


class Told(BaseModel):
    """What was said."""

    alarm: str
    subject: str
    """Empty if nothing was: the alarm is not on, or people heard of it within the last hour."""


def run(request: Request, ports: Ports) -> Told:
    """Tell people of an alarm that went on, once an hour at most; that it went off is for them to see.

    That way whoever was told last that something is wrong is never wrong about it: a message that it is well again
    would be, if the next alarm fell into the quiet hour. A call that is repeated because it failed tells then.

    Raises
    ------
    TransientError
        The message could not be sent.
    """
    change, now = request.detail, ports.clock.now()
    nothing = Told(alarm=change.alarm, subject="")
    if change.state.value != "ALARM":
        return nothing
    if ports.catalog.claim(f"{TOLD}{change.alarm}", request.id, now + QUIET, now) != request.id:
        return nothing
    model = model_needing_attention(ports.deployment, change.alarm)
    subject, paragraphs = _of_model(ports, model, change) if model else _of_another(change)
    subject = subject.encode("ascii", "replace").decode()[:LONGEST_SUBJECT]
    ending = (
        f"This is deployment {ports.deployment}, at {request.time:%Y-%m-%d %H:%M:%S} UTC. If the alarm goes off and on "
        "again within an hour, nothing more is said; `perennial alarms` shows which alarms are on."
    )
    ports.people.tell(subject, "\n\n".join([*paragraphs, ending]))
    return Told(alarm=change.alarm, subject=subject)


def _of_model(ports: Ports, model: str, change: Change) -> tuple[str, list[str]]:
    """Return the subject and the paragraphs about a model: what moved by the monitor's words, then by each alarm's."""
    latest = next(iter(ports.catalog.assessments(model, 1)), None)
    on = _set_off_by(change.state.reason_data)
    signals = [signal for signal in SIGNALS.values() if f"{ports.deployment}-{model}-{signal.metric}" in on]
    means = [f"- {signal.metric}: {signal.means}." for signal in signals]
    seen = f"Version {latest.version}: {latest.sentence}" if latest is not None and latest.sentence else ""
    todo = (
        f"See `perennial monitor {model}` for what moved and since when, and `perennial runs --about {model}` for "
        f"whether a training has begun; `perennial suspend {model}` keeps it from training by itself."
    )
    return f"{model} needs attention", [paragraph for paragraph in (seen, "\n".join(means), todo) if paragraph]


def _of_another(change: Change) -> tuple[str, list[str]]:
    """Return the subject and the paragraphs about an alarm whose description says all."""
    words = (change.configuration.description, change.state.reason)
    return f"alarm {change.alarm}", [paragraph for paragraph in words if paragraph]


def _set_off_by(reason_data: str) -> set[str]:
    """Return the names of the alarms that set a composite alarm off, as far as it is known."""
    try:
        content: Any = json.loads(reason_data or "{}")
    except ValueError:
        return set()
    triggering = content.get("triggeringAlarms", []) if isinstance(content, dict) else []
    return {str(each.get("arn", "")).rpartition(":alarm:")[2] for each in triggering if isinstance(each, dict)}
