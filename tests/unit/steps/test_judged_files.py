from __future__ import annotations

import numpy as np
import pytest

from perennial.errors import DataError
from perennial.serving.scorer_base import FlatScorer
from perennial.steps.candidate_files import ModelFiles
from perennial.steps.judged_files import judged_by, require_same_bits
from tests.support.artifacts import linear_graph
from tests.support.flat_files import Node, a_flat_file

FLAT = a_flat_file([Node(0, 0.0, (1.0, 1.0), (2.0, 1.0))] * 30, 4, base=[0.1])
ROWS = np.random.default_rng(0).normal(size=(500, 4))


def test_the_flat_file_judges_where_there_is_one() -> None:
    score = judged_by(ModelFiles(linear_graph(), FLAT))
    expected = np.where(ROWS[:, 0] <= 0, 30.1, 60.1)
    assert score(ROWS) == pytest.approx(expected)
    assert score(ROWS[:1]).tolist() == score(ROWS)[:1].tolist()


def test_the_graph_judges_where_there_is_no_flat_file() -> None:
    """3 + 2 · 1 + 4 / 2 + 1 + 10 / 10."""
    assert judged_by(ModelFiles(linear_graph()))(np.array([[1.0, 4.0, 1.0, 10.0]])).tolist() == [9.0]


def test_a_scorer_whose_rows_are_other_alone_than_together_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    require_same_bits(FLAT, ROWS)
    together = FlatScorer.score_matrix
    monkeypatch.setattr(FlatScorer, "score_matrix", lambda self, matrix: np.nextafter(together(self, matrix), np.inf))
    with pytest.raises(DataError, match="of 200 rows some are scored otherwise alone than together"):
        require_same_bits(FLAT, ROWS)
