"""What ``predict`` needs of the world, as protocols that are cheap to import: a part of `perennial.ports`.

The records of `perennial.records` and the plain values of `perennial.serving.served` both are what is read here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from perennial.online_rows import Lookup, OnlineRow
from perennial.serving.logged import PredictionLog


class Registered(Protocol):
    """Where a version's manifest is, and what it was when it was registered."""

    @property
    def version(self) -> int: ...
    @property
    def manifest_key(self) -> str: ...
    @property
    def manifest_sha256(self) -> str: ...


class Challenger(Registered, Protocol):
    """A version on its way to serve."""

    @property
    def weight(self) -> float: ...
    @property
    def shadow(self) -> bool: ...


class Pointer(Registered, Protocol):
    """The version that serves, and the one that is on its way to."""

    @property
    def previous(self) -> int | None: ...
    @property
    def challenger(self) -> Challenger | None: ...


class Named(Protocol):
    """What an alias stands for."""

    @property
    def version(self) -> int: ...


class Registry(Protocol):
    """The reads of `perennial.ports.Catalog` that answering takes."""

    def champion(self, model: str) -> Pointer | None:
        """Return the pointer to the version that serves, or None."""

    def version(self, model: str, version: int) -> Registered:
        """Return a version, or raise NotFoundError."""

    def alias(self, model: str, name: str) -> Named:
        """Return what a name stands for, or raise NotFoundError."""


class Artifacts(Protocol):
    """A bucket, as far as answering takes it."""

    def get(self, key: str) -> bytes:
        """Return an object's bytes, or raise NotFoundError."""


class OnlineReads(Protocol):
    """The reading half of the online store."""

    def read_many(self, lookups: Sequence[Lookup]) -> Sequence[Mapping[tuple[Any, ...], OnlineRow]]:
        """Return, for each lookup, the rows of those entities that exist, with the named columns only."""


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """Return the current moment in UTC."""


class ServingPorts(Protocol):
    """Everything that answering a request may touch; `perennial.ports.Ports` has it too."""

    @property
    def catalog(self) -> Registry: ...
    @property
    def artifacts(self) -> Artifacts: ...
    @property
    def online(self) -> OnlineReads: ...
    @property
    def log(self) -> PredictionLog: ...
    @property
    def clock(self) -> Clock: ...
