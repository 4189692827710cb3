"""Which callers a challenger answers: a share, the same ones each time, others for another challenger."""

from __future__ import annotations

import pytest

from perennial.serving.routing import answers, place_of, route_key
from perennial.serving.served import Challenger

KEYS = [f"said:{number}" for number in range(20_000)]


def a_challenger(weight: float, version: int = 2) -> Challenger:
    return Challenger(version, "m", "s", weight, shadow=False)


@pytest.mark.parametrize("weight", [0.0, 0.05, 0.5, 1.0])
def test_the_share_of_the_callers_is_the_weight(weight: float) -> None:
    share = sum(answers(a_challenger(weight), "fare", key) for key in KEYS) / len(KEYS)
    # Four standard deviations of a binomial share.
    assert abs(share - weight) <= 4 * (weight * (1 - weight) / len(KEYS)) ** 0.5


def test_a_caller_stays_with_the_challenger_while_its_share_grows() -> None:
    few = {key for key in KEYS if answers(a_challenger(0.1), "fare", key)}
    more = {key for key in KEYS if answers(a_challenger(0.3), "fare", key)}
    assert few < more


def test_another_challenger_and_another_model_take_in_others() -> None:
    share = {key for key in KEYS if answers(a_challenger(0.5), "fare", key)}
    for others in (
        {key for key in KEYS if answers(a_challenger(0.5, version=3), "fare", key)},
        {key for key in KEYS if answers(a_challenger(0.5), "tip", key)},
    ):
        assert len(share & others) / len(KEYS) == pytest.approx(0.25, abs=0.02)


def test_places_are_below_one_and_known_from_without() -> None:
    assert all(0 <= place_of("fare", 2, key) < 1 for key in KEYS[:1000])
    # printf 'fare\0002\000said:1' | sha256sum gives 8c4e…; its first 48 bits as a fraction.
    import hashlib

    digest = hashlib.sha256(b"fare\x002\x00said:1").hexdigest()
    assert place_of("fare", 2, "said:1") == int(digest[:12], 16) / 16**12


def test_nobody_is_answered_by_no_challenger() -> None:
    assert not answers(None, "fare", "said:1")


def test_what_the_caller_says_counts_then_the_entity_then_the_request() -> None:
    first = {"zone": 42, "plan": None}
    assert route_key("me", ["zone"], first, "R") == "said:me"
    assert route_key(None, ["zone"], first, "R") == route_key("", ["zone"], first, "S") == "entity:[42]"
    assert route_key(None, ["zone", "plan"], first, "R") == "request:R"
    assert route_key(None, [], first, "R") == "request:R"
    assert route_key("1", [], {}, "R") != route_key(None, ["zone"], {"zone": 1}, "R")
