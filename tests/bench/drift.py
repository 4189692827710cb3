"""Drift of 20 features against what users know: ``python tests/bench/drift.py [ROWS …]``.

A reference and a window of as many rows each, 16 numbers and 4 categories, as Parquet; three features have moved: one
by 0.3 standard deviations, one is half as wide again, one category has other shares. Each contender reads Parquet and
gives a verdict on each feature, in a process of its own: ours against the baseline that training left behind,
Evidently's data drift preset and NannyML's univariate drift against the reference rows, which they read. Printed are
seconds, peak memory and ratios, and who found what.

Evidently and NannyML run in environments of their own, which ``uv run --with`` makes; ``--evidently PYTHON`` and
``--nannyml PYTHON`` name interpreters that have them, ``none`` leaves one out. With ``--alarms`` the rest is printed
too: the false alarms of 200 looks at stationary resamples of the taxi trips, and how many rows planted shifts take.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
NUMBERS, CATEGORIES, VALUES = 16, 4, 8
MOVED = ("f0", "f1", "c0")
NAMES = [*(f"f{place}" for place in range(NUMBERS)), *(f"c{place}" for place in range(CATEGORIES))]
TEXTS = [chr(97 + place) for place in range(VALUES)]
QUIET = os.environ | {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}
"""Neither of them tells its makers of each call then."""
WITH = {
    "evidently": ["--with", "evidently", "--with", "pandas<3"],
    "nannyml": ["--with", "nannyml", "--with", "pandas<3", "--with", "numpy<2.3", "--with", "statsmodels"],
}
EVIDENTLY = """
import pandas
from evidently import Dataset, DataDefinition, Report
from evidently.presets import DataDriftPreset
# began
numbers = [name for name in names if name[0] == "f"]
told = DataDefinition(numerical_columns=numbers, categorical_columns=[name for name in names if name[0] == "c"])
reference, window = (Dataset.from_pandas(pandas.read_parquet(path), told) for path in (reference, window))
found = json.loads(Report([DataDriftPreset()]).run(window, reference).json())
for metric in found["metrics"]:
    config = metric["config"]
    if config["type"].endswith("ValueDrift"):
        value, threshold = metric["value"], config["threshold"]
        moved[config["column"]] = value < threshold if "p_value" in config["method"] else value >= threshold
"""
NANNYML = """
import nannyml, pandas
# began
reference, window = (pandas.read_parquet(path) for path in (reference, window))
drift = nannyml.UnivariateDriftCalculator(
    column_names=names, chunk_number=10, continuous_methods=["jensen_shannon"], categorical_methods=["jensen_shannon"],
)
found = drift.fit(reference).calculate(window).filter(period="analysis").to_df()
for name in names:
    moved[name] = bool(found[(name, "jensen_shannon", "alert")].mean() > 0.5)
"""
AROUND = """
import json, resource, sys, time
names, reference, window = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
moved = {}
%s
seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak, "moved": [name for name in names if moved[name]]}))
"""
BEGAN = "began, cpu = time.perf_counter(), time.process_time()"
"""Imports are nobody's time."""


def main(sizes: list[int], interpreters: dict[str, str]) -> None:
    """Print seconds, memory, ratios and verdicts."""
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            reference, window = write_tables(Path(folder), rows)
            began = time.perf_counter()
            ours(["--make", str(reference)], Path(folder))
            print(f"\n{rows:,} × {len(NAMES)}; the baseline took {time.perf_counter() - began:.1f} s at training time")
            found = {"perennial": ours(["--look", str(window)], Path(folder))}
            for name, script in (("evidently", EVIDENTLY), ("nannyml", NANNYML)):
                if interpreters[name] != "none":
                    found[name] = others(name, script, interpreters[name], reference, window)
        for name, one in found.items():
            ratio, of_cpu = (one[kind] / found["perennial"][kind] for kind in ("seconds", "cpu"))
            memory = found["perennial"]["peak"] / one["peak"]
            told = (
                f"{name:10} {one['seconds']:7.2f} s ({one['cpu']:.2f} s of processors)  {one['peak'] / 2**20:6.0f} MiB"
            )
            print(f"{told}  moved: {', '.join(one['moved'])}")
            if name != "perennial":
                faster = f"{ratio:.0f} × as fast ({of_cpu:.0f} × in processor time)"
                print(f"           perennial is {faster}, at {memory:.2f} of the memory")


