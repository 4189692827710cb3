"""Reconstruction tells rows whose features do not go together any more."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from perennial.monitoring.cells import UNSEEN, describe
from perennial.monitoring.reconstruction import fit_reconstruction, reconstruction_errors


def test_errors_are_those_of_scikit_learns_components() -> None:
    draw = np.random.default_rng(1)
    rows = draw.standard_normal((3000, 5)) @ draw.standard_normal((5, 5))
    names = list("abcde")
    found = fit_reconstruction(rows, [describe(column, "number") for column in rows.T], {}, names)
    assert found is not None
    standard = np.clip((rows - rows.mean(axis=0)) / rows.std(axis=0), -4, 4)
    components = PCA(len(found.components), svd_solver="full").fit(standard)
    expected = np.linalg.norm(standard - components.inverse_transform(components.transform(standard)), axis=1)
    assert reconstruction_errors(found, rows) == pytest.approx(expected, abs=0.05)


def test_rows_whose_features_part_ways_have_larger_errors_though_each_is_as_ever() -> None:
    draw = np.random.default_rng(2)
    one = draw.standard_normal(5000)
    together = np.stack([one, one + 0.1 * draw.standard_normal(5000)], axis=1)
    apart = np.stack([one, draw.permutation(together[:, 1])], axis=1)
    found = fit_reconstruction(together, [describe(column, "number") for column in together.T], {}, ["a", "b"])
    assert found is not None
    assert reconstruction_errors(found, apart).mean() > 5 * reconstruction_errors(found, together).mean()


def test_a_missing_value_counts_as_the_mean_and_categories_are_told_by_their_shares() -> None:
    draw = np.random.default_rng(3)
    rows = np.stack([draw.standard_normal(4000), draw.choice(3, 4000, p=[0.6, 0.3, 0.1])], axis=1)
    histograms = [describe(rows[:, 0], "number"), describe(rows[:, 1], "category", 3)]
    found = fit_reconstruction(rows, histograms, {"b": 3}, ["a", "b"])
    assert found is not None
    assert found.shares[0] is None
    assert found.shares[1] == pytest.approx((0.6, 0.3, 0.1), abs=0.03)
    errors = reconstruction_errors(found, np.array([[np.nan, np.nan], [0.0, UNSEEN], [np.nan, 0]]))
    assert np.isfinite(errors).all()
    assert errors[0] == 0


def test_features_that_do_not_vary_are_left_out_and_one_alone_is_not_rebuilt() -> None:
    rows = np.stack([np.arange(100.0), np.full(100, 7.1)], axis=1)
    assert fit_reconstruction(rows, [describe(column, "number") for column in rows.T], {}, ["a", "b"]) is None
