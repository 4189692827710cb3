"""The two files of a run's candidate: ``model.onnx`` and ``candidate.json``."""

from __future__ import annotations

import hashlib

from perennial import keys
from perennial.ports import Ports
from perennial.training.report import CandidateReport


def write_candidate(ports: Ports, model: str, run_id: str, report: CandidateReport, artifact: bytes) -> str:
    """Leave a candidate where `perennial.steps.verified.read_candidate` finds it; return its report's SHA-256."""
    content = report.model_dump_json(indent=2).encode()
    for file, body, kind in (
        ("model.onnx", artifact, "application/octet-stream"),
        ("candidate.json", content, "application/json"),
    ):
        ports.artifacts.put(keys.candidate(model, run_id, report.candidate, file), body, kind)
    return hashlib.sha256(content).hexdigest()
