"""The files of a run's candidate: ``candidate.json``, ``model.onnx``, and what only training here leaves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from perennial import keys
from perennial.errors import DataError
from perennial.ports import Ports
from perennial.serving.scorer import FLAT_FILE, read_scorer
from perennial.training.report import CandidateReport
from perennial.training.scoring import loaded

Matrix = npt.NDArray[np.float64]
GRAPH_FILE, REPORT_FILE, BASELINE_FILE = "model.onnx", "candidate.json", "baseline.json"
_SAMPLE = 200
"""Rows on which one row at a time is compared with many."""


@dataclass(frozen=True)
class ModelFiles:
    """A model's files, of which the flat one is served where there is one."""

    graph: bytes
    """ONNX."""
    flat: bytes | None = None
    baseline: bytes | None = None
    """JSON of `perennial.monitoring.baseline.Baseline`: monitoring reads it, serving does not."""

    @property
    def named(self) -> dict[str, bytes]:
        """File name to content."""
        found = {GRAPH_FILE: self.graph, FLAT_FILE: self.flat, BASELINE_FILE: self.baseline}
        return {name: content for name, content in found.items() if content is not None}


def judged_by(files: ModelFiles) -> Callable[[Matrix], Matrix]:
    """Return what predicts with a model's files as serving will: (n, features) to (n,) or (n, classes)."""
    if files.flat is None:
        return loaded(files.graph)
    scorer = read_scorer(files.flat)

    def score(matrix: Matrix) -> Matrix:
        # A single row as serving scores it: its time is measured.
        return np.array(scorer.score(matrix.tolist())) if len(matrix) == 1 else scorer.score_matrix(matrix)

    return score


def require_same_bits(flat: bytes, matrix: Matrix) -> None:
    """Raise DataError unless rows that are scored one at a time get the numbers that they get together."""
    scorer = read_scorer(flat)
    rows = matrix[np.unique(np.linspace(0, len(matrix) - 1, min(_SAMPLE, len(matrix))).astype(np.int64))]
    single = np.array([scorer.score([row])[0] for row in rows.tolist()])
    if single.tobytes() != scorer.score_matrix(rows).tobytes():
        raise DataError(
            f"{FLAT_FILE}: of {len(rows)} rows some are scored otherwise alone than together; "
            "train again where libraries are as pinned"
        )


def write_candidate(ports: Ports, model: str, run_id: str, report: CandidateReport, files: ModelFiles) -> str:
    """Leave a candidate where `perennial.steps.verified.read_candidate` finds it; return its report's SHA-256."""
    content = report.model_dump_json(indent=2).encode()
    for file, body in files.named.items():
        ports.artifacts.put(keys.candidate(model, run_id, report.candidate, file), body, "application/octet-stream")
    ports.artifacts.put(keys.candidate(model, run_id, report.candidate, REPORT_FILE), content, "application/json")
    return hashlib.sha256(content).hexdigest()
