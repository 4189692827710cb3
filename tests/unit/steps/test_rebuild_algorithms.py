"""Every algorithm that is offered gives the same bytes again, also in another process and on several processors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from perennial.definitions.learning import Candidate
from perennial.steps import rebuild
from tests.support.rebuilds import CASES, Case, digests, small_run
from tests.support.whole_runs import ADA

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module", autouse=True)
def elsewhere() -> Iterator[subprocess.Popen[str]]:
    """Train every case in another process meanwhile, with other hashes of texts and several threads."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "layers" / "core" / "python")])
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "OMP_NUM_THREADS": "2", "PYTHONPATH": paths}
    command = [sys.executable, "-m", "tests.support.rebuilds"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.fixture(scope="module")
def made() -> dict[str, list[str]]:
    """Return what the tests here made: the digests of each case."""
    return {}


def test_every_algorithm_is_tried_for_every_task_that_it_has() -> None:
    algorithms = Candidate.model_fields["algorithm"].annotation.__args__  # type: ignore[union-attr]
    assert {case.algorithm for case in CASES} == set(algorithms)
    tasks = {name: {case.task for case in CASES if case.algorithm == name} for name in algorithms}
    every = {"regression", "binary", "multiclass"}
    assert tasks == dict.fromkeys(algorithms, every) | {
        "ridge": {"regression"},
        "logistic_regression": {"binary", "multiclass"},
    }
    assert {bool(case.estimator and case.estimator.startswith("estimators.")) for case in CASES} == {True, False}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_version_is_made_again_to_the_byte(case: Case, made: dict[str, list[str]], tmp_path: Path) -> None:
    ports = small_run(case, tmp_path)
    rebuilt = rebuild.run(rebuild.Request(run_id="rebuild-1", model="fare", version=1, trigger=ADA), ports)
    assert (rebuilt.identical, rebuilt.findings, rebuilt.max_difference) == (True, (), None)
    assert all(then == now for then, now in rebuilt.files.values())
    made[str(case)] = digests(ports)


def test_another_process_makes_the_same_bytes(
    elsewhere: subprocess.Popen[str], made: dict[str, list[str]], tmp_path: Path
) -> None:
    printed, _ = elsewhere.communicate(timeout=120)
    theirs = json.loads(printed)
    ours = {str(case): made.get(str(case)) or digests(small_run(case, tmp_path)) for case in CASES}
    assert ours == theirs
