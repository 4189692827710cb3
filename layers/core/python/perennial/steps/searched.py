"""What a run's search chose."""

from __future__ import annotations

from perennial.definitions import Candidate
from perennial.errors import DataError, NotFoundError
from perennial.ports import Ports


def with_chosen_parameters(ports: Ports, run_id: str, candidate: Candidate) -> Candidate:
    """Return a candidate with the parameters that the run's search chose; one without a space as it is.

    Raises
    ------
    DataError
        The run's search has not come to its end.
    """
    if not candidate.space:
        return candidate
    try:
        output = ports.catalog.step(run_id, "search").output
    except NotFoundError:
        output = {}
    if not output.get("done"):
        raise DataError(f"run {run_id}: the search for candidate {candidate.name!r} is not over; start the run again")
    chosen = output["candidates"][candidate.name]["parameters"]
    return candidate.model_copy(update={"parameters": {**candidate.parameters, **chosen}, "space": {}})
