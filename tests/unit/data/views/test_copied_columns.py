"""Which columns of a request view are copies of the dataset's."""

from __future__ import annotations

import pytest

from perennial.data.views.copied_columns import copied_columns
from perennial.definitions import FeatureView

COLUMNS = ("began", "email", "miles")


@pytest.mark.parametrize(
    ("selected", "copies"),
    [
        ("email", {"email": "email"}),
        ("EMAIL AS who", {"who": "email"}),
        ("rides.email AS who", {"who": "email"}),
        ("CAST(CAST(email AS BLOB) AS VARCHAR) AS who", {"who": "email"}),
        ("email::VARCHAR AS who, miles", {"who": "email", "miles": "miles"}),
        ("TRY_CAST(miles AS INTEGER) AS whole", {"whole": "miles"}),
        ("lower(email) AS who", {}),
        ("miles + 0 AS miles", {}),
        ("*", {"began": "began", "email": "email", "miles": "miles"}),
        ("1 AS one", {}),
    ],
)
def test_a_column_as_it_is_or_cast_is_a_copy(selected: str, copies: dict[str, str]) -> None:
    view = FeatureView(name="ride", kind="request", dataset="rides", sql=f"SELECT {selected} FROM rides")
    assert copied_columns(view, COLUMNS) == copies
