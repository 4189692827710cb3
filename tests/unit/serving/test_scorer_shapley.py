from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.errors import DataError
from perennial.flat_file import pack, unpack
from perennial.serving.scorer import read_scorer
from tests.support.flat_files import Leaf, Node, a_flat_file

CATEGORIES = [0, 0, 0, 3]
LEAVES = st.tuples(st.integers(-9, 9).map(float), st.integers(1, 9).map(float))
VALUES = st.sampled_from([-1.0, 0.0, 1.0, 2.0, math.nan])


def _nodes(below: st.SearchStrategy[Node | Leaf]) -> st.SearchStrategy[Node | Leaf]:
    numbers = st.builds(Node, st.integers(0, 2), st.sampled_from([-0.5, 0.5, 1.5]), below, below, st.booleans())
    places = st.frozensets(st.sampled_from([None, 0, 1, 2]))
    return st.one_of(
        numbers, st.builds(lambda s, left, right: Node(3, 0.0, left, right, places=s), places, below, below)
    )


TREES = st.lists(st.recursive(LEAVES, _nodes, max_leaves=10), min_size=1, max_size=3)


def rows_of(tree: Node | Leaf) -> float:
    return rows_of(tree.left) + rows_of(tree.right) if isinstance(tree, Node) else tree[1]


def expected_value(tree: Node | Leaf, row: list[float], known: frozenset[int]) -> float:
    """Follow the row at features that are known, and both branches by their training rows at others."""
    if not isinstance(tree, Node):
        return tree[0]
    value = row[tree.feature]
    if tree.feature in known:
        if tree.places is not None:
            left = (None if math.isnan(value) else int(value)) in tree.places
        else:
            left = tree.missing_goes_left if math.isnan(value) else value <= tree.threshold
        return expected_value(tree.left if left else tree.right, row, known)
    share = rows_of(tree.left) / rows_of(tree)
    return share * expected_value(tree.left, row, known) + (1 - share) * expected_value(tree.right, row, known)


def brute_force(trees: list[Node | Leaf], row: list[float]) -> list[float]:
    """Return Shapley values by their definition: over all orders in which features become known."""
    features = range(len(row))
    found = [0.0] * len(row)
    orders = list(itertools.permutations(features))
    for order in orders:
        for place, feature in enumerate(order):
            before = frozenset(order[:place])
            for tree in trees:
                found[feature] += expected_value(tree, row, before | {feature}) - expected_value(tree, row, before)
    return [each / len(orders) for each in found]


@given(TREES, st.tuples(VALUES, VALUES, VALUES, st.sampled_from([0.0, 1.0, 2.0, math.nan])).map(list))
def test_they_are_the_mean_over_all_orders_in_which_features_become_known(
    trees: list[Node | Leaf], row: list[float]
) -> None:
    scorer = read_scorer(a_flat_file(trees, 4, base=[0.25], categories=CATEGORIES))
    found = scorer.contributions(row)
    assert found.values[0] == pytest.approx(brute_force(trees, row), abs=1e-9)
    assert found.base[0] == pytest.approx(0.25 + sum(expected_value(tree, row, frozenset()) for tree in trees))
    assert found.base[0] + sum(found.values[0]) == pytest.approx(scorer.score([row])[0])


def test_a_deep_tree_with_many_features_adds_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    tree: Node | Leaf = (1.0, 1.0)
    for _ in range(300):
        tree = Node(int(rng.integers(30)), float(rng.normal()), tree, (float(rng.normal()), 2.0), bool(rng.integers(2)))
    scorer = read_scorer(a_flat_file([tree, tree], 30, mean=True))
    row = rng.normal(size=30).tolist()
    found = scorer.contributions(row)
    assert found.base[0] + sum(found.values[0]) == pytest.approx(scorer.score([row])[0], abs=1e-12)
    monkeypatch.setattr("perennial.serving.scorer_shapley._CELLS", 40)  # a leaf after the other
    assert scorer.contributions(row).values[0] == pytest.approx(found.values[0], abs=1e-11)


def test_several_classes_have_values_of_their_own() -> None:
    tree = Node(0, 0.0, (1.0, 1.0), (3.0, 1.0))
    scorer = read_scorer(
        a_flat_file(
            [tree, (5.0, 1.0), tree], 1, base=[0.0] * 3, outputs=4, seen=[0, 1, 3], link="softmax", scale="log_odds"
        )
    )
    found = scorer.contributions([-1.0])
    assert (found.classes, found.scale) == ((0, 1, 3), "log_odds")
    assert (found.base, found.values) == ((2.0, 5.0, 2.0), ((-1.0,), (0.0,), (-1.0,)))


@pytest.mark.parametrize(
    ("name", "place", "value"), [("right", 2, 5), ("cover", 1, -1.0), ("cover", 1, math.nan), ("cover", 1, math.inf)]
)
def test_branches_that_meet_again_and_rows_that_are_none_are_refused(name: str, place: int, value: float) -> None:
    inner = Node(0, 0.0, (1.0, 1.0), (2.0, 1.0))
    header, arrays = unpack(a_flat_file([Node(0, 1.0, (0.0, 1.0), Node(0, 2.0, inner, (3.0, 1.0)))], 1))
    read_scorer(pack(header, arrays)).contributions([0.0])
    arrays[name][place] = value
    with pytest.raises(DataError, match=r"model.flat: (branches of a tree meet again|fewer than no rows)"):
        read_scorer(pack(header, arrays)).contributions([0.0])
