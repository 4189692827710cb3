from __future__ import annotations

import contextlib
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.errors import DataError
from perennial.flat_file import pack, unpack
from perennial.serving.scorer import read_scorer
from tests.support.flat_files import Leaf, Node, a_flat_file

FEATURES, CATEGORIES = 3, [0, 0, 40]
VALUES = st.one_of(st.floats(width=64), st.sampled_from([math.nan, 0.0, 1.0, 0.1]))
PLACES = st.sampled_from([math.nan, -1.0, 0.5, *map(float, range(42)), 1e300, math.inf])
LEAVES = st.tuples(st.floats(-1e6, 1e6), st.integers(0, 50).map(float))
ROWS = st.lists(st.tuples(VALUES, VALUES, PLACES), min_size=1, max_size=6)


def _nodes(below: st.SearchStrategy[Node | Leaf]) -> st.SearchStrategy[Node | Leaf]:
    numbers = st.builds(
        Node, st.integers(0, 1), VALUES.filter(lambda v: not math.isnan(v)), below, below, st.booleans()
    )
    places = st.frozensets(st.one_of(st.none(), st.integers(0, 39)))
    sets = st.builds(lambda chosen, left, right: Node(2, 0.0, left, right, places=chosen), places, below, below)
    return st.one_of(numbers, sets)


TREES = st.lists(st.recursive(LEAVES, _nodes, max_leaves=12), min_size=1, max_size=6)


def walked(tree: Node | Leaf, row: tuple[float, ...]) -> float:
    """Return a tree's value, by the words of `Node`."""
    while isinstance(tree, Node):
        value = row[tree.feature]
        if tree.places is not None:
            place = int(value) if value in range(CATEGORIES[2]) else None
            left = place in tree.places
        else:
            left = tree.missing_goes_left if math.isnan(value) else value <= tree.threshold
        tree = tree.left if left else tree.right
    return tree[0]


@given(TREES, ROWS, st.floats(-10, 10))
def test_a_row_alone_and_rows_together_are_the_base_and_the_leaves_in_their_order(
    trees: list[Node | Leaf], rows: list[tuple[float, ...]], base: float
) -> None:
    scorer = read_scorer(a_flat_file(trees, FEATURES, base=[base], categories=CATEGORIES))
    expected = []
    for row in rows:
        total = base
        for tree in trees:
            total += walked(tree, row)
        expected.append(total)
    assert scorer.score(rows) == expected
    assert scorer.score_matrix(np.array(rows)).tobytes() == np.array(expected).tobytes()


SOME = Node(0, 1.0, (1.0, 3.0), Node(1, 0.1, (2.0, 2.0), (4.0, 1.0), True))


def test_a_mean_of_trees_is_divided_by_their_number() -> None:
    scorer = read_scorer(a_flat_file([SOME, SOME, (4.0, 1.0)], 2, mean=True))
    assert scorer.score([[0.0, 0.0]]) == [2.0]
    assert scorer.score_matrix(np.zeros((1, 2))).tolist() == [2.0]


def test_features_are_rounded_to_single_precision_where_the_trees_learnt_so() -> None:
    """0.1 as float32 is 0.10000000149, which is above 0.1."""
    double, single = (read_scorer(a_flat_file([SOME], 2, single=single)) for single in (False, True))
    assert (double.score([[2.0, 0.1]]), single.score([[2.0, 0.1]])) == ([2.0], [4.0])
    for rows in ([[2.0, 0.1]], [[2.0, 1e300]], [[-1e300, 0.0]]):
        assert single.score(rows) == single.score_matrix(np.array(rows)).tolist()


def test_trees_of_several_classes_take_turns() -> None:
    trees: list[Node | Leaf] = [(1.0, 1.0), (2.0, 1.0), (0.0, 1.0), (0.0, 1.0), (1.0, 1.0), (0.0, 1.0)]
    scorer = read_scorer(
        a_flat_file(trees, 1, base=[0.0, 0.0, 0.0], outputs=4, seen=[0, 1, 3], link="softmax", scale="log_odds")
    )
    total = math.exp(1) + math.exp(3) + 1
    expected = [math.exp(1) / total, math.exp(3) / total, 0.0, 1 / total]
    assert scorer.score([[0.0]])[0] == pytest.approx(expected, rel=1e-15)
    assert scorer.score_matrix(np.zeros((1, 1))).tolist() == scorer.score([[0.0]])


def test_many_nodes_are_scored_from_arrays_as_few_are_from_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    few = read_scorer(a_flat_file([SOME, replace(SOME, threshold=-1.0)], 2))
    monkeypatch.setattr("perennial.serving.scorer_trees._LISTED", 1)
    many = read_scorer(a_flat_file([SOME, replace(SOME, threshold=-1.0)], 2))
    rows = [[x, y] for x in (-2.0, 0.0, 2.0, math.nan) for y in (0.0, 0.2, math.nan)]
    assert many.score(rows) == few.score(rows)


def test_more_rows_than_go_down_together_are_scored_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = read_scorer(a_flat_file([SOME, SOME], 2))
    rows = np.random.default_rng(0).normal(size=(50, 2))
    whole = scorer.score_matrix(rows)
    monkeypatch.setattr("perennial.serving.scorer_trees_bulk._WALKS", 7)
    assert scorer.score_matrix(rows).tolist() == whole.tolist()


INTACT = a_flat_file(
    [SOME, Node(2, 0.0, (1.0, 1.0), SOME, places=frozenset({1, None}))], FEATURES, categories=CATEGORIES
)


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("roots", 0, 1), ("roots", 1, 0), ("roots", 1, 99), ("roots", 1, -1),
        ("feature", 0, 9), ("feature", 0, -2), ("feature", -1, 0),
        ("right", 0, 0), ("right", 2, 2), ("right", 2, 1), ("right", 0, 12), ("right", 0, 99), ("right", 0, -1),
        ("threshold", 5, 1.0), ("threshold", 5, -1.0), ("threshold", 5, math.nan), ("threshold", 5, 0.5),
        ("categories", 2, 64), ("categories", 2, -1),
    ],
)  # fmt: skip
def test_a_file_that_leads_nowhere_or_round_in_circles_is_refused(name: str, place: int, value: float) -> None:
    header, arrays = unpack(INTACT)
    read_scorer(pack(header, arrays))
    arrays[name][place] = value
    with pytest.raises(DataError, match=r"model.flat: "):
        read_scorer(pack(header, arrays))


@pytest.mark.parametrize("name", ["roots", "feature", "threshold", "right", "cover", "base", "categories"])
def test_a_file_that_lacks_numbers_is_refused(name: str) -> None:
    header, arrays = unpack(INTACT)
    arrays[name].pop()
    if name == "roots":
        arrays[name].pop()
    with pytest.raises(DataError, match=r"model.flat: "):
        read_scorer(pack(header, arrays))


@given(st.data())
def test_a_file_with_any_byte_changed_is_refused_or_scored_to_the_end(data: st.DataObject) -> None:
    at, byte = data.draw(st.integers(0, len(INTACT) - 1)), data.draw(st.integers(0, 255))
    changed = INTACT[:at] + bytes([byte]) + INTACT[at + 1 :]
    with contextlib.suppress(DataError):  # and nothing else
        scorer = read_scorer(changed)
        rows = [[0.0, 0.0, 1.0], [math.nan, 1e300, math.nan]]
        rows = [(row * 9)[: scorer.form.features] for row in rows if scorer.form.features < 27]
        assert len(scorer.score(rows)) == len(rows)
        for row in rows:
            scorer.contributions(row)
