"""The point-in-time join against what users know: ``python tests/bench/point_in_time.py [EVENTSxVALUES …]``.

Events are joined with a stored view's values (three features, by entity, ttl 30 days) by each contender in a process of
its own, like with like. In memory: our join from DuckDB's tables into a frame, and ``pandas.merge_asof`` from frames
(which it wants sorted) into a frame. From Parquet to Parquet: our join, the step's whole training set (filter, target,
join, sort, split), and pandas. Feast's local offline store reads the values' Parquet and is spared the rest: its events
are in memory, and so is its answer. Of three rounds the fastest counts; what takes longer than 20 s has one. Printed
are rows/s, CPU time, peak memory, ratios within each group, and whether all found the same values, bit for bit.

pandas reads and writes Parquet by pyarrow, which is no dependency: it and Feast run in an environment of their own,
which ``uv run --with feast`` makes; ``--feast PYTHON`` names one, ``--feast none`` leaves both out. What does not end
within the limits of time and memory is told as such.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

DAYS = 100
TTL = timedelta(days=30)
FEATURES = ("f1", "f2", "f3")
SIZES = ["30000x3000", "100000x10000", "300000x30000", "1000000x100000", "10000000x1000000"]
"""Feast pairs each event with all values of its entity, so it ends before the largest ones."""
ROUNDS = 3
LONG = 20
"""Seconds beyond which a contender has one round."""
SECONDS = 600
GIBIBYTES = 14
"""What a contender may take; beyond that it counts as not having finished."""
Values = Callable[[], "np.ndarray[Any, Any]"]
"""Gives the features that were found as float64 of shape (events, 3), ordered by the events' ids."""