def write_tables(folder: Path, rows: int) -> tuple[Path, Path]:
    """Write the reference and the window."""
    import duckdb

    def normal(place: int, at: str) -> str:
        one, other = (f"((hash(i * 40 + {2 * place + k}, '{at}') % 1000003 + 0.5) / 1000003)" for k in (0, 1))
        return f"sqrt(-2 * ln({one})) * cos(6.283185307179586 * {other})"

    paths = []
    for at in ("reference", "window"):
        told = []
        for place, name in enumerate(NAMES):
            value = normal(place, at)
            if name.startswith("c"):
                share = f"((hash(i * 40 + {2 * place}, '{at}') % 1000003) / 1000003)"
                power = 1.2 if (at, name) == ("window", "c0") else 2
                value = f"chr(97 + floor({VALUES} * {share} ** {power})::INTEGER)"
            elif (at, name) == ("window", "f0"):
                value += " + 0.3"
            elif (at, name) == ("window", "f1"):
                value = f"1.5 * {value}"
            told.append(f"{value} AS {name}")
        paths.append(folder / f"{at}.parquet")
        select = f"SELECT {', '.join(told)} FROM range({rows}) r(i)"
        duckdb.execute(f"COPY ({select}) TO '{paths[-1]}' (FORMAT parquet, ROW_GROUP_SIZE 122880)")
    return paths[0], paths[1]


def ours(arguments: list[str], folder: Path) -> dict[str, Any]:
    """Run this script in a process of its own."""
    command = [sys.executable, __file__, *arguments, "--folder", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout or "{}"))


def others(name: str, script: str, interpreter: str, reference: Path, window: Path) -> dict[str, Any]:
    """Run another tool in a process of its own."""
    made = ["uv", "run", "--no-project", "--python", "3.11", *WITH[name], "python"]
    command = [
        *(made if interpreter == "uv" else [interpreter]),
        "-W",
        "ignore",
        "-c",
        AROUND % script.replace("# began", BEGAN),
    ]
    command += [json.dumps(NAMES), str(reference), str(window)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=QUIET)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def make(reference: Path, folder: Path) -> None:
    """Leave the baseline of the reference rows, as training does."""
    from perennial.data.matrices import read_matrices
    from perennial.monitoring.baseline import make_baseline

    categories = {name: TEXTS for name in NAMES if name.startswith("c")}
    rows = np.concatenate(list(read_matrices([reference], NAMES, categories, folder)))
    baseline = make_baseline(rows, NAMES, dict.fromkeys(categories, VALUES), rows[:, 0])
    (folder / "baseline.json").write_text(baseline.model_dump_json())


def look_at(window: Path, folder: Path) -> None:
    """Print seconds, peak memory and which features moved."""
    from perennial.data.engine import Resources
    from perennial.data.matrices import read_matrices
    from perennial.monitoring.baseline import Baseline
    from perennial.monitoring.signals import assess
    from perennial.monitoring.window import Window, count

    began, cpu = time.perf_counter(), time.process_time()
    baseline = Baseline.model_validate_json((folder / "baseline.json").read_bytes())
    categories = {name: TEXTS for name in NAMES if name.startswith("c")}
    total = Window(0, {})
    for part in read_matrices([window], NAMES, categories, folder, Resources(memory="256MB")):
        total += count(baseline, part)
    moved = {signal.subject for signal in assess(baseline, total).alarms}
    found = {
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "moved": [name for name in NAMES if name in moved],
    }
    print(json.dumps(found))


