"""How fast whole files are predicted by one core, against pandas and scikit-learn over the same file.

    python tests/bench/bulk.py [ROWS]

The model is the shipped one of taxi fares (trees, ten features, three of them stored). Both read a CSV of all columns,
compute the features, join what was known of the zone at the time, predict and write the predictions. Ours also holds
each row against the contract, and writes Parquet and hashes; it goes by the deployed step on stores in memory.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from perennial.data.engine import Resources
from perennial.ports import Ports
from perennial.records import TrainingSet
from perennial.steps import score
from perennial.steps.views.view_online import read_view_manifest
from perennial.training.rows import read_rows
from tests.support.bulk import ask, collected, predicted
from tests.unit.test_same_numbers import CASES, TRIPS, Case, trained

STATS = ["mean_distance", "mean_minutes", "mean_speed"]


def main(rows: int) -> None:
    """Print rows a second of both, the memory that they took, and the ratio."""
    case = next(case for case in CASES if str(case) == "taxi_fare-trees_recent")
    with tempfile.TemporaryDirectory() as name, threadpool_limits(1):
        folder = Path(name)
        ports, learnt = trained(case)
        content = trips(rows)
        theirs, table = fitted(case, ports, learnt, folder), zone_stats(ports, folder)
        (folder / "trips.csv").write_bytes(content)
        made = ask(ports, case.model, {"trips.csv": content})
        del content
        request = score.Request(run_id=made.run_id, model=case.model, bulk_id=made.bulk_id)
        ours = measured(lambda: score.run(request, ports, resources=Resources(threads=1)))
        other = measured(lambda: by_pandas(folder, theirs, table))
        result = collected(ports, made)
        found = [(row["row"] - 2, row["value"]) for row in predicted(ports, result)]
    places, values = np.array(found, dtype=float).T
    same = np.isclose(values, np.asarray(other[2])[places.astype(int)], rtol=1e-9).mean()
    print(f"{rows:,} rows, of which {result.rejected:,} break the contract")
    for what, (seconds, megabytes, _) in (("perennial", ours), ("pandas + scikit-learn", other)):
        print(f"{what}: {rows / seconds:,.0f} rows/s of processor time, {megabytes:,.0f} MB more at its peak")
    print(f"perennial is {other[0] / ours[0]:.2f} × as fast; {same:.1%} of its predictions are the other's")


def trips(rows: int) -> bytes:
    """Return a file of trips, those of the sample again and again."""
    parts = [gzip.decompress(path.read_bytes()).splitlines(keepends=True) for path in TRIPS]
    header, lines = parts[0][0], [line for part in parts for line in part[1:]]
    return header + b"".join(lines[number % len(lines)] for number in range(rows))


def fitted(case: Case, ports: Ports, learnt: TrainingSet, folder: Path) -> HistGradientBoostingRegressor:
    """Fit scikit-learn's estimator with the candidate's parameters on the same rows."""
    path = folder / "train.parquet"
    ports.artifacts.download(learnt.train_key, path)
    rows = read_rows(path, learnt.features, learnt.categories, learnt.classes)
    definition = ports.definitions.model(case.model)
    candidate = definition.candidate(case.candidate)
    assert candidate.history is not None
    since = np.datetime64(learnt.split_at.replace(tzinfo=None) - candidate.history)
    times = duckdb.execute(f"SELECT event_time FROM '{path}'").fetchnumpy()["event_time"]
    chosen = times >= since
    model = HistGradientBoostingRegressor(**candidate.parameters, random_state=definition.seed)
    model.fit(rows.features[chosen], rows.target[chosen])
    return model


def zone_stats(ports: Ports, folder: Path) -> pd.DataFrame:
    """Return the stored view's table as a frame, in the order of its times."""
    published = ports.catalog.view("zone_stats", ports.definitions.view_version("zone_stats"))
    paths = []
    for part in read_view_manifest(ports, published.manifest_key).parts:
        paths.append(folder / f"{part.sha256}.parquet")
        ports.artifacts.download(part.key, paths[-1])
    names = ", ".join(["pickup_location_id", "feature_time", *STATS])
    table: pd.DataFrame = duckdb.execute(
        f"SELECT {names} FROM read_parquet({[str(path) for path in paths]}) ORDER BY feature_time"
    ).df()
    return table


def by_pandas(folder: Path, model: HistGradientBoostingRegressor, table: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Predict as one does with pandas; return the predictions."""
    frame = pd.read_csv(folder / "trips.csv", parse_dates=["pickup_datetime"], low_memory=False)
    frame["place"] = np.arange(len(frame))
    frame = frame.sort_values("pickup_datetime")
    frame["pickup_datetime"] = frame["pickup_datetime"].astype(table["feature_time"].dtype)
    joined = pd.merge_asof(
        frame, table, left_on="pickup_datetime", right_on="feature_time", by="pickup_location_id",
        tolerance=pd.Timedelta(days=92),
    ).sort_values("place")  # fmt: skip
    time = joined["pickup_datetime"].dt
    features = np.column_stack(
        [
            joined["trip_distance"],
            time.hour,
            time.day_of_week + 1,
            joined["passenger_count"].replace(0, np.nan).fillna(1),
            joined["rate_code_id"].fillna(1),
            joined["pickup_location_id"],
            joined["dropoff_location_id"],
            joined[STATS],
        ]
    ).astype(float)
    values: np.ndarray[Any, Any] = model.predict(features)
    pd.DataFrame({"row": joined["place"] + 2, "value": values}).to_csv(folder / "predictions.csv", index=False)
    return values


def measured(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return the processor seconds that something took, the megabytes that the process grew by, and the result."""
    before = _peak(reset=True)
    start = time.process_time()
    found = work()
    return time.process_time() - start, _peak() - before, found


def _peak(*, reset: bool = False) -> float:
    """Return the largest size that the process had, in MB, since it was last forgotten; 0 where Linux does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
