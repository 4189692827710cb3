"""A small dataset with views and a model, and what a step that is killed and repeated must leave of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from perennial.definitions import Candidate, Column, Dataset, FeatureView, Model, Split
from perennial.definitions.files import Definitions
from perennial.fakes import fake_ports
from perennial.ports import Ports
from tests.support.interruptions import each_death

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


def state(ports: Ports) -> dict[str, Any]:
    """Return everything that the stores hold, for comparing; an object written twice must have had one content."""
    artifacts: Any = ports.artifacts
    contents = {key: set(artifacts._versions[key].values()) for key in artifacts.keys("")}
    assert all(len(versions) == 1 for versions in contents.values()), "an object changed its content"
    catalog = {name: value for name, value in vars(ports.catalog).items() if name != "_lock"}
    return {"artifacts": contents, "catalog": catalog, "online": vars(ports.online)["_rows"]}


def survives_kills(prepare: Callable[[], Ports], step: Callable[[Ports], Any], *, before: bool = True) -> int:
    """Kill a step at each of its calls, repeat it, compare with a clean run; return how many states that left."""
    clean = prepare()
    expected = step(clean)
    deaths = 0
    for ports, where in each_death(step, prepare, before=before):
        assert step(ports) == expected, f"another result, {where}"
        assert state(ports) == state(clean), f"another state, {where}"
        deaths += 1
    return deaths
