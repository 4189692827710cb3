from __future__ import annotations

import pytest

from perennial.steps.candidate_files import ModelFiles


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (ModelFiles(b"graph"), {"model.onnx": b"graph"}),
        (ModelFiles(b"graph", b"flat"), {"model.onnx": b"graph", "model.flat": b"flat"}),
    ],
    ids=["graph", "both"],
)
def test_files_are_named_as_a_version_names_them(files: ModelFiles, expected: dict[str, bytes]) -> None:
    assert files.named == expected
