"""The schema of a row takes what serving takes, and what it can tell to be wrong serving refuses too."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest

from perennial.definitions import Column
from perennial.errors import RequestError
from perennial.manifest import Histogram, Manifest
from perennial.openapi.rows import column_schema, row_schema
from perennial.serving.payload import read_columns

INPUTS = {
    "miles": Column(type="double", min=0, max=100),
    "zone": Column(type="integer", nullable=True, min=1),
    "began": Column(type="timestamp"),
}
MANIFEST = Manifest(
    model="fare",
    version=3,
    task="regression",
    target="price",
    metric="mae",
    algorithm="ridge",
    candidate="ridge",
    parameters={},
    seed=1,
    features=("now__miles",),
    request=None,
    stored=(),
    inputs=INPUTS,
    ignored=("note",),
    onnx_input="x",
    onnx_output="y",
    files={},
    metrics={},
    parity_error=0.0,
    baseline={},
    prediction_baseline=Histogram(edges=(), counts=(0, 0)),
    definition_hash="d",
    code_version="c",
    run_id="r",
    training_set_id="t",
    snapshots=(),
    split_at=datetime(2019, 1, 1),
    libraries={},
    created_at=datetime(2019, 1, 1, tzinfo=UTC),
)
GOOD: dict[str, Any] = {"miles": 2.5, "zone": 4, "began": "2019-03-01 08:30:00"}


def taken(row: dict[str, Any]) -> bool:
    try:
        read_columns([row], INPUTS, MANIFEST.ignored)
    except RequestError:
        return False
    return True


@pytest.mark.parametrize(
    ("row", "valid"),
    [
        (GOOD, True),
        ({**GOOD, "note": "anything"}, True),
        ({**GOOD, "zone": None}, True),
        ({key: GOOD[key] for key in ("miles", "began")}, True),
        ({**GOOD, "miles": -1}, False),
        ({**GOOD, "miles": "2.5"}, False),
        ({**GOOD, "miles": None}, False),
        ({**GOOD, "zone": 0}, False),
        ({**GOOD, "zone": 1.5}, False),
        ({**GOOD, "colour": "red"}, False),
        ({key: GOOD[key] for key in ("zone", "began")}, False),
    ],
    ids=str,
)
def test_schema_and_serving_agree(row: dict[str, Any], valid: bool) -> None:
    assert jsonschema.Draft202012Validator(row_schema(MANIFEST)).is_valid(row) is valid
    assert taken(row) is valid


def test_categories_are_an_enumeration_unless_new_ones_may_come() -> None:
    closed = Column(type="categorical", allowed=("N", "Y"), nullable=True)

    assert column_schema(closed)["enum"] == ["N", "Y", None]
    assert "enum" not in column_schema(closed.model_copy(update={"open": True}))
