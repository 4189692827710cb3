"""The files of a run's candidate: ``candidate.json``, ``model.onnx``, and what only training here leaves."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from perennial import keys
from perennial.ports import Ports
from perennial.serving.scorer import FLAT_FILE
from perennial.training.report import CandidateReport

GRAPH_FILE, REPORT_FILE, BASELINE_FILE = "model.onnx", "candidate.json", "baseline.json"


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


def write_candidate(ports: Ports, model: str, run_id: str, report: CandidateReport, files: ModelFiles) -> str:
    """Leave a candidate where `perennial.steps.verified.read_candidate` finds it; return its report's SHA-256."""
    content = report.model_dump_json(indent=2).encode()
    for file, body in files.named.items():
        ports.artifacts.put(keys.candidate(model, run_id, report.candidate, file), body, "application/octet-stream")
    ports.artifacts.put(keys.candidate(model, run_id, report.candidate, REPORT_FILE), content, "application/json")
    return hashlib.sha256(content).hexdigest()
