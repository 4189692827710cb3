"""Losses: gaps between lines that came."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from perennial.monitoring.losses import Loss, Stretch, count_lost

NOON = datetime(2019, 3, 1, 12, tzinfo=UTC)
SINCE = "01D4V8SW00"
YOUNG, OLD = f"{SINCE}A", "01D4V8SV00"


def a_stretch(process: str, first: int, last: int, minutes: float = 0, unwritten: tuple[int, int] = (0, 0)) -> Stretch:
    return Stretch(process, first, last, NOON + timedelta(minutes=minutes), *unwritten)


@pytest.mark.parametrize(
    ("stretches", "lines"),
    [
        ([], 0),
        ([a_stretch(YOUNG, 0, 9)], 0),
        ([a_stretch(YOUNG, 3, 9)], 3),  # it began lately, so its first line should be there
        ([a_stretch(OLD, 3, 9)], 0),  # what it wrote first is out of sight
        ([a_stretch(OLD, 3, 5), a_stretch(OLD, 8, 9)], 2),
        ([a_stretch(OLD, 8, 9), a_stretch(OLD, 3, 5)], 2),
        ([a_stretch(YOUNG, 0, 5), a_stretch(YOUNG, 2, 9)], 0),  # delivered twice
        ([a_stretch(YOUNG, 0, 9), a_stretch(YOUNG, 2, 3), a_stretch(YOUNG, 11, 12)], 1),
        ([a_stretch(YOUNG, 0, 5), a_stretch(OLD, 8, 9)], 0),
        ([a_stretch(YOUNG, 0, 0), a_stretch(YOUNG, 9, 9, minutes=60)], 0),  # the others may be on their way
    ],
    ids=range(10),
)
def test_gaps_are_counted(stretches: list[Stretch], lines: int) -> None:
    assert count_lost(stretches, SINCE, NOON + timedelta(minutes=30)) == Loss(lines, 0)


def test_what_was_not_written_is_counted_from_where_the_look_begins() -> None:
    old = [a_stretch(OLD, 10, 20, unwritten=(5, 7)), a_stretch(OLD, 21, 22, unwritten=(8, 8))]
    young = [a_stretch(YOUNG, 0, 4, unwritten=(0, 1))]
    assert count_lost([*old, *young], SINCE, NOON + timedelta(minutes=1)) == Loss(0, 3 + 1)


def test_of_lines_that_are_lost_at_random_all_but_a_last_stretch_are_counted() -> None:
    dice = random.Random(1)
    for _ in range(200):
        came = sorted(dice.sample(range(50), dice.randint(1, 50)))
        stretches = [a_stretch(YOUNG, number, number) for number in came]
        dice.shuffle(stretches)
        assert count_lost(stretches, SINCE, NOON + timedelta(minutes=1)).lines == came[-1] + 1 - len(came)
