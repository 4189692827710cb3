"""Test doubles of every port, kept in memory: what a test passes where the deployed code has AWS.

They hold the semantics of :mod:`perennial.ports` exactly (``tests/contract`` runs one suite over them and over the
AWS adapters), they may be used from several threads, and they need no network:

>>> from perennial.definitions.files import Definitions
>>> from perennial.fakes import FixedClock, fake_ports
>>> ports = fake_ports(Definitions({}, {}, {}), clock=FixedClock("2019-03-01T00:00:00Z"))
>>> ports.artifacts.put("greeting", b"hello")
>>> ports.artifacts.get("greeting")
b'hello'
"""

from __future__ import annotations

from typing import Any

from perennial.definitions.files import Definitions
from perennial.fakes.catalog import FakeCatalog
from perennial.fakes.stores import (
    FakeMetricSink,
    FakeObjectStore,
    FakeOnlineStore,
    FakePeople,
    FakePredictionLog,
    FixedClock,
)
from perennial.ports import Ports

__all__ = [
    "FakeCatalog",
    "FakeMetricSink",
    "FakeObjectStore",
    "FakeOnlineStore",
    "FakePeople",
    "FakePredictionLog",
    "FixedClock",
    "fake_ports",
]


def fake_ports(definitions: Definitions, **overrides: Any) -> Ports:
    """Return ports that are all fakes: empty stores and a clock that stands still.

    Parameters
    ----------
    definitions : Definitions
        What the steps find deployed.
    **overrides
        Fields of :class:`~perennial.ports.Ports` to put in place of the defaults, such as ``clock``.
    """
    fields: dict[str, Any] = {
        "catalog": FakeCatalog(),
        "raw": FakeObjectStore("raw"),
        "artifacts": FakeObjectStore("artifacts"),
        "online": FakeOnlineStore(),
        "metrics": FakeMetricSink(),
        "log": FakePredictionLog(),
        "people": FakePeople(),
        "clock": FixedClock(),
        "deployment": "test",
        "code_version": "test",
    }
    return Ports(definitions=definitions, **{**fields, **overrides})
