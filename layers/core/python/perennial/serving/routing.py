"""Which version answers: the champion, or for a share of the callers the one that is on its way to serve."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from perennial.serving.ports import Challenger


def answers(challenger: Challenger | None, model: str, key: str) -> bool:
    """Tell whether the challenger answers the callers of a key.

    A key that a share has taken in stays in while the share grows, and another challenger takes in others.
    """
    return challenger is not None and place_of(model, challenger.version, key) < challenger.weight


def place_of(model: str, version: int, key: str) -> float:
    """Return where a key lies in [0, 1): evenly spread, the same in every process."""
    digest = hashlib.sha256(f"{model}\0{version}\0{key}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6]) / 2**48


def route_key(said: str | None, entity: Sequence[str], first: Mapping[str, Any], request_id: str) -> str:
    """Return what makes two requests the same caller's.

    Parameters
    ----------
    said : str or None
        What the caller says (the header ``X-Route-Key``): it counts, if it is there.
    entity : sequence of str
        Columns that identify whose features the champion looks up: otherwise, their values in the first row count.
    first : mapping
        The first row of the request.
    request_id : str
        Counts where there is nothing else: each request is then a caller of its own.
    """
    if said:
        return f"said:{said}"
    values = [first.get(column) for column in entity]
    if values and None not in values:
        return f"entity:{json.dumps(values, default=str)}"
    return f"request:{request_id}"
