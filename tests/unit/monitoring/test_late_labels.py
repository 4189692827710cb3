"""Labels late, twice, out of order and for unknown ids end as labels in time."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from perennial.monitoring.late_labels import Label, labelled_windows, latest

START = datetime(2019, 3, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
PREDICTED = {f"p{n}": START + n * HOUR for n in range(60)}
IN_TIME = [Label(name, float(n), at + HOUR) for n, (name, at) in enumerate(PREDICTED.items())]


@given(st.randoms(use_true_random=False), st.lists(st.integers(0, 59)), st.integers(0, 5))
def test_whatever_the_order_and_the_repetitions_the_windows_are_the_same(
    shuffle: random.Random, repeated: list[int], unknown: int
) -> None:
    late = IN_TIME + [IN_TIME[n] for n in repeated] + [Label(f"x{n}", 9.0, START) for n in range(unknown)]
    shuffle.shuffle(late)
    in_time = labelled_windows(PREDICTED, IN_TIME, DAY, 2 * DAY, START + 30 * DAY)
    found = labelled_windows(PREDICTED, late, DAY, 2 * DAY, START + 30 * DAY)
    assert found.windows == in_time.windows
    assert (found.unknown, found.repeated) == (unknown, len(repeated))


def test_windows_lie_by_event_time_and_hold_what_has_come() -> None:
    found = labelled_windows(PREDICTED, IN_TIME[20:30], DAY, DAY, START + 2 * DAY)
    assert [(window.start, len(window.labels), window.unlabelled) for window in found.windows] == [
        (START, 4, 20),
        (START + DAY, 6, 18),
        (START + 2 * DAY, 0, 12),
    ]
    assert found.windows[0].labels == (20, 21, 22, 23)
    assert found.windows[0].prediction_ids == ("p20", "p21", "p22", "p23")


def test_a_window_is_final_once_the_watermark_has_passed_its_end() -> None:
    def final(now: datetime) -> list[bool]:
        return [window.final for window in labelled_windows(PREDICTED, IN_TIME, DAY, 2 * DAY, now).windows]

    assert final(START + 3 * DAY - timedelta(seconds=1)) == [False, False, False]
    assert final(START + 3 * DAY) == [True, False, False]
    assert final(START + 5 * DAY) == [True, True, True]


def test_a_correction_counts_however_early_it_comes() -> None:
    wrong, right = Label("p1", 5.0, START), Label("p1", 6.0, START + HOUR)
    assert latest([right, wrong])["p1"] == latest([wrong, right])["p1"] == right
    assert latest([Label("p1", 2.0, START), Label("p1", 3.0, START)])["p1"].value == 3
