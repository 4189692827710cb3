"""Figures as people read them: rounded to what matters, with thin spaces between thousands."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

_THIN = "\u202f"
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def count(number: int) -> str:
    """Write a whole number in full: ``12 345``."""
    return f"{number:,}".replace(",", _THIN)


def number(value: float, digits: int = 4) -> str:
    """Write a number with so many significant digits: ``12 350``, ``0.0123``, ``1.2e+30``.

    Whole numbers below a million keep all their digits.
    """
    if isinstance(value, int) and abs(value) < 1_000_000:
        return count(value)
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    size = math.floor(math.log10(abs(value)))
    if not -4 <= size < 12:
        return f"{value:.{digits}g}"
    decimals = max(digits - 1 - size, 0)
    text = f"{round(value, digits - 1 - size):,.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace(",", _THIN)


def alike(values: Sequence[float], digits: int = 3) -> Callable[[float], str]:
    """Return what writes numbers that are read beside one another, all with the decimals that the largest needs.

    ``0.0882``, ``0.0640`` and ``-0.0002``: a small one does not look surer than the others.

    Parameters
    ----------
    values : sequence of float
        All that are written.
    digits : int
        Significant digits of the largest.
    """
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    size = math.floor(math.log10(largest)) if largest else 0
    decimals = max(digits - 1 - size, 0)

    def form(value: float) -> str:
        if not (-4 <= size < 12 and math.isfinite(value)):
            return number(value, digits)
        text = f"{value:,.{decimals}f}".replace(",", _THIN)
        return text if any(figure in text for figure in "123456789") else "0"

    return form


def share(part: float, whole: float = 1.0) -> str:
    """Write a share in percent: ``1.4 %``.

    What is not nothing never reads ``0 %``, what is not all never ``100 %``.
    """
    if whole == 0:
        return "–"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return f"< 0.1{_THIN}%"
    if 99.9 < percent < 100:
        return f"> 99.9{_THIN}%"
    return f"{percent:.2g}{_THIN}%" if percent < 10 else f"{percent:.1f}".removesuffix(".0") + f"{_THIN}%"


def size(amount: int) -> str:
    """Write a number of bytes: ``3.2 MB``; a MB is a million bytes."""
    scaled, unit = float(amount), 0
    while scaled >= 999.5 and unit < len(_UNITS) - 1:
        scaled, unit = scaled / 1000, unit + 1
    return f"{scaled:.3g}{_THIN}{_UNITS[unit]}"


def several(amount: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun: ``1 row``, ``2 rows``."""
    return f"{count(amount)} {one if amount == 1 else many or one + 's'}"


def listing(names: list[str], most: int = 5) -> str:
    """Write names as a sentence has them: ``a, b and c``; beyond ``most`` of them the rest is counted."""
    shown = names if len(names) <= most else [*names[:most], f"{len(names) - most} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else "nothing"


def cut(text: str, most: int) -> str:
    """Shorten a text to so many characters, the last of them an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"
