"""What the CLI does with a deployment."""

from __future__ import annotations

from typing import Any

import pytest

from infra.operations import predictions_table


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
