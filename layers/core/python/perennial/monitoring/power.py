"""How many rows it takes to see a shift."""

from __future__ import annotations

from perennial.monitoring.distances import psi_threshold
from perennial.monitoring.laws import noncentral_chi_squared_tail

_MOST = 1e12


def power(
    effect: float, level: float, cells: int, rows: float, reference_rows: float, design_effect: float = 1
) -> float:
    r"""Return the chance that a shift of a distribution is found.

    PSI over :math:`v = \phi (1/n + 1/N)` tends to noncentral chi-squared with noncentrality effect / v.

    Parameters
    ----------
    effect : float
        The shift's population stability index, as infinitely many rows would show it.
    level : float
        False-alarm rate of the one comparison. Of a look with m signals, at most the look's rate over m.
    cells : int
        In how many cells it is compared: `perennial.monitoring.cells.GROUPS` of a number.
    rows, reference_rows : float
        Of the window and of the training rows.
    design_effect : float
        How much more windows of that size differ than independent rows would, at least 1.
    """
    variance = design_effect * (1 / rows + 1 / reference_rows)
    critical = psi_threshold(level, cells, rows / design_effect, reference_rows / design_effect) / variance
    return noncentral_chi_squared_tail(critical, cells - 1, effect / variance)


def rows_needed(
    effect: float, level: float, wanted: float, cells: int, reference_rows: float, design_effect: float = 1
) -> int | None:
    """Return the fewest rows of a window in which a shift is found with the chance ``wanted``; arguments as `power`.

    None if no window is long enough, for the training rows themselves are too few.
    """
    low, high = 1.0, 2.0
    while power(effect, level, cells, high, reference_rows, design_effect) < wanted:
        low, high = high, 2 * high
        if high > _MOST:
            return None
    while high - low > 0.5:
        middle = (low + high) / 2
        if power(effect, level, cells, middle, reference_rows, design_effect) < wanted:
            low = middle
        else:
            high = middle
    return int(high) + (high > int(high))
