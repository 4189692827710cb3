"""Ports that fail at a chosen call, as if the process had been killed there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from perennial.ports import Ports


class Killed(BaseException):
    """No step may catch this: the process is gone."""


class _Doomed:
    """Passes calls on to a port until the calls are used up."""

    def __init__(self, port: Any, budget: list[int]) -> None:
        self._port = port
        self._budget = budget

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._port, name)
        if not callable(attribute):
            return attribute

        def call(*arguments: Any, **options: Any) -> Any:
            if self._budget[0] == 0:
                raise Killed
            self._budget[0] -= 1
            return attribute(*arguments, **options)

        return call


def killed_after(calls: int, ports: Ports) -> Ports:
    """Return the same ports, of which the call after ``calls`` calls to any of them never returns."""
    budget = [calls]
    names = ("catalog", "raw", "artifacts", "online", "metrics")
    doomed: dict[str, Any] = {name: _Doomed(getattr(ports, name), budget) for name in names}
    return replace(ports, **doomed)
