"""The files of a run's candidate: ``candidate.json``, ``model.onnx`` and, of what was trained here, ``model.flat``."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from perennial import keys
from perennial.ports import Ports
from perennial.serving.scorer import FLAT_FILE
from perennial.training.report import CandidateReport

GRAPH_FILE, REPORT_FILE = "model.onnx", "candidate.json"


@dataclass(frozen=True)
class ModelFiles:
    """A model's files, of which the flat one is served where there is one."""

    graph: bytes
    """ONNX."""
    flat: bytes | None = None

    @property
    def named(self) -> dict[str, bytes]:
        """File name to content."""
        return {GRAPH_FILE: self.graph, **({} if self.flat is None else {FLAT_FILE: self.flat})}


def write_candidate(ports: Ports, model: str, run_id: str, report: CandidateReport, files: ModelFiles) -> str:
    """Leave a candidate where `perennial.steps.verified.read_candidate` finds it; return its report's SHA-256."""
    content = report.model_dump_json(indent=2).encode()
    for file, body in files.named.items():
        ports.artifacts.put(keys.candidate(model, run_id, report.candidate, file), body, "application/octet-stream")
    ports.artifacts.put(keys.candidate(model, run_id, report.candidate, REPORT_FILE), content, "application/json")
    return hashlib.sha256(content).hexdigest()
