"""What the CLI does with a deployment."""

from __future__ import annotations

from typing import Any

import pytest

from infra.operations import predictions_table, roll_back
from perennial.errors import ConflictError
from perennial.fakes import FakeCatalog
from tests.support.records import AT, a_version


def with_versions(*promoted: int) -> FakeCatalog:
    catalog = FakeCatalog()
    for number in (1, 2, 3):
        catalog.publish_version(a_version(number))
    champion = None
    for version in promoted:
        champion = catalog.promote("fare", version, champion.version if champion else None, AT, "run", "better")
    return catalog


def test_rolling_back_twice_goes_there_and_back() -> None:
    catalog = with_versions(1, 2)

    for before, after in ((2, 1), (1, 2)):
        found, champion = roll_back(catalog, "fare", None, "me", "")
        assert (found, champion.version, champion.previous) == (before, after, before)
    assert [(entry.action, entry.reason) for entry in catalog.audit("fare")[:2]] == [("rollback", "rollback")] * 2


@pytest.mark.parametrize(
    ("promoted", "to", "sentence"),
    [((1,), None, "served no version before 1"), ((1, 2), 2, "serves already"), ((1, 2), 3, "has never served")],
)
def test_a_roll_back_that_leads_nowhere_is_refused(promoted: tuple[int, ...], to: int | None, sentence: str) -> None:
    catalog = with_versions(*promoted)

    with pytest.raises(ConflictError, match=sentence):
        roll_back(catalog, "fare", to, "me", "")
    champion = catalog.champion("fare")
    assert champion is not None
    assert champion.version == promoted[-1]


@pytest.mark.parametrize(
    ("answer", "columns"),
    [
        ({"value": 12.5}, {"value": "12.500"}),
        ({"value": 0.25, "label": False}, {"label": "false", "probability of true": "0.250"}),
        (
            {"value": 0.75, "label": "price", "probabilities": {"moved": 0.25, "price": 0.75}},
            {"label": "price", "probability": "0.750"},
        ),
    ],
)
def test_predictions_are_shown_with_their_labels(answer: dict[str, Any], columns: dict[str, str]) -> None:
    shown = predictions_table("churn", [{"prediction_id": "1-x-0", "version": 1, **answer}])
    cells = {str(column.header): list(column.cells) for column in shown.columns}
    assert cells == {"prediction": ["1-x-0"], "version": ["1"], **{name: [cell] for name, cell in columns.items()}}
