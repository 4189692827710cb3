"""What the steps need of the world, as protocols. ``perennial.aws`` and ``perennial.fakes`` implement them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from perennial.definitions.files import Definitions
from perennial.online_rows import Lookup, OnlineRow
from perennial.ports.catalog import RECORD_BYTES, Catalog
from perennial.ports.people import People
from perennial.ports.stores import Metric, MetricSink, ObjectStore, OnlineStore
from perennial.prices import JobSize

if TYPE_CHECKING:  # serving stands on ports
    from perennial.serving.logged import PredictionLog

__all__ = [
    "RECORD_BYTES",
    "Catalog",
    "Clock",
    "Lookup",
    "Metric",
    "MetricSink",
    "ObjectStore",
    "OnlineRow",
    "OnlineStore",
    "People",
    "Ports",
]


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """Return the current moment in UTC."""


@dataclass(frozen=True)
class Ports:
    """Everything a step may touch."""

    catalog: Catalog
    raw: ObjectStore
    artifacts: ObjectStore
    online: OnlineStore
    metrics: MetricSink
    log: PredictionLog
    """Where predictions go."""
    people: People
    """Who is told when something needs them."""
    clock: Clock
    definitions: Definitions
    deployment: str
    """Name of the deployment, a dimension of every metric."""
    code_version: str
    job: JobSize = field(default_factory=JobSize)
    """What a job is given: what it costs follows from that."""
