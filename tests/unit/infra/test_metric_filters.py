"""Metric filters of the local cloud."""

from __future__ import annotations

import pytest

from infra.local.metric_filters import matches

PATTERN = '{ $.message = "stand_in" }'


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ('{"level": "ERROR", "message": "stand_in", "model": "fare"}', True),
        ('{"level": "ERROR", "message": "stand_in_for"}', False),
        ('{"message": "other", "inputs": ["stand_in"]}', False),
        ("stand_in", False),
        ('["stand_in"]', False),
    ],
)
def test_a_line_counts_if_its_field_has_the_value(message: str, found: bool) -> None:
    assert matches(PATTERN, message) is found


def test_a_pattern_of_another_form_is_not_taken_for_one_that_matches_nothing() -> None:
    with pytest.raises(LookupError, match="local cloud"):
        matches("[ip, user]", "any")
