"""Ingest against what users know: ``python tests/bench/ingest.py [ROWS …]`` prints rows/s and peak memory, and ratios.

One CSV of 20 columns is read by each contender in a process of its own, several times in turn, of which the fastest
counts: the contract (validation, quarantine and typed Parquet), DuckDB's COPY with the types given, once as it comes
and once with zstd, Polars from a lazy scan to a Parquet sink, and pandas. All but the contract validate nothing.
Polars is no dependency: ``uv run --with polars python tests/bench/ingest.py``. ``--rounds 3`` says how often.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from perennial.data.contract.validate import validate
from perennial.definitions import Column, Dataset

DOUBLES = [f"d{number}" for number in range(8)]
INTEGERS = [f"i{number}" for number in range(6)]
STRINGS = [f"s{number}" for number in range(4)]
DATASET = Dataset(
    name="bench",
    event_time="at_time",
    columns={
        "at_time": Column(type="timestamp"),
        "flag": Column(type="boolean"),
        **{name: Column(type="double", min=-1e6, max=1e6) for name in DOUBLES},
        **{name: Column(type="integer", min=0) for name in INTEGERS},
        **{name: Column(type="string", nullable=True) for name in STRINGS},
    },
)
SQL_TYPES = {
    "timestamp": "TIMESTAMP",
    "boolean": "BOOLEAN",
    "double": "DOUBLE",
    "integer": "BIGINT",
    "string": "VARCHAR",
}


def write_csv(path: Path, rows: int) -> None:
    """Write made-up rows, every thousandth of which breaks the contract with a negative count."""
    columns = [
        "TIMESTAMP '2024-01-01' + INTERVAL (i) SECOND AS at_time",
        "i % 3 = 0 AS flag",
        *(f"round(sin(i * {n + 1}) * 1000, 3) AS {name}" for n, name in enumerate(DOUBLES)),
        *(
            f"{'CASE WHEN i % 1000 = 7 THEN -1 ELSE i END' if n == 0 else f'(i * {n}) % 10007'} AS {name}"
            for n, name in enumerate(INTEGERS)
        ),
        *(f"'value ' || (i * {n + 3}) % 97 AS {name}" for n, name in enumerate(STRINGS)),
    ]
    duckdb.execute(f"COPY (SELECT {', '.join(columns)} FROM range({rows}) t(i)) TO '{path}' (HEADER, DELIMITER ',')")


def by_perennial(source: Path, target: Path) -> int:
    """Validate, quarantine, type and write."""
    target.mkdir()
    found = validate(source, DATASET, target, target.with_suffix(".jsonl"), name=source.name)
    assert found.rows_rejected == -(-(found.rows_in - 7) // 1000), "every thousandth row is bad"
    return found.rows_in


def by_duckdb(source: Path, target: Path, options: str = "") -> int:
    """Read with given types and write; a bad value would end it."""
    types = ", ".join(f"'{name}': '{SQL_TYPES[column.type]}'" for name, column in DATASET.columns.items())
    query = (
        f"SELECT * FROM read_csv('{source}', header = true, auto_detect = false, delim = ',', columns = {{{types}}})"
    )
    done = duckdb.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet{options})").fetchone()
    assert done is not None
    return int(done[0])


def by_duckdb_zstd(source: Path, target: Path) -> int:
    """As above, with zstd."""
    return by_duckdb(source, target, ", COMPRESSION zstd")


def by_polars(source: Path, target: Path) -> int:
    """Scan with given types and write, out of memory."""
    pl: Any = importlib.import_module("polars")

    types = {
        "timestamp": pl.Datetime("us"),
        "boolean": pl.Boolean,
        "double": pl.Float64,
        "integer": pl.Int64,
        "string": pl.String,
    }
    schema = {name: types[column.type] for name, column in DATASET.columns.items()}
    schema["at_time"] = pl.String  # its CSV reader takes a time zone or nothing
    pl.scan_csv(source, schema=schema).with_columns(
        pl.col("at_time").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us")
    ).sink_parquet(target)
    return int(pl.scan_parquet(target).select(pl.len()).collect().item())


def by_pandas(source: Path, target: Path) -> int:
    """Read with given types into memory; pandas alone writes no Parquet, so it is spared that."""
    return len(pd.read_csv(source, parse_dates=["at_time"], dtype=dict.fromkeys(INTEGERS, "Int64")))


CONTENDERS: dict[str, Callable[[Path, Path], int]] = {
    "perennial": by_perennial,
    "DuckDB COPY": by_duckdb,
    "DuckDB COPY zstd": by_duckdb_zstd,
    "Polars": by_polars,
    "pandas read_csv": by_pandas,
}
MODULES = {"Polars": "polars"}


def measure(name: str, source: Path) -> None:
    """Run one contender in this process and print its figures as JSON."""
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        begun = time.perf_counter()
        rows = CONTENDERS[name](source, Path(folder) / "out")
        seconds = time.perf_counter() - begun
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {"rows": rows, "seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "peak_mib": used.ru_maxrss / 1024}
    sys.stdout.write(json.dumps(found))


def compare(rows: int, rounds: int) -> None:
    """Compare the contenders at a number of rows."""
    names = [name for name in CONTENDERS if name not in MODULES or importlib.util.find_spec(MODULES[name])]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "rows.csv"
        write_csv(source, rows)
        print(f"{rows:,} rows × {len(DATASET.columns)} columns, {source.stat().st_size / 2**20:,.0f} MiB")
        found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for name in names * rounds:
            command = [sys.executable, __file__, "--measure", name, str(source)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True)
            if done.returncode == 0:
                found[name].append(json.loads(done.stdout))
    best = {name: min(results, key=lambda one: one["seconds"]) for name, results in found.items() if results}
    for name in CONTENDERS:
        if name not in best:
            print(f"  {name:<18} {'is not installed' if name not in names else 'failed (out of memory?)'}")
            continue
        one, ours = best[name], best["perennial"]
        peak = max(result["peak_mib"] for result in found[name])
        print(
            f"  {name:<18}{one['rows'] / one['seconds']:>12,.0f} rows/s {one['cpu']:>7.1f} s CPU {peak:>8,.0f} MiB"
            f"   perennial is {one['seconds'] / ours['seconds']:.2f} × as fast"
        )


def main() -> None:
    """Compare at each size, or measure one contender."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="*", default=[1_000_000, 5_000_000, 20_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", nargs=2, metavar=("CONTENDER", "FILE"))
    given = parser.parse_args()
    if given.measure:
        measure(given.measure[0], Path(given.measure[1]))
        return
    for rows in given.rows:
        compare(rows, given.rounds)


if __name__ == "__main__":
    main()
