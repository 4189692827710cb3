"""What the log may keep of a model's requests."""

from __future__ import annotations

from typing import Any

import pytest

from perennial.definitions import Column, Dataset, FeatureView, Log, Model
from perennial.definitions.files import Definitions
from perennial.manifest import Kept
from perennial.steps.masking import kept_of


def definitions(log: Log, **tags: tuple[str, ...]) -> Definitions:
    names = {"began": "timestamp", "email": "string", "income": "double", "zone": "integer"}
    columns = {name: Column(type=kind, tags=tags.get(name, ())) for name, kind in names.items()}  # type: ignore[arg-type]
    request = FeatureView(
        name="ride",
        kind="request",
        dataset="rides",
        sql="SELECT income AS Gain, ln(income) AS wealth, zone, length(email) AS letters FROM rides",
    )
    stored = FeatureView(
        name="zones",
        kind="stored",
        dataset="rides",
        entity=("zone",),
        feature_time="began",
        sql="SELECT zone, began, income FROM rides",
    )
    model: Any = {
        "name": "fare",
        "dataset": "rides",
        "target": "income",
        "features": {"ride": ("gain", "wealth", "zone", "letters"), "zones": ("income",)},
        "split": {"holdout": "1 day"},
        "candidates": ({"name": "ridge", "algorithm": "ridge"},),
        "log": log,
    }
    return Definitions(
        {"rides": Dataset(name="rides", event_time="began", columns=columns)},
        {"ride": request, "zones": stored},
        {"fare": Model(**model)},
    )


ZONE = Kept(masked_inputs=("zone",), masked_features=("ride__zone",))


@pytest.mark.parametrize(
    ("log", "tags", "kept"),
    [
        (Log(), {}, Kept()),
        (Log(sample=0.25), {}, Kept(sample=0.25)),
        (Log(), {"email": ("pii",)}, Kept(masked_inputs=("email",))),
        # A copy is masked, what is computed is not, and neither is what a stored view makes of it.
        (Log(), {"income": ("money", "pii")}, Kept(masked_inputs=("income",), masked_features=("ride__gain",))),
        (Log(), {"income": ("money",)}, Kept()),
        (Log(mask=("money",)), {"email": ("pii",), "zone": ("money",)}, ZONE),
        (Log(mask=()), {"income": ("pii",)}, Kept()),
    ],
    ids=["nothing", "sample", "input", "copy", "another tag", "own tags", "no mask"],
)
def test_what_is_kept_follows_from_the_tags(log: Log, tags: dict[str, tuple[str, ...]], kept: Kept) -> None:
    assert kept_of(definitions(log, **tags), "fare") == kept
