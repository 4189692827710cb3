"""EventBridge input paths with an index: ``$.resources[0]``, which the emulator takes for a name and leaves empty."""

from __future__ import annotations

import re
from typing import Any

_STEP = re.compile(r"[^.\[\]]+")


def resolve(path: str, event: Any) -> Any:
    """Return what an input path names in an event, an empty string if there is nothing.

    Parameters
    ----------
    path : str
        Names and indices: ``$.detail.configuration.metrics[0].metricStat.period``.
    event : object
        The event.
    """
    value = event
    for step in _STEP.findall(path.removeprefix("$")):
        try:
            value = value[int(step)] if isinstance(value, list) else value[step.strip("'\"")]
        except (KeyError, IndexError, TypeError, ValueError):
            return ""
    return value


class _Resolved:
    """An event whose indexed paths were resolved: each is found under a name of its own."""

    def __init__(self, view: Any, values: dict[str, Any]) -> None:
        self._view, self._values = view, values

    def event_with_detail(self) -> dict[str, Any]:
        # What is looked up by name, but not there when the whole event is written out.
        class Event(dict[str, Any]):
            def __missing__(self, name: str, values: dict[str, Any] = self._values) -> Any:
                return values[name]

        return Event(self._view.event_with_detail())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)


def patch() -> None:
    """Resolve indexed paths before the emulator applies an input transformer."""
    from ministack.services import eventbridge

    apply = eventbridge._apply_input_transformer

    def apply_indexed(transformer: dict[str, Any], rule: Any, view: Any) -> Any:
        paths: dict[str, str] = transformer.get("InputPathsMap") or {}
        indexed = {f"\0{name}": path for name, path in paths.items() if "[" in path}
        event = view.event_with_detail()
        values = {key: resolve(path, event) for key, path in indexed.items()}
        renamed = {name: f"$.\0{name}" if f"\0{name}" in indexed else path for name, path in paths.items()}
        return apply({**transformer, "InputPathsMap": renamed}, rule, _Resolved(view, values))

    eventbridge._apply_input_transformer = apply_indexed
