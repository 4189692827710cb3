from __future__ import annotations

import hashlib

import numpy as np
import pytest

from perennial.errors import DataError, NotFoundError
from perennial.flat_file import pack
from perennial.serving.scorer import read_scorer, scorer_of, served_file
from tests.support.artifacts import FEATURES, PRICE_GRAPH, a_classifier, a_manifest, linear_graph
from tests.support.flat_files import a_flat_file

FLAT = a_flat_file([(7.0, 1.0)], len(FEATURES))
FILES = {"model.onnx": hashlib.sha256(linear_graph()).hexdigest(), "model.flat": hashlib.sha256(FLAT).hexdigest()}


def test_a_version_is_served_from_its_flat_file_if_it_has_one() -> None:
    manifest = a_manifest(files=FILES)
    assert served_file(manifest.files) == "model.flat"
    assert scorer_of(manifest, FLAT).score([[0.0] * 4]) == [7.0]


def test_a_version_of_before_is_served_by_onnxruntime() -> None:
    """3 + 2 · 1 + 4 / 2 + 1 + 10 / 10."""
    manifest = a_manifest()
    assert served_file(manifest.files) == "model.onnx"
    scorer = scorer_of(manifest, linear_graph())
    assert scorer.score([[1.0, 4.0, 1.0, 10.0]]) == [9.0]
    assert scorer.score([]) == []
    assert scorer.score_matrix(np.array([[1.0, 4.0, 1.0, 10.0]] * 2)).tolist() == [9.0, 9.0]
    with pytest.raises(NotFoundError, match="version 1 of taxi_fare is an ONNX file alone"):
        scorer.contributions([1.0, 4.0, 1.0, 10.0])


def test_classes_of_a_version_of_before_have_a_probability_each() -> None:
    scorer = scorer_of(a_classifier("multiclass", PRICE_GRAPH), PRICE_GRAPH)
    assert scorer.score([[0.0, 1.0]])[0] == pytest.approx([0.5, 0.25, 0.25])


def test_a_version_without_either_file_is_refused() -> None:
    with pytest.raises(DataError, match=r"files names neither model.flat nor model.onnx"):
        served_file({"card.json": "x"})


@pytest.mark.parametrize(
    "content",
    [
        a_flat_file([(7.0, 1.0)], 3),
        a_flat_file([(7.0, 1.0)] * 3, 4, base=[0.0] * 3, outputs=3, seen=[0, 1, 2], link="softmax"),
    ],
    ids=["features", "outputs"],
)
def test_a_flat_file_of_another_model_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="but its manifest says 4 and 1"):
        scorer_of(a_manifest(files=FILES), content)


@pytest.mark.parametrize(
    "content", [b"", b"pickle", linear_graph(), pack({"format": 2, "kind": "trees"}, {}), pack({"kind": "x"}, {}),
                pack({"format": 1, "kind": ["trees"]}, {}), pack({"format": 1, "kind": "trees"}, {})],
    ids=["empty", "other", "onnx", "format", "kind", "list", "bare"],
)  # fmt: skip
def test_what_is_no_flat_file_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match=r"model.flat: .*; train and register again"):
        read_scorer(content)
