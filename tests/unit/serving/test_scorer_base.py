from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from perennial.errors import DataError
from perennial.serving.scorer import read_scorer
from perennial.serving.scorer_base import Form, answering
from tests.support.flat_files import Node, a_flat_file

RAW = st.floats(-800, 800)


def form(link: str, outputs: int = 1, seen: tuple[int, ...] = (), scale: str = "log_odds") -> Form:
    return Form.read({"features": 2, "outputs": outputs, "seen": list(seen), "link": link, "scale": scale})


@given(RAW)
def test_a_probability_of_true_is_the_logistic_function(raw: float) -> None:
    assert answering(form("sigmoid", seen=(0, 1)))([raw]) == pytest.approx(expit(raw), rel=1e-14, abs=1e-300)


@given(st.lists(RAW, min_size=3, max_size=3))
def test_probabilities_of_classes_are_softmax(raw: list[float]) -> None:
    found = answering(form("softmax", 3, (0, 1, 2)))(raw)
    assert found == pytest.approx(softmax(raw).tolist(), rel=1e-13, abs=1e-300)


@pytest.mark.parametrize(("raw", "expected"), [(0.0, 1.0), (1.0, math.e), (710.0, math.inf), (-800.0, 0.0)])
def test_a_logarithm_is_undone(raw: float, expected: float) -> None:
    assert answering(form("exp", scale="log"))([raw]) == expected


def test_two_classes_of_several_share_one_raw_sum() -> None:
    assert answering(form("sigmoid", 4, (1, 3)))([math.log(3)]) == pytest.approx([0, 0.25, 0, 0.75])


@pytest.mark.parametrize(
    "changes",
    [
        {"features": 0}, {"features": True}, {"features": None}, {"outputs": 0}, {"link": "cube"}, {"scale": ""},
        {"seen": [1, 0]}, {"seen": [0, 0]}, {"seen": ["a"]}, {"outputs": 3}, {"outputs": 3, "seen": [0, 3]},
        {"outputs": 3, "seen": [-1, 0]}, {"link": []}, {"scale": {}}, {"seen": 5}, {"seen": [[]]},
    ],
    ids=str,
)  # fmt: skip
def test_a_form_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    header = {"features": 2, "outputs": 1, "seen": [], "link": "identity", "scale": "target"}
    Form.read(header)
    with pytest.raises(DataError, match=r"model.flat: "):
        Form.read({**header, **changes})


TREES = [Node(0, rng, (rng, 1.0), (1 / 3, 1.0), True) for rng in np.random.default_rng(0).normal(size=40).tolist()]
CONTENT = a_flat_file(TREES, 2, base=[0.1], link="sigmoid", scale="log_odds", seen=[0, 1])


def test_many_rows_are_scored_by_numpy_and_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = read_scorer(CONTENT)
    rows = np.random.default_rng(1).normal(size=(300, 2)).tolist()
    single = [scorer.score([row])[0] for row in rows]
    assert scorer.score(rows) == single
    monkeypatch.setattr("perennial.serving.scorer_base._BULK", {True: 10**9, False: 10**9})
    assert scorer.score(rows) == single


@pytest.mark.parametrize("row", [[], [1.0], [1.0, 2.0, 3.0]])
def test_a_row_of_another_width_is_refused(row: list[float]) -> None:
    scorer = read_scorer(CONTENT)
    with pytest.raises(DataError, match=f"a row has {len(row)} features, but the model reads 2"):
        scorer.score([[0.0, 0.0], row])
    with pytest.raises(DataError, match=f"a row has {len(row)} features, but the model reads 2"):
        scorer.contributions(row)
    with pytest.raises(DataError, match="but the model reads 2"):
        scorer.score_matrix(np.zeros((1, len(row))))


def test_no_rows_have_no_predictions() -> None:
    scorer = read_scorer(CONTENT)
    assert scorer.score([]) == []
    assert scorer.score_matrix(np.empty((0, 2))).shape == (0,)


STRANGERS = """
import sys
from perennial.serving.scorer import read_scorer
scorer = read_scorer(bytes.fromhex({content!r}))
scorer.score([[0.0, 0.0]] * 20)
loaded = {{name.split(".")[0] for name in sys.modules}}
print(sorted(loaded & {{"numpy", "pydantic", "onnxruntime", "sklearn", "duckdb"}}))
"""


def test_a_few_rows_are_scored_without_any_other_library() -> None:
    code = STRANGERS.format(content=CONTENT.hex())
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
