"""What predictions cost at AWS's list prices."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perennial.prices import Call, JobSize, always_on

ONE = Call(rows=1, seconds=0.0004, mebibytes=1024, items=0, logged_bytes=0, collecting_seconds=0.0, parts=0.0)


def test_a_million_calls_of_a_millisecond_cost_the_api_the_invocations_and_the_gibibyte_seconds() -> None:
    # 3.50 for the API, 0.20 for the invocations, 1,000 GiB seconds at 0.0000133334.
    assert ONE.dollars_per_million() == pytest.approx(3.50 + 0.20 + 0.0133334)


def test_durations_are_billed_by_whole_milliseconds() -> None:
    assert replace(ONE, seconds=0.001).dollars() == ONE.dollars()
    assert replace(ONE, seconds=0.0011).dollars_per_million() == pytest.approx(3.70 + 2 * 0.0133334)


def test_a_call_of_a_hundred_rows_costs_each_of_them_a_hundredth() -> None:
    assert replace(ONE, rows=100).dollars_per_million() == pytest.approx(ONE.dollars_per_million() / 100)


def test_features_the_log_and_its_objects_come_on_top() -> None:
    call = replace(ONE, items=2, logged_bytes=2**30, collecting_seconds=10.0, parts=1.0)
    # Two items that need not be consistent, a GiB of logs, ten GiB seconds, an object and the invocation that wrote it.
    extra = 0.125e-6 + 0.50 + 10 * 0.0000133334 + 0.005e-3 + 0.2e-6
    assert call.dollars() - ONE.dollars() == pytest.approx(extra)


def test_a_server_that_is_never_off_costs_the_same_whether_or_not_it_is_asked() -> None:
    assert always_on(JobSize(vcpus=1, gibibytes=2)) == pytest.approx(730 * (0.03238 + 2 * 0.00356))
