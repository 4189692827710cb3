"""Ports that die at a chosen call, as if the process had been killed there."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from perennial.ports import Ports

STATEFUL = ("catalog", "raw", "artifacts", "online", "metrics")
"""The ports that remember something."""


class Killed(BaseException):
    """No step may catch this: the process is gone."""


@dataclass
class Fuse:
    """Lets calls through until one of them is the last."""

    calls: int
    """How many calls go through."""
    after: bool = False
    """Whether the fatal call takes effect before it dies."""
    made: int = 0

    def guard(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the call with the fuse in front or behind."""

        def guarded(*arguments: Any, **options: Any) -> Any:
            self.made += 1
            if self.made <= self.calls:
                return call(*arguments, **options)
            if self.made == self.calls + 1 and self.after:
                call(*arguments, **options)
            raise Killed

        return guarded


class _Mortal:
    def __init__(self, port: Any, fuse: Fuse) -> None:
        self._port = port
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._port, name)
        return self._fuse.guard(attribute) if callable(attribute) else attribute


def mortal(ports: Ports, fuse: Fuse) -> Ports:
    """Return ports on the same state that die, all together, at the fuse's call."""
    fields: dict[str, Any] = {name: _Mortal(getattr(ports, name), fuse) for name in STATEFUL}
    return replace(ports, **fields)


def held(ports: Ports) -> dict[str, dict[str, Any]]:
    """Return a copy of all that fakes hold, by port."""
    return {
        name: {key: copy.deepcopy(value) for key, value in vars(getattr(ports, name)).items() if key != "_lock"}
        for name in STATEFUL
    }


def copied(ports: Ports) -> Ports:
    """Return fakes that hold what others hold, and share nothing with them that can change."""
    fields: dict[str, Any] = {name: type(getattr(ports, name))() for name in STATEFUL}
    for name, state in held(ports).items():
        vars(fields[name]).update(state)
    return replace(ports, **fields)


def each_death(
    step: Callable[[Ports], Any], prepare: Callable[[], Ports], *, before: bool = True
) -> Iterator[tuple[Ports, str]]:
    """Kill a step at each of its calls, after it takes effect and, if asked for, before.

    To die before a call is to die after the one that came first, for whoever does nothing in between; both are tried
    of short steps.

    Yields
    ------
    (Ports, str)
        What the dead process left, and where it died. What an earlier death left already, such as one behind a call
        that only read, is left out: whoever repeats the step finds nothing else.
    """
    prepared = prepare()
    left: list[dict[str, dict[str, Any]]] = []
    count = Fuse(10**6)
    step(mortal(copied(prepared), count))
    for calls in range(count.made):
        for after in (False, True) if before else (True,):
            ports = copied(prepared)
            try:
                step(mortal(ports, Fuse(calls, after)))
            except Killed:
                state = held(ports)
                if state in left:
                    continue
                left.append(state)
                yield ports, f"killed {'behind' if after else 'before'} call {calls + 1}"
            else:
                raise AssertionError(f"call {calls + 1} did not kill the step")