def write_tables(folder: Path, events: int, values: int) -> None:
    """Write ``events.parquet`` and ``values.parquet``: each entity has a value a day for a hundred days."""
    import duckdb

    entities = max(values // DAYS, 1)
    at = f"TIMESTAMP '2024-01-01' + to_microseconds((hash(i + 7) % {DAYS * 86_400_000})::BIGINT * 1000)"
    duckdb.execute(
        f"COPY (SELECT {at} AS at_time, (hash(i + 1) % {entities})::BIGINT AS entity, i AS id, "
        f"(hash(i + 2) % 1000) / 8 AS x FROM range({events}) t(i)) TO '{folder / 'events.parquet'}' (FORMAT parquet)"
    )
    moment = f"TIMESTAMP '2024-01-01' + to_seconds((i // {entities}) * 86400 + (hash(i) % 86400)::BIGINT)"
    features = ", ".join(f"(hash(i + {n}) % 1000003) / 1000 AS {name}" for n, name in enumerate(FEATURES, start=3))
    duckdb.execute(
        f"COPY (SELECT (i % {entities})::BIGINT AS entity, {moment} AS at_time, {features} "
        f"FROM range({values}) t(i) ORDER BY ALL) TO '{folder / 'values.parquet'}' (FORMAT parquet)"
    )


def definitions() -> Any:
    """Return the dataset, the view and the model that the tables are of."""
    from perennial.definitions import Candidate, Column, Dataset, FeatureView, Model, Split
    from perennial.definitions.files import Definitions

    columns = {"at_time": "timestamp", "entity": "integer", "id": "integer", "x": "double"}
    dataset = Dataset(
        name="events",
        event_time="at_time",
        columns={name: Column.model_validate({"type": kind}) for name, kind in columns.items()},
    )
    features = ", ".join(f"x AS {name}" for name in FEATURES)  # bound, and never run: the values are there already
    view = FeatureView(
        name="v",
        kind="stored",
        dataset="events",
        entity=("entity",),
        feature_time="at_time",
        ttl=TTL,
        sql=f"SELECT entity, at_time, {features} FROM events",
    )
    model = Model(
        name="bench",
        dataset="events",
        target="id",
        filter="x >= 0",
        features={"v": FEATURES},
        split=Split(holdout="7 days"),
        candidates=(Candidate(name="ridge", algorithm="ridge"),),
    )
    return Definitions({"events": dataset}, {"v": view}, {"bench": model})


def by_join(folder: Path) -> Callable[[], Values]:
    """Join as training sets and the client do, from Parquet into Parquet."""
    from perennial.data.engine import connect, write_query
    from perennial.data.point_in_time import StoredLookup, join_features

    lookup = StoredLookup(definitions().views["v"], [folder / "values.parquet"], FEATURES)

    def join() -> Values:
        with connect(folder) as connection:
            base = f"SELECT * FROM read_parquet('{folder / 'events.parquet'}')"
            write_query(connection, join_features(connection, base, "at_time", [lookup]), folder / "joined.parquet")
        return lambda: written(folder, ["joined.parquet"], "id")

    return join


def by_join_in_memory(folder: Path) -> Callable[[], Values]:
    """Join tables that are in memory into a frame, by the very SELECT that reads files elsewhere."""
    from perennial.data.engine import Resources, connect
    from perennial.data.point_in_time import StoredLookup, join_features
    from perennial.sql import literal

    path = folder / "values.parquet"
    lookup = StoredLookup(definitions().views["v"], [path], FEATURES)
    engine = connect(folder, Resources(memory=f"{GIBIBYTES // 2}GiB"))
    connection = engine.__enter__()
    for name in ("events", "values"):
        connection.execute(f"CREATE TABLE \"{name}\" AS FROM '{folder / name}.parquet'")
    connection.execute("SELECT 1").df()  # imports pandas
    query = join_features(connection, "SELECT * FROM events", "at_time", [lookup])
    on_file = f"read_parquet([{literal(str(path))}])"
    assert query.count(on_file) == 1
    query = query.replace(on_file, '"values"')

    def join() -> Values:
        joined = connection.execute(query).df()

        def values() -> np.ndarray[Any, Any]:
            engine.__exit__(None, None, None)
            return joined.sort_values("id")[[f"v__{name}" for name in FEATURES]].to_numpy(np.float64)

        return values

    return join


def by_training_set(folder: Path) -> Callable[[], Values]:
    """Make a training set as the step does, from local parts: two Parquet files, sorted by all columns."""
    from perennial.data.training_set import latest_event, period_of, write_training_set

    every = definitions()
    model, events, paths = every.models["bench"], [folder / "events.parquet"], ("train.parquet", "holdout.parquet")

    def join() -> Values:
        latest = latest_event(model, every.datasets["events"], events, folder)
        assert latest is not None
        stored, parts = {"v": [folder / "values.parquet"]}, [folder / name for name in paths]
        write_training_set(model, every, events, stored, period_of(model, latest), *parts)
        return lambda: written(folder, paths, "target")

    return join


def written(folder: Path, names: Sequence[str], order: str) -> np.ndarray[Any, Any]:
    """Read features back from Parquet."""
    import duckdb

    features = ", ".join(f"coalesce(v__{name}, 'nan'::DOUBLE) AS {name}" for name in FEATURES)
    files = [str(folder / name) for name in names]
    table = duckdb.execute(f"SELECT {features} FROM read_parquet(?) ORDER BY {order}", [files]).fetchnumpy()
    return np.column_stack([table[name] for name in FEATURES])


def by_pandas(folder: Path) -> Callable[[], Values]:
    """Sort and merge in memory; the time to read the files is not counted."""
    import duckdb

    events, values = (duckdb.execute(f"FROM '{folder / name}.parquet'").df() for name in ("events", "values"))

    def join() -> Values:
        joined = merged(events, values)
        return lambda: joined.sort_values("id")[list(FEATURES)].to_numpy(np.float64)

    return join


def by_pandas_files(folder: Path) -> Callable[[], Values]:
    """Read both files, sort, merge and write the result."""
    import pandas as pd
    import pyarrow.parquet  # noqa: F401  pandas would import it while the clock runs

    def join() -> Values:
        target = folder / "merged.parquet"
        merged(*(pd.read_parquet(folder / f"{name}.parquet") for name in ("events", "values"))).to_parquet(target)
        return lambda: pd.read_parquet(target).sort_values("id")[list(FEATURES)].to_numpy(np.float64)

    return join


def merged(events: Any, values: Any) -> Any:
    """Return events with the latest value known at or before each, as pandas does it: both must be sorted by time."""
    import pandas as pd

    events, values = (frame.sort_values("at_time") for frame in (events, values))
    return pd.merge_asof(events, values, on="at_time", by="entity", tolerance=TTL)


def by_feast(folder: Path) -> Callable[[], Values]:
    """Ask the local provider's file store for historical features; events that it drops get NaN."""
    import pandas as pd
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Float64

    config = RepoConfig(
        project="bench",
        provider="local",
        registry=str(folder / "registry.db"),
        offline_store={"type": "dask"},
        online_store={"type": "sqlite", "path": str(folder / "online.db")},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    entity = Entity(name="entity", join_keys=["entity"], value_type=ValueType.INT64)
    source = FileSource(path=str(folder / "values.parquet"), timestamp_field="at_time")
    schema = [Field(name=name, dtype=Float64) for name in FEATURES]
    view = FeatureView(name="v", entities=[entity], ttl=TTL, schema=schema, source=source)
    store.apply([entity, view])
    events = pd.read_parquet(folder / "events.parquet").rename(columns={"at_time": "event_timestamp"})

    def ask(rows: Any) -> Any:
        return store.get_historical_features(entity_df=rows, features=[f"v:{name}" for name in FEATURES]).to_df()

    ask(events.head(10))  # imports what it needs

    def join() -> Values:
        joined = ask(events)
        return lambda: joined.set_index("id").reindex(range(len(events)))[list(FEATURES)].to_numpy(np.float64)

    return join


@dataclass(frozen=True)
class Contender:
    """One way to join; the first of a group is what the others of it are compared with."""

    name: str
    prepare: Callable[[Path], Callable[[], Values]]
    """Prepares what is not measured, and returns what is."""
    package: str
    """Whose version is told."""
    elsewhere: bool = False
    """Whether it runs in the environment of Feast, which has pyarrow as well."""


GROUPS = {
    "in memory": (
        Contender("perennial", by_join_in_memory, "duckdb"),
        Contender("pandas merge_asof", by_pandas, "pandas"),
    ),
    "Parquet to Parquet": (
        Contender("perennial join", by_join, "duckdb"),
        Contender("training set", by_training_set, "duckdb"),
        Contender("pandas with pyarrow", by_pandas_files, "pandas", elsewhere=True),
        Contender("Feast local", by_feast, "feast", elsewhere=True),
    ),
}
CONTENDERS = {contender.name: contender for group in GROUPS.values() for contender in group}


def measure(name: str, folder: Path) -> None:
    """Run one contender in this process and print its figures as JSON."""
    limit = GIBIBYTES << 30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    join = CONTENDERS[name].prepare(folder)
    begun, used = time.perf_counter(), time.process_time()
    values = join()
    seconds, cpu = time.perf_counter() - begun, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = values()
    same = np.where(np.isnan(found), np.nan, found)  # of all that are NaN one
    digest = hashlib.sha256(np.ascontiguousarray(same)).hexdigest()
    package = CONTENDERS[name].package
    told = {
        "seconds": seconds,
        "cpu": cpu,
        "peak_mib": peak,
        "values": digest,
        "version": f"{package} {version(package)}",
    }
    print(json.dumps(told))


def interpreter(contender: Contender, feast: str | None) -> list[str]:
    """Return the command that runs Python for a contender."""
    if not contender.elsewhere:
        return [sys.executable]
    uv = ["uv", "run", "--no-project", "--isolated", "--with", "feast", "--with", "pandas", "python"]
    return uv if feast is None else [feast]


def run(contender: Contender, folder: Path, feast: str | None) -> dict[str, Any] | str:
    """Return a contender's figures, or a sentence on why there are none."""
    command = [*interpreter(contender, feast), __file__, "--measure", contender.name, str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"did not finish within {SECONDS} s"
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["killed"])[-1]
        return f"did not finish with {GIBIBYTES} GiB of address space: {last[:160]}"
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def fastest(contender: Contender, folder: Path, feast: str | None) -> dict[str, Any] | str:
    """Return the figures of the fastest of several rounds, or a sentence on why there are none."""
    best = run(contender, folder, feast)
    for _ in range(ROUNDS - 1):
        if isinstance(best, str) or best["seconds"] > LONG:
            break
        other = run(contender, folder, feast)
        if isinstance(other, str):
            return other
        best = min(best, other, key=lambda found: found["seconds"])
    return best


def compare(events: int, values: int, feast: str | None) -> None:
    """Run every contender on the same files and print what they took."""
    with tempfile.TemporaryDirectory() as folder:
        write_tables(Path(folder), events, values)
        print(f"{events:,} events × {values:,} values of {max(values // DAYS, 1):,} entities")
        digests: set[str] = set()
        for group, contenders in GROUPS.items():
            print(f"  {group}")
            ours: dict[str, Any] = {}
            for contender in contenders:
                if contender.elsewhere and feast == "none":
                    continue
                found = fastest(contender, Path(folder), feast)
                if isinstance(found, str):
                    print(f"    {contender.name:<20}{found}")
                    continue
                ours = ours or found
                digests.add(found["values"])
                same = "same values" if len(digests) == 1 else "OTHER VALUES"
                print(f"    {contender.name:<20}{figures(events, found)}   {same}   ({found['version']})")
                if contender is not contenders[0]:
                    print(f"{'':<24}{contenders[0].name} is {found['seconds'] / ours['seconds']:.3g} × as fast")


def figures(events: int, found: Mapping[str, Any]) -> str:
    """Return what a contender took, in words."""
    seconds = found["seconds"]
    speed = f"{events / seconds:>12,.0f} rows/s {seconds:>7.2f} s"
    return f"{speed} {found['cpu']:>7.2f} s CPU {found['peak_mib']:>6,.0f} MiB"


def main(arguments: list[str]) -> None:
    """Compare at each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", default=SIZES)
    parser.add_argument("--feast", help="a Python that has Feast and pandas, or none")
    options = parser.parse_args(arguments)
    for size in options.sizes:
        events, values = size.split("x")
        compare(int(events), int(values), options.feast)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2], Path(sys.argv[3]))
    else:
        main(sys.argv[1:])
