"""docs/notebook.md, snippet by snippet, on fakes; the state machine is this process. tests/e2e has it on the cloud."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import perennial.client
from perennial.client import Client, submitting
from perennial.definitions.files import load_definitions
from perennial.fakes import fake_ports
from perennial.ports import Ports
from perennial.records import Trigger
from perennial.steps import admit, evaluate, features, ingest, register, take_submission, train, training_set

ROOT = Path(__file__).resolve().parents[2]
FLATS = ROOT / "docs" / "examples" / "flats"


class Person:
    """Whose runs go through the steps of the machine ``train`` at once."""

    person = "arn:aws:iam::000000000000:user/ada"

    def __init__(self, ports: Ports) -> None:
        self.ports = ports

    def start(self, verb: str, about: Mapping[str, Any], reason: str) -> str:
        run_id = f"run-{len(self.ports.catalog.versions('flat_rent')) + 1}"
        trigger, ports = Trigger(kind="person", source=self.person, reason=reason), self.ports
        given = admit.run(admit.Request(run_id=run_id, trigger=trigger, **about), ports)
        which: dict[str, Any] = {"run_id": run_id, "model": "flat_rent"}
        training_set.run(training_set.Request(**which), ports)
        if given.submission:
            take_submission.run(take_submission.Request(**which, submission=given.submission), ports)
        else:
            for name in given.candidates:
                train.run(train.Request(**which, candidate=name), ports)
        evaluate.run(evaluate.Request(**which), ports)
        made = register.run(register.Request(**which), ports)
        if made.passed:
            before = ports.catalog.champion("flat_rent")
            expected = before.version if before else None
            ports.catalog.promote("flat_rent", made.version, expected, ports.clock.now(), run_id, "it passed")
        return run_id


def test_the_snippets_of_the_page_do_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = fake_ports(load_definitions(FLATS))
    ports.raw.put("flats/flats.csv", (FLATS / "uploads" / "flats.csv").read_bytes())
    ingest.run(ingest.Request(run_id="ingest-1", bucket="raw", key="flats/flats.csv"), ports)
    features.run(features.Request(run_id="ingest-1", dataset="flats"), ports)
    person = Person(ports)
    person.start("train", {"model": "flat_rent"}, "the first model")
    monkeypatch.setattr(perennial.client, "connect", lambda: Client(ports, person))
    monkeypatch.setattr(submitting, "POLL_SECONDS", 0.001)
    monkeypatch.chdir(tmp_path)

    names: dict[str, Any] = {}
    for snippet in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "notebook.md").read_text(), re.DOTALL):
        exec(compile(snippet, "docs/notebook.md", "exec"), names)

    outcome, refused = names["outcome"], names["refused"]
    assert (outcome.version, outcome.passed) == (2, True)
    # Made-up rents lie around the rule with a standard deviation of 40 (make_uploads.py), so a perfect model misses by
    # 40 √(2/π) on average.
    assert outcome.verdict.metrics["mae"] == pytest.approx(40 * math.sqrt(2 / math.pi), rel=0.05)
    assert outcome.verdict.metrics["mae"] < outcome.verdict.champion_metrics["mae"]
    assert (refused.version, refused.passed) == (3, False)
    assert "above champion version 2's" in refused.reason
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "judged.csv").read_text()
    tried = names["client"].experiments("flat_rent")
    assert tried["status"].tolist() == ["succeeded"] * 4
    assert set(tried["name"]) == {"4 leaves", "16 leaves", "rent by area", "one tree"}
