"""Ingest against what users know: ``python tests/bench/ingest.py [ROWS …]`` prints rows/s and peak memory, and ratios.

One CSV of 20 columns is read by each contender in a process of its own: the contract (validation, quarantine and typed
Parquet), DuckDB's COPY with the types given (nothing validated) and pandas (nothing validated either).
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd

from perennial.data.contract import validate_csv
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
    found = validate_csv(source, DATASET, target, target.with_suffix(".jsonl"))
    assert found.rows_rejected == -(-(found.rows_in - 7) // 1000), "every thousandth row is bad"
    return found.rows_in


def by_duckdb(source: Path, target: Path) -> int:
    """Read with given types and write; a bad value would end it."""
    types = ", ".join(f"'{name}': '{SQL_TYPES[column.type]}'" for name, column in DATASET.columns.items())
    query = (
        f"SELECT * FROM read_csv('{source}', header = true, auto_detect = false, delim = ',', columns = {{{types}}})"
    )
    done = duckdb.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)").fetchone()
    assert done is not None
    return int(done[0])


def by_pandas(source: Path, target: Path) -> int:
    """Read with given types into memory; pandas alone writes no Parquet, so it is spared that."""
    return len(pd.read_csv(source, parse_dates=["at_time"], dtype=dict.fromkeys(INTEGERS, "Int64")))


CONTENDERS: dict[str, Callable[[Path, Path], int]] = {
    "perennial": by_perennial,
    "DuckDB COPY": by_duckdb,
    "pandas read_csv": by_pandas,
}


def measure(name: str, source: Path, target: Path) -> None:
    """Run one contender in this process and print its figures as JSON."""
    begun = time.perf_counter()
    rows = CONTENDERS[name](source, target)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"rows": rows, "seconds": seconds, "peak_mib": peak}))


def main(sizes: list[int]) -> None:
    """Compare the contenders at each number of rows."""
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "rows.csv"
            write_csv(source, rows)
            print(f"{rows:,} rows × {len(DATASET.columns)} columns, {source.stat().st_size / 2**20:,.0f} MiB")
            speeds: dict[str, float] = {}
            for name in CONTENDERS:
                command = [sys.executable, __file__, "--measure", name, str(source), str(Path(folder) / "out")]
                found = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
                speeds[name] = found["rows"] / found["seconds"]
                print(
                    f"  {name:<16}{speeds[name]:>12,.0f} rows/s {found['peak_mib']:>8,.0f} MiB"
                    f"   perennial is {speeds['perennial'] / speeds[name]:.2f} × as fast"
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        main([int(text) for text in sys.argv[1:]] or [1_000_000, 5_000_000])
