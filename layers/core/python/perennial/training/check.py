"""Checking the candidates of definitions against the estimators: each learns made-up rows."""

from __future__ import annotations

import numpy as np

from perennial.definitions.files import Definitions
from perennial.errors import DefinitionError
from perennial.training.candidates import fit
from perennial.training.rows import Rows

_ROWS = 1000


def check_candidates(definitions: Definitions) -> None:
    """Check that every candidate's parameters are such as its estimator takes.

    Raises
    ------
    DefinitionError
        The first that is not, as ``models/x.toml: …``.
    """
    # A feature that never changes splits no tree, so that a thousand of them cost next to nothing.
    rows = Rows(np.zeros(_ROWS, dtype="datetime64[us]"), np.zeros((_ROWS, 1)), np.arange(1.0, _ROWS + 1))
    for model in definitions.models.values():
        for candidate in model.candidates:
            try:
                fit(candidate, rows, model.seed)
            except DefinitionError as error:
                raise DefinitionError(f"models/{model.name}.toml: {error}") from None
