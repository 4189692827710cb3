"""The loss model finds the terms that losses were made of."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from perennial.monitoring.loss_model import LossModel, fit_loss_model


def made(rows: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    draw = np.random.default_rng(seed)
    cells = {"a": draw.integers(1, 5, rows), "b": draw.integers(1, 4, rows)}
    losses = 2 + np.array([0, -1, 0, 0, 1.0, 0, 0])[cells["a"]] + np.array([0, 0, 0, 3.0, 0, 0])[cells["b"]]
    return cells, losses + draw.standard_normal(rows) * 0.5


GROUPS = {"a": (0, 0, 1, 2, 3, 3, -1), "b": (0, 0, 1, 2, 2, -1)}


def test_the_terms_are_those_of_scikit_learns_ridge_regression() -> None:
    cells, losses = made(4000, 1)
    model, _ = fit_loss_model(cells, GROUPS, losses)
    ones = np.concatenate([np.eye(7)[cells["a"]][:, 1:5], np.eye(6)[cells["b"]][:, 1:4]], axis=1)
    terms = Ridge(alpha=3.0).fit(ones, losses).coef_
    found = np.array(model.terms["a"])[1:5]
    assert found - found[0] == pytest.approx(terms[:4] - terms[0], abs=1e-9)


def test_the_mean_loss_of_a_shifted_window_is_expected_and_taken_apart() -> None:
    cells, losses = made(20_000, 2)
    model, _ = fit_loss_model(cells, GROUPS, losses)
    shifted = {"a": np.bincount(cells["a"], minlength=7), "b": np.array([0, 0, 0, 500, 0, 0])}
    # All rows now are in the cell of b whose losses are 3 higher: a third of them was before.
    assert model.expected(shifted) == pytest.approx(losses.mean() + 3 * 2 / 3, abs=0.03)
    assert model.parts(shifted) == pytest.approx({"a": 0, "b": 2}, abs=0.03)
    assert model.expected({name: np.bincount(one, minlength=len(GROUPS[name])) for name, one in cells.items()}) == (
        pytest.approx(losses.mean())
    )


def test_what_it_explains_is_measured_on_rows_that_it_has_not_seen() -> None:
    cells, losses = made(20_000, 3)
    model, expected = fit_loss_model(cells, GROUPS, losses)
    assert model.explained == pytest.approx(1 - 0.25 / losses.var(), abs=0.01)
    assert np.corrcoef(expected, losses)[0, 1] ** 2 == pytest.approx(model.explained, abs=0.01)
    noise = np.random.default_rng(4).exponential(size=20_000)
    assert fit_loss_model(cells, GROUPS, noise)[0].explained < 0.002


def test_a_mean_loss_is_never_negative() -> None:
    model = LossModel(mean=1, terms={"a": (-5.0, 5.0)}, shares={"a": (0.5, 0.5)}, explained=0.5)
    assert model.expected({"a": np.array([10, 0])}) == 0
