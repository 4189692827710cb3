"""A small dataset with views and a model, and ports that die at a chosen call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from perennial.definition_files import Definitions
from perennial.definitions import Candidate, Column, Dataset, FeatureView, Model, Split
from perennial.errors import TransientError
from perennial.fakes import fake_ports
from perennial.ports import Ports

RIDES = Dataset(
    name="rides",
    event_time="began",
    columns={
        "began": Column(type="timestamp"),
        "zone": Column(type="integer"),
        "miles": Column(type="double", min=0),
    },
)
NOW = FeatureView(name="now", kind="request", dataset="rides", sql="SELECT miles * 2 AS double_miles FROM rides")
PAST = FeatureView(
    name="past",
    kind="stored",
    dataset="rides",
    entity=("zone",),
    feature_time="known_at",
    sql="SELECT zone, date_trunc('day', began) + INTERVAL 1 DAY AS known_at, avg(miles) AS mean "
    "FROM rides GROUP BY ALL",
)
FARE = Model(
    name="fare",
    dataset="rides",
    target="miles + 1",
    features={"now": ("double_miles",), "past": ("mean",)},
    split=Split(holdout="1 day"),
    candidates=(Candidate(name="ridge", algorithm="ridge"),),
)
DEFINITIONS = Definitions({"rides": RIDES}, {"now": NOW, "past": PAST}, {"fare": FARE})


def new_ports(definitions: Definitions = DEFINITIONS) -> Ports:
    """Return fakes on the small world."""
    return fake_ports(definitions)


def upload(ports: Ports, name: str = "a.csv", day: int = 1, bad: int = 0, rows: int = 20) -> str:
    """Put a file of rides that begin hourly from a day of January 2019 on; return its key."""
    lines = ["began,zone,miles"]
    start = datetime(2019, 1, day)
    lines += [f"{start + timedelta(hours=4 * n)},{n % 3},{n + 0.5}" for n in range(rows)]
    lines += ["2019-01-01,nowhere,1"] * bad
    key = f"rides/{name}"
    ports.raw.put(key, "\n".join(lines).encode())
    return key


@dataclass
class Fuse:
    """Lets calls through until one of them is the last."""

    calls: int
    """How many calls go through."""
    after: bool
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
            raise TransientError("killed")

        return guarded


class _Fragile:
    def __init__(self, port: Any, fuse: Fuse) -> None:
        self._port = port
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._port, name)
        return self._fuse.guard(attribute) if callable(attribute) else attribute


def fragile(ports: Ports, fuse: Fuse) -> Ports:
    """Return ports on the same state that die, all together, at the fuse's call."""
    fields: dict[str, Any] = {
        name: _Fragile(getattr(ports, name), fuse) for name in ("catalog", "raw", "artifacts", "online", "metrics")
    }
    return replace(ports, **fields)


def state(ports: Ports) -> dict[str, Any]:
    """Return everything that the stores hold, for comparing; an object written twice must have had one content."""
    artifacts: Any = ports.artifacts
    contents = {key: set(artifacts._versions[key]) for key in artifacts.keys("")}
    assert all(len(versions) == 1 for versions in contents.values()), "an object changed its content"
    catalog = {name: value for name, value in vars(ports.catalog).items() if name != "_lock"}
    return {"artifacts": contents, "catalog": catalog, "online": vars(ports.online)["_rows"]}


def survives_kills(prepare: Callable[[], Ports], step: Callable[[Ports], Any]) -> int:
    """Kill a step at each of its calls, before and after it takes effect, repeat it, compare with a clean run.

    Returns how many calls a clean run makes.
    """
    clean, count = prepare(), Fuse(10**6, after=False)
    expected = step(fragile(clean, count))
    for calls in range(count.made):
        for after in (False, True):
            ports = prepare()
            try:
                step(fragile(ports, Fuse(calls, after)))
            except TransientError:
                pass
            else:
                raise AssertionError(f"call {calls + 1} did not kill the step")
            assert step(ports) == expected, f"another result after a kill at call {calls + 1}, after={after}"
            assert state(ports) == state(clean), f"another state after a kill at call {calls + 1}, after={after}"
    return count.made
