"""Estimated quality before labels, beside NannyML's and beside what labels say: ``python tests/bench/estimated.py``.

The data are NannyML's bundled car loans: 50,000 reference rows with labels, then 50,000 whose labels come late, in
chunks of 5,000. From the reference rows each learns what scores mean; of each chunk it estimates the metric by
the scores alone. Printed are the realised figure, both estimates, and the mean distance of each from the realised one.

NannyML runs in an environment of its own, which ``uv run --with nannyml`` makes (it asks for older libraries than the
project's); ``--nannyml PYTHON`` names one. Without it (``none``) the rows are drawn: scores that are too sure, and a
second half in which they tell less.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

CHUNK = 5_000
METRICS = ("roc_auc", "f1", "accuracy", "average_precision")
UV = [
    "uv", "run", "--no-project", "--python", "3.11", "--with", "nannyml", "--with", "pandas<3", "--with", "numpy<2.3",
    "--with", "statsmodels", "python",
]  # fmt: skip

ENVIRONMENT = os.environ | {"NML_DISABLE_USAGE_LOGGING": "1"}
"""It would tell its makers of each call."""

THEIRS = f"""
import json, sys, nannyml
reference, analysis, target = nannyml.load_synthetic_car_loan_dataset()
estimator = nannyml.CBPE(
    y_true="repaid", y_pred="y_pred", y_pred_proba="y_pred_proba", problem_type="classification_binary",
    metrics={list(METRICS)}, chunk_size={CHUNK},
)
found = estimator.fit(reference).estimate(analysis).filter(period="analysis").to_df()
estimates = {{name: found[(name, "value")].tolist() for name in {list(METRICS)}}}
labels = analysis.merge(target, on="id")["repaid"].tolist()
rows = {{
    "reference": [reference["y_pred_proba"].tolist(), reference["repaid"].tolist()],
    "analysis": [analysis["y_pred_proba"].tolist(), labels], "estimates": estimates,
    "of": f"car loans of NannyML {{nannyml.__version__}}",
}}
json.dump(rows, open(sys.argv[1], "w"))
"""


def main(python: list[str]) -> None:
    """Print figures chunk by chunk, and how far the estimates are off."""
    from perennial.metrics import metrics
    from perennial.monitoring.estimate import estimate, make_estimator

    given = theirs(python) if python else drawn()
    scores, target = (np.array(column, dtype=np.float64) for column in given["reference"])
    now, labels = (np.array(column, dtype=np.float64) for column in given["analysis"])
    one_cell = {"prediction": np.zeros(len(scores), dtype=np.int64)}
    print(f"{given['of']}, chunks of {CHUNK:,} rows")
    for metric in METRICS:
        estimator = make_estimator(one_cell, {"prediction": (0, -1)}, scores, target, "binary", metric)
        assert estimator is not None
        print(f"\n{metric} (reference {estimator.reference:.4f})")
        print("chunk   labels  perennial       95 % band    NannyML")
        off: list[tuple[float, float, bool]] = []
        for place, start in enumerate(range(0, len(now), CHUNK)):
            part = slice(start, start + CHUNK)
            said = estimate(estimator, {"prediction": np.array([CHUNK, 0])}, CHUNK, now[part])
            assert said is not None
            realised, other = metrics(labels[part], now[part], "binary")[metric], given["estimates"][metric][place]
            off.append((abs(said.value - realised), abs(other - realised), said.low <= realised <= said.high))
            band = f"{said.low:.4f} … {said.high:.4f}"
            print(f"{place:5}   {realised:.4f}     {said.value:.4f}  {band}     {other:.4f}")
        ours, others, held = np.mean(off, axis=0)
        print(f"mean distance from labels: perennial {ours:.4f}, NannyML {others:.4f}; in the band {held:.0%}")


def theirs(python: list[str]) -> dict[str, Any]:
    """Return the rows, and NannyML's estimates by metric."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "rows.json"
        subprocess.run([*python, "-W", "ignore", "-c", THEIRS, str(place)], check=True, env=ENVIRONMENT)
        found: dict[str, Any] = json.loads(place.read_text())
    return found


def drawn() -> dict[str, Any]:
    """Return made-up rows in the same form, without estimates of others."""
    draw = np.random.default_rng(0)

    def rows(number: int, spread: float) -> tuple[list[float], list[float]]:
        chances = 1 / (1 + np.exp(-spread * draw.standard_normal(number)))
        sure = chances**2 / (chances**2 + (1 - chances) ** 2)
        return sure.tolist(), (draw.random(number) < chances).astype(float).tolist()

    first, second = rows(2 * CHUNK, 2.0), rows(2 * CHUNK, 1.0)
    analysis = [one + other for one, other in zip(first, second, strict=True)]
    nothing = dict.fromkeys(METRICS, [float("nan")] * 4)
    return {"reference": rows(10 * CHUNK, 2.0), "analysis": analysis, "estimates": nothing, "of": "made-up rows"}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--nannyml", metavar="PYTHON", help="an interpreter that has NannyML")
    arguments = parser.parse_args()
    main({None: UV, "none": []}.get(arguments.nannyml, [arguments.nannyml]))
