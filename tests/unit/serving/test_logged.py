"""What is kept of a request: the sample by its id, the policy from the manifest."""

from __future__ import annotations

import random

import pytest

from perennial.manifest import Kept
from perennial.serving.ids import make_request_id
from perennial.serving.logged import LogPolicy, policy_of
from tests.support.prediction_logs import a_request
from tests.support.records import AT

DICE = random.Random(1)
IDS = [make_request_id(AT, DICE.randbytes(10)) for _ in range(10_000)]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 1.0])
def test_a_share_of_the_requests_is_kept(share: float) -> None:
    kept = sum(map(LogPolicy(sample=share).keeps, IDS))
    # Of a binomial distribution, five standard deviations at most.
    assert abs(kept - share * len(IDS)) <= 5 * (share * (1 - share) * len(IDS)) ** 0.5


def test_what_a_share_keeps_a_larger_one_keeps_too() -> None:
    small = {name for name in IDS if LogPolicy(sample=0.1).keeps(name)}
    assert small < {name for name in IDS if LogPolicy(sample=0.2).keeps(name)}


def test_the_policy_is_the_manifests() -> None:
    kept = Kept(sample=0.5, masked_inputs=("email",), masked_features=("v__b",))
    expected = LogPolicy(0.5, frozenset({"email"}), frozenset({1}))
    assert policy_of(kept.model_dump(), ("v__a", "v__b")) == expected
    assert policy_of({}, ("v__a",)) == LogPolicy()  # of a manifest from before there was one


def test_a_request_has_as_many_rows_as_its_longest_column_and_one_at_least() -> None:
    assert a_request(inputs={"a": [1, 2]}, features=[], values=[]).rows == 2
    assert a_request(inputs={}, features=[], values=[]).rows == 1
