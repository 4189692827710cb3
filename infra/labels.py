"""What people have called versions, and what waits for them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from perennial.ports import Ports
from perennial.records import ModelVersion


def since(moment: datetime, now: datetime) -> str:
    """Return how long ago a moment was, in its two largest units: ``2 d 4 h``."""
    minutes = max(0, int((now - moment).total_seconds() // 60))
    parts = [(minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min")]
    first = next((index for index, (amount, _) in enumerate(parts) if amount), len(parts) - 1)
    return " ".join(f"{amount} {unit}" for amount, unit in parts[first : first + 2])


def describe_names(ports: Ports, model: str) -> dict[str, Any]:
    """Return a model's aliases, what waits for approval and for how long, and its notes, as JSON."""
    now, catalog = ports.clock.now(), ports.catalog
    return {
        "aliases": {alias.name: alias.version for alias in catalog.aliases(model)},
        "approvals": [
            {**approval.model_dump(mode="json"), "waits": since(approval.asked_at, now)}
            for approval in catalog.approvals(model)
            if approval.status == "pending"
        ],
        "notes": [
            {"version": entry.version, "at": entry.at.isoformat(), "by": entry.by, "text": entry.detail}
            for entry in catalog.audit(model)
            if entry.action == "note"
        ],
    }


def labels(version: ModelVersion, aliases: Mapping[str, int]) -> str:
    """Return a version's aliases and tags, as one line."""
    names = [name for name, number in aliases.items() if number == version.version]
    return " ".join([*names, *(f"{key}={value}" for key, value in version.tags.items())])
