"""What a model's definition says of missing features, on its way to the manifest."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from perennial.definitions import Model
from perennial.definitions.files import Definitions
from perennial.steps.signature import signature

FEATURES = {"trip": ["miles", "hour"], "zone": ["speed"]}


def a_model(**changes: Any) -> Model:
    split, candidates = {"holdout": "1 day"}, [{"name": "r", "algorithm": "ridge"}]
    content = {"name": "fare", "dataset": "trips", "target": "x", "features": FEATURES}
    return Model.model_validate({**content, "split": split, "candidates": candidates, **changes})


@pytest.mark.parametrize(
    ("changes", "required"),
    [
        ({}, ()),
        ({"missing": "impute"}, ()),
        ({"missing": "reject"}, ("trip.miles", "trip.hour", "zone.speed")),
        ({"missing": {"zone.speed": "reject", "trip.hour": "impute"}}, ("zone.speed",)),
    ],
    ids=["default", "impute", "reject", "by feature"],
)
def test_the_policy_of_a_model_or_of_its_features(changes: dict[str, Any], required: tuple[str, ...]) -> None:
    assert a_model(**changes).required == required


def test_a_feature_that_the_model_has_not_and_another_word_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"missing: zone\.colour is none of the model's features"):
        a_model(missing={"zone.colour": "reject"})
    for word in ("drop", {"zone.speed": "drop"}):
        with pytest.raises(ValidationError):
            a_model(missing=word)


def test_a_signature_says_which_columns_the_request_view_reads(definitions: Definitions) -> None:
    found = signature(definitions, "taxi_fare")
    assert found.request is not None
    assert found.request.reads is not None
    assert set(found.request.reads) < set(found.inputs) | {"vendor_id"}
    assert "trip_distance" in found.request.reads
    assert "store_and_fwd_flag" not in found.request.reads
