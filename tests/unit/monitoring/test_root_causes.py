"""Root causes: the feature that moved, or the one in whose cells the world changed, is on top."""

from __future__ import annotations

import numpy as np
import pytest

from perennial.monitoring.loss_model import fit_loss_model
from perennial.monitoring.root_causes import causes_before_labels, causes_of

GROUPS = {"hard": (0, 0, 1, 1, -1), "easy": (0, 0, 1, 1, -1)}


def rows(
    seed: int, hard: float = 0.5, easy: float = 0.5, extra: float = 0.0
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Losses are 1 higher in cell 2 of ``hard``, and ``extra`` higher in cell 1 of ``easy``."""
    draw = np.random.default_rng(seed)
    cells = {"hard": 1 + (draw.random(8000) < hard), "easy": 1 + (draw.random(8000) < easy)}
    losses = 2 + (cells["hard"] == 2) + extra * (cells["easy"] == 1) + 0.3 * draw.standard_normal(8000)
    return cells, losses


MODEL, _ = fit_loss_model(rows(1)[0], GROUPS, rows(1)[1])


def test_before_labels_the_shift_that_makes_rows_harder_is_on_top() -> None:
    cells, losses = rows(2, hard=0.9, easy=0.1)
    found = causes_before_labels(MODEL, {name: np.bincount(one, minlength=5) for name, one in cells.items()})
    assert found.causes[0].subject == "hard"
    assert found.causes[0].shifted == pytest.approx(0.4, abs=0.03)
    assert found.expected == pytest.approx(losses.mean(), abs=0.03)


def test_with_labels_a_shift_explains_all_of_the_change() -> None:
    found = causes_of(MODEL, *rows(3, hard=0.9, easy=0.1))
    assert found.causes[0].subject == "hard"
    assert found.causes[0].share == pytest.approx(1, abs=0.05)
    assert found.unexplained == pytest.approx(0, abs=0.03)


def test_where_the_world_changed_no_shift_explains_it_and_its_cell_is_named() -> None:
    found = causes_of(MODEL, *rows(4, extra=2.0))
    assert found.unexplained == pytest.approx(1, abs=0.05)
    top = found.causes[0]
    assert (top.subject, top.worst) == ("easy", 1)
    assert top.worst_excess == pytest.approx(2, abs=0.05)
    assert top.found == pytest.approx(1, abs=0.05)  # 2 in one half and 0 in the other: 1 about their mean
    assert found.causes[1].found == pytest.approx(0, abs=0.05)