def alarms(resamples: tuple[int, ...], looks: int) -> None:
    """Print false alarms on stationary resamples of real trips, and how many rows planted shifts take."""
    from perennial.monitoring.baseline import make_baseline
    from perennial.monitoring.power import rows_needed
    from perennial.monitoring.signals import Policy, assess
    from perennial.monitoring.window import count

    trips = read_trips()
    draw, names = np.random.default_rng(0), [f"v{place}" for place in range(trips.shape[1])]
    policy = Policy(level=0.05, min_psi=0, min_shift=0, min_share=0)
    for rows in resamples:
        false = with_floors = 0
        for number in range(looks):
            if number % 20 == 0:
                order = draw.permutation(len(trips))
                learnt = trips[order[:40_000]]
                baseline = make_baseline(learnt, names, {}, learnt[:, 0])
            window = trips[draw.choice(order[40_000:], rows, replace=False)]
            counted = count(baseline, window, window[:, 0])
            false += bool(assess(baseline, counted, policy).alarms)
            with_floors += bool(assess(baseline, counted, Policy(level=0.05)).alarms)
        print(
            f"{looks} looks at {rows:,} stationary rows: {false / looks:.1%} false alarms of 5 % stated, "
            f"{with_floors / looks:.1%} with the least sizes"
        )
    baseline = make_baseline(trips[:40_000], names, {}, trips[:40_000, 0])
    signals = len(assess(baseline, count(baseline, trips[40_000:41_000], trips[40_000:41_000, 0]), policy).signals)
    for factor in (1.05, 1.1, 1.2, 1.4):
        moved = trips[40_000:].copy()
        moved[:, 0] *= factor
        psi = next(
            signal.value
            for signal in assess(baseline, count(baseline, moved), policy).signals
            if (signal.kind, signal.subject) == ("distribution", "v0")
        )
        said = rows_needed(psi, policy.level / signals, 0.9, 10, 40_000)
        took = sorted(delay(baseline, moved[draw.permutation(len(moved))], policy) for _ in range(min(looks, 20)))
        middle = took[len(took) // 2]
        print(
            f"distances × {factor}: PSI {psi:.4f}, 90 % of looks find it in {said:,} rows; it took {middle:,} (median)"
        )


def delay(baseline: Any, rows: np.ndarray[Any, Any], policy: Any) -> int:
    """Return how many rows, looked at from the first on each time in steps of a quarter, it took to alarm."""
    from perennial.monitoring.signals import assess
    from perennial.monitoring.window import count

    seen = 100
    while seen < len(rows):
        if any(signal.subject == "v0" for signal in assess(baseline, count(baseline, rows[:seen]), policy).alarms):
            return seen
        seen = int(seen * 1.25)
    return len(rows)


def read_trips() -> np.ndarray[Any, Any]:
    """Return the taxi trips of 18 months as numbers, in an order drawn by chance: stationary."""
    import pandas as pd

    files = sorted((ROOT / "events" / "uploads" / "taxi_trips").glob("*.csv.gz"))
    table = pd.concat([pd.read_csv(file, parse_dates=["pickup_datetime"]) for file in files])
    at = table["pickup_datetime"].dt
    table = table.assign(hour=at.hour, weekday=at.day_of_week)
    columns = ["trip_distance", "hour", "weekday", "passenger_count", "rate_code_id", "payment_type", "fare_amount"]
    return np.random.default_rng(0).permutation(table[columns].to_numpy(np.float64))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="*", type=int, default=[1_000_000])
    parser.add_argument("--evidently", default="uv")
    parser.add_argument("--nannyml", default="uv")
    parser.add_argument("--alarms", type=int, nargs="*", metavar="ROWS")
    parser.add_argument("--looks", type=int, default=200)
    parser.add_argument("--make", type=Path)
    parser.add_argument("--look", type=Path)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.make:
        make(given.make, given.folder)
    elif given.look:
        look_at(given.look, given.folder)
    else:
        main(given.rows, {"evidently": given.evidently, "nannyml": given.nannyml})
        if given.alarms is not None:
            alarms(tuple(given.alarms or (500, 50_000)), given.looks)
