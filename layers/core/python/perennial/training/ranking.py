"""How well scores put the rows of one class before the others: see `perennial.ranking`."""

from __future__ import annotations

from perennial.ranking import average_precision, roc_auc

__all__ = ["average_precision", "roc_auc"]
