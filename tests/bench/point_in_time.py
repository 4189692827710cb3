"""The point-in-time join against what users know: ``python tests/bench/point_in_time.py [EVENTSxVALUES …]``.

Events are joined with a stored view's values (three features, by entity, ttl 30 days) by each contender in a process of
its own: the join alone, a whole training set (filter, target, join, sort, split), ``pandas.merge_asof``, and Feast's
local offline store (``get_historical_features`` over the same Parquet). It prints rows/s, peak memory and ratios, and
whether all found the same values, bit for bit. Feast runs in an environment of its own: ``--feast PYTHON`` names one,
``--feast none`` leaves it out, and without it ``uv run --with feast`` makes one. What does not end within the limits of
time and memory is told as such. DuckDB reads the files for pandas, outside the time that is measured.
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
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

DAYS = 100
TTL = timedelta(days=30)
FEATURES = ("f1", "f2", "f3")
SECONDS = 1200
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
    from perennial.definition_files import Definitions
    from perennial.definitions import Candidate, Column, Dataset, FeatureView, Model, Split

    columns = {"at_time": "timestamp", "entity": "integer", "id": "integer", "x": "double"}
    dataset = Dataset(
        name="events",
        event_time="at_time",
        columns={name: Column.model_validate({"type": kind}) for name, kind in columns.items()},
    )
    view = FeatureView(
        name="v", kind="stored", dataset="events", entity=("entity",), feature_time="at_time", ttl=TTL, sql="SELECT 1"
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
    import pandas as pd

    events, values = (duckdb.execute(f"FROM '{folder / name}.parquet'").df() for name in ("events", "values"))

    def join() -> Values:
        joined = pd.merge_asof(
            events.sort_values("at_time"), values.sort_values("at_time"), on="at_time", by="entity", tolerance=TTL
        )
        return lambda: joined.sort_values("id")[list(FEATURES)].to_numpy(np.float64)

    return join


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

    def join() -> Values:
        job = store.get_historical_features(entity_df=events, features=[f"v:{name}" for name in FEATURES])
        joined = job.to_df()
        return lambda: joined.set_index("id").reindex(range(len(events)))[list(FEATURES)].to_numpy(np.float64)

    return join


CONTENDERS: dict[str, Callable[[Path], Callable[[], Values]]] = {
    "perennial": by_join,
    "training set": by_training_set,
    "pandas merge_asof": by_pandas,
    "Feast local": by_feast,
}


def measure(name: str, folder: Path) -> None:
    """Run one contender in this process and print its figures as JSON."""
    limit = GIBIBYTES << 30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    join = CONTENDERS[name](folder)
    begun = time.perf_counter()
    values = join()
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = values()
    same = np.where(np.isnan(found), np.nan, found)  # of all that are NaN one
    digest = hashlib.sha256(np.ascontiguousarray(same)).hexdigest()
    print(json.dumps({"seconds": seconds, "peak_mib": peak, "rows": len(found), "values": digest}))


def interpreter(name: str, feast: str | None) -> list[str]:
    """Return the command that runs Python for a contender."""
    if name != "Feast local":
        return [sys.executable]
    uv = ["uv", "run", "--no-project", "--isolated", "--with", "feast", "--with", "pandas", "python"]
    return uv if feast is None else [feast]


def run(name: str, folder: Path, feast: str | None) -> dict[str, Any] | str:
    """Return a contender's figures, or a sentence on why there are none."""
    command = [*interpreter(name, feast), __file__, "--measure", name, str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"did not finish within {SECONDS} s"
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["killed"])[-1]
        return f"did not finish with {GIBIBYTES} GiB of address space: {last[:160]}"
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(events: int, values: int, feast: str | None) -> None:
    """Run every contender on the same files and print what they took."""
    with tempfile.TemporaryDirectory() as folder:
        write_tables(Path(folder), events, values)
        print(f"{events:,} events × {values:,} values of {max(values // DAYS, 1):,} entities")
        ours: dict[str, Any] = {}
        for name in (name for name in CONTENDERS if name != "Feast local" or feast != "none"):
            found = run(name, Path(folder), feast)
            if isinstance(found, str):
                print(f"  {name:<18}{found}")
                continue
            ours = ours or found
            same = "same values" if found["values"] == ours["values"] else "OTHER VALUES"
            print(
                f"  {name:<18}{events / found['seconds']:>12,.0f} rows/s {found['peak_mib']:>8,.0f} MiB   {same}"
                f"   perennial is {found['seconds'] / ours['seconds']:.1f} × as fast"
            )


def main(arguments: list[str]) -> None:
    """Compare at each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", default=["100000x10000", "1000000x100000", "10000000x1000000"])
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
