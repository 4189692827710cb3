"""What a new process loads until ``predict`` has answered: the standard library and nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {
    "aws_lambda_powertools",
    "boto3",
    "botocore",
    "duckdb",
    "numpy",
    "onnxruntime",
    "pandas",
    "pydantic",
    "sklearn",
    "urllib3",
}


def loaded(statement: str) -> set[str]:
    """Return the top-level packages that a new process has after a statement."""
    paths = [str(ROOT), str(ROOT / "layers" / "core" / "python")]
    code = (
        f"import sys; sys.path[:0] = {paths!r}; {statement}; import json; "
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(ran.stdout))


@pytest.mark.parametrize(
    "statement",
    [
        "import functions.predict",
        "import perennial.serving.tensors, perennial.serving.compiled_view",
        "import perennial.serving.scorer, perennial.serving.scorer_trees, perennial.serving.scorer_linear",
    ],
    ids=["handler", "late parts", "scorers"],
)
def test_the_hot_path_loads_nothing_heavy(statement: str) -> None:
    assert loaded(statement) & HEAVY == set()


def test_this_test_would_notice() -> None:
    assert {"pydantic", "numpy"} <= loaded("import perennial.manifest, perennial.encoding")
