"""How a version comes to serve, as a model's definition says it."""

from __future__ import annotations

import re
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from perennial.definitions import Delivery


def test_without_a_word_a_version_serves_at_once() -> None:
    assert (Delivery().phases, Delivery().longest) == (0, timedelta(0))


def test_the_longest_way_is_all_phases_with_the_patience_in_each() -> None:
    delivery = Delivery(shadow="1 hour", canary=(0.1, 0.5), bake="2 hours", patience="10 hours")  # type: ignore[arg-type]
    assert (delivery.phases, delivery.longest) == (3, timedelta(hours=1 + 2 * 2 + 3 * 10))
    assert delivery.model_copy(update={"on_too_little": "rollback"}).longest == timedelta(hours=5)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"canary": [0.5, 0.1]}, "each share must be larger than the one before"),
        ({"canary": [0.1, 0.1]}, "each share must be larger than the one before"),
        ({"canary": [0.5, 1.0]}, "a share of the callers is above 0 and below 1"),
        ({"canary": [0.0]}, "a share of the callers is above 0 and below 1"),
        ({"canary": [0.5], "bake": "0 hours"}, "should be longer than nothing"),
        ({"canary": [0.5], "bake": "30 days"}, "a delivery may take 30 days at most .*, not 31"),
        ({"max_latency_ratio": 1.0}, "greater than 1"),
        ({"max_error_rate": 1.0}, "less than 1"),
        ({"on_too_little": "hope"}, "'promote', 'wait' or 'rollback'"),
        ({"weights": [0.5]}, "Extra inputs are not permitted"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Delivery.model_validate(changes)


def test_the_page_shows_a_definition_that_is_one() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "delivery.md").read_text()
    [text] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    delivery = Delivery.model_validate(tomllib.loads(text)["delivery"])
    assert (delivery.shadow, delivery.canary, delivery.bake) == (timedelta(hours=1), (0.1, 0.5), timedelta(hours=2))
