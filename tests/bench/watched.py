"""False alarms and found shifts through the monitor's own path: ``python -m tests.bench.watched [ROWS …] [--looks N]``.

Taxi trips of 18 months in an order drawn by chance are stationary. For each look a baseline that training would leave
behind stands beside a version, a window of other trips is written into the prediction log as Parquet, and the step
looks: it reads the log, counts, compares, judges. Printed are how many of the looks need attention although nothing
moved, with every least size off (so that chance alone decides) and with the default ones, and how many do where the
distances are longer by a tenth. Kept to the signals of data and predictions: labels and calls are not in it.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from perennial import keys
from perennial.data.prediction_parts import PartRow, part_of
from perennial.definitions import Monitor
from perennial.definitions.files import load_definitions
from perennial.fakes import fake_ports
from perennial.monitoring.baseline import Baseline, make_baseline
from perennial.ports import Ports
from perennial.serving.ids import make_request_id
from perennial.steps.log_window import LogReader
from perennial.steps.looking import look
from tests.bench.drift import ROOT, read_trips
from tests.support.artifacts import MODEL, a_manifest, register
from tests.support.records import AT
from tests.support.watched import watched_by

Matrix = npt.NDArray[np.float64]
LEVEL = 0.05
LEARNT = 40_000
_A_BASELINE = 20
"""Looks that share one baseline: making it is no look's affair."""
_MOVED = 50
"""Looks that are also taken at a window that has moved."""


def main(sizes: list[int], looks: int) -> None:
    """Print shares of looks that need attention."""
    trips = read_trips()
    names = [f"trip__v{place}" for place in range(trips.shape[1])]
    tiny = 1e-12
    bare = Monitor(level=LEVEL, min_psi=tiny, min_shift=tiny, min_share=tiny, window_rows=max(sizes), min_rows=1)
    usual = Monitor(level=LEVEL, window_rows=max(sizes), min_rows=1)
    for rows in sizes:
        began, false, sized, tried, found = time.perf_counter(), 0, 0, 0, 0
        for baseline, window in resamples(trips, names, rows, looks):
            ports = world(baseline, names, window)
            false += needs_attention(ports, bare)
            sized += needs_attention(ports, usual)
            if tried < _MOVED:
                tried += 1
                longer = window.copy()
                longer[:, 0] *= 1.1
                found += needs_attention(world(baseline, names, longer), bare)
        print(
            f"{looks} looks at {rows:,} stationary rows: {false / looks:.1%} need attention of {LEVEL:.0%} stated, "
            f"{sized / looks:.1%} with the least sizes; with distances a tenth longer {found / tried:.1%} "
            f"({(time.perf_counter() - began) / looks:.2f} s a look, all in)"
        )


def resamples(trips: Matrix, names: list[str], rows: int, looks: int) -> Iterator[tuple[Baseline, Matrix]]:
    """Give the baseline of rows that are learnt from, and other rows of a window."""
    draw = np.random.default_rng(35)
    for number in range(looks):
        if number % _A_BASELINE == 0:
            order = draw.permutation(len(trips))
            learnt = trips[order[:LEARNT]]
            baseline = make_baseline(learnt, names, {}, learnt[:, 0])
        yield baseline, trips[draw.choice(order[LEARNT:], rows, replace=False)]


def world(baseline: Baseline, names: list[str], window: Matrix) -> Ports:
    """Return fakes with a version that has this baseline and answered these rows within half a minute."""
    ports = fake_ports(load_definitions(ROOT / "layers" / "definitions"))
    content = baseline.model_dump_json().encode()
    manifest = a_manifest(features=tuple(names), baseline={}, baseline_sha256=hashlib.sha256(content).hexdigest())
    ports.artifacts.put(keys.artifact(MODEL, 1, "baseline.json"), content)
    register(ports, manifest)
    request_id, at = make_request_id(AT, bytes(10)), int(AT.timestamp() * 1e6)
    nothing = ("champion", 1.0, "", "{}")
    rows = [
        PartRow(request_id, row, len(window), at, *nothing, values[0], None, request_id, 0, 0, values)
        for row, values in enumerate(window.tolist())
    ]
    part, count = part_of(rows, names)
    ports.artifacts.put(keys.prediction_part(MODEL, 1, request_id, AT, count, hashlib.sha256(part).hexdigest()), part)
    ports.clock.set((AT + timedelta(hours=1)).isoformat())  # type: ignore[attr-defined]
    return ports


def needs_attention(ports: Ports, limits: Monitor) -> bool:
    """Look once."""
    champion = ports.catalog.champion(MODEL)
    assert champion is not None
    watched = watched_by(ports, limits)
    return look(watched, champion, LogReader(watched.artifacts), hourly=False).assessment.attention


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=Path(__file__).name)
    parser.add_argument("rows", nargs="*", type=int, default=[500, 50_000])
    parser.add_argument("--looks", type=int, default=200)
    given = parser.parse_args()
    main(given.rows, given.looks)
