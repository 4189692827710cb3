"""How a model is watched: windows by count and by time, least sizes, and what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from perennial.definitions import Monitor


def monitor(**keys: Any) -> Monitor:
    return Monitor.model_validate_json(json.dumps(keys), strict=True)


@pytest.mark.parametrize(
    ("keys", "rows"),
    [({}, 5000), ({"window_rows": 2000}, 2000), ({"window": "1 day"}, 1_000_000),
     ({"window": "1 day", "window_rows": 2000}, 2000)],
    ids=["neither", "rows", "time", "both"],
)  # fmt: skip
def test_a_window_ends_by_rows_by_time_or_by_whichever_comes_first(keys: dict[str, Any], rows: int) -> None:
    assert monitor(**keys).rows == rows
    assert monitor(**keys).window == (timedelta(days=1) if "window" in keys else None)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"window_rows": 500}, "min_rows 1000 is above window_rows 500, so nothing would be published"),
        ({"feature_drift": 0.3}, "feature_drift is now min_psi"),
        ({"prediction_drift": 0.3}, "prediction_drift is now min_psi"),
        ({"min_psi": 0}, "greater than 0"),
        ({"level": 0.5}, "less than or equal to 0.2"),
        ({"window": "0 days"}, "should be longer than nothing"),
        ({"windows": "1 day"}, "Extra inputs are not permitted"),
    ],
    ids=["too few", "old", "old too", "no size", "rate", "no time", "unknown"],
)
def test_what_makes_no_sense_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        monitor(**keys)
