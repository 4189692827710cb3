"""Rows of the online store and what is asked of it, in plain values that are cheap to import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from perennial.utc import naive_utc


@dataclass(frozen=True)
class OnlineRow:
    """One entity's latest values of a stored view, and those before them."""

    entity: tuple[Any, ...]
    feature_time: datetime
    """When the values became known; without a zone it is taken as UTC. What is read is in UTC."""
    values: Mapping[str, float | int | str | bool | None]
    expires_at: datetime | None = None
    """When the store may forget the row, at its leisure; without a zone it is taken as UTC. Not read back."""
    previous: OnlineRow | None = None
    """The entity's row of the next earlier feature time, which counts until this one is known. It has none itself."""

    def known_at(self, moment: datetime) -> OnlineRow | None:
        """Return the later of the two rows that was known at a moment (UTC, with or without zone), if one was."""
        rows = (self, self.previous)
        return next((row for row in rows if row and naive_utc(row.feature_time) <= naive_utc(moment)), None)


@dataclass(frozen=True)
class Lookup:
    """Which values of a stored view are asked for."""

    view: str
    version: str
    entities: Sequence[tuple[Any, ...]]
    """Each may stand here more than once."""
    columns: Sequence[str]
    since: datetime | None = None
    """No earlier moment is asked about: what was known by then needs no previous row, which is left out. It saves the
    reading of its values; None leaves none out."""
