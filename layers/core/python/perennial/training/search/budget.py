"""What ends a search: what it may cost, that nothing better is found, that too much fails."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from perennial.definitions import Search
from perennial.errors import DefinitionError
from perennial.records import CandidateSearch, Round

PATIENCE = 5
"""Rounds' worth of parameter sets, none better than the best, after which a candidate has no new ones tried."""
LEAST_PATIENCE = 20
"""Parameter sets that are that many at least: the sampler's first ten are random."""
LONGEST = timedelta(hours=3)
"""Time after which no round begins whatever the definition says: a run has six hours, with all its other steps."""
MOST_ROUNDS = 500
"""Rounds of a search at most: an execution of Step Functions has 25,000 events, and a round takes about 20 of them."""
_JUDGED_FROM = 4
"""Trials of a candidate from which on the share of failed ones is looked at before its search is over."""


def spent(plan: Round, search: Search) -> str:
    """Return why no further round may begin; empty if one may."""
    longest = min(search.time or LONGEST, LONGEST)
    if plan.seconds >= longest.total_seconds():
        which = "search.time" if search.time is not None and search.time <= LONGEST else "the longest for any search"
        return f"the time was up: {plan.seconds:,.0f} of {longest.total_seconds():,.0f} seconds ({which})"
    if search.cost is not None and plan.dollars >= search.cost:
        return f"the money was spent: ${plan.dollars:.4f} of ${search.cost:.4f} (search.cost)"
    if plan.number > MOST_ROUNDS:
        return f"there were {MOST_ROUNDS} rounds, the most for any search"
    return ""


def ended(found: CandidateSearch, search: Search) -> str:
    """Return why no further parameter set of a candidate is tried; empty while some are."""
    if found.stopped:
        return found.stopped
    if len(found.trials) >= search.trials:
        return f"all {search.trials} parameter sets were tried (search.trials)"
    patience = max(PATIENCE * search.parallel, LEAST_PATIENCE)
    if found.best is not None and len(found.trials) - 1 - found.best >= patience:
        return f"the last {len(found.trials) - 1 - found.best} parameter sets were none better"
    return ""


def check_failures(name: str, found: CandidateSearch, search: Search, *, over: bool) -> None:
    """Make sure that enough of a candidate's trials succeed.

    Parameters
    ----------
    over : bool
        Whether the candidate's search is over.

    Raises
    ------
    DefinitionError
        More trials failed than ``search.max_failed`` allows, or none got as far as all rows; it says the commonest
        reason.
    """
    judged = [trial for trial in found.trials if trial.error or trial.values]
    reasons = Counter(trial.error for trial in judged if trial.error)
    failed = sum(reasons.values())
    if failed <= search.max_failed * len(judged) and not (over and found.best is None):
        return
    if len(judged) < _JUDGED_FROM and not over:
        return
    why, often = max(reasons.items(), key=lambda item: (item[1], item[0])) if reasons else ("none finished", 0)
    raise DefinitionError(
        f"candidate {name!r}: {failed} of {len(judged)} trials of its search failed, and {search.max_failed:.0%} may "
        f"(search.max_failed); the commonest reason, {often} times: {why}"
    )
