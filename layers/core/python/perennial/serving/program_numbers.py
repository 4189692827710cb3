"""What programs do with numbers, as DuckDB does it: whole numbers exactly, doubles as IEEE 754 has them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from perennial.errors import DataError
from perennial.serving.program_parts import RefusedError, bounds

Function = Callable[..., Any]
_EXACT = 2**53


def _within(signature: str, function: Function, what: str) -> Callable[[str], tuple[str, Function]]:
    """Return the maker of a function whose result must be of a type."""

    def make(sql_type: str) -> tuple[str, Function]:
        low, high = bounds(sql_type)

        def checked(*values: int) -> int | None:
            result = function(*values)
            if result is not None and not low <= result <= high:
                raise RefusedError(f"{what} gives {result}, which is beyond {sql_type}")
            return result  # type: ignore[no-any-return]

        return signature, checked

    return make


def _divide_whole(left: int, right: int) -> int | None:
    """Divide towards zero, null if by zero."""
    if right == 0:
        return None
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _modulo_whole(sql_type: str) -> tuple[str, Function]:
    """Return the remainder with the sign of the dividend, null if by zero."""
    low, _ = bounds(sql_type)

    def modulo(left: int, right: int) -> int | None:
        if right == 0:
            return None
        if left == low and right == -1:  # the quotient would be beyond the type
            raise RefusedError(f"a quotient gives {-left}, which is beyond {sql_type}")
        rest = abs(left) % abs(right)
        return -rest if left < 0 else rest

    return "ii:i", modulo


def _divide(left: float, right: float) -> float:
    try:
        return left / right
    except ZeroDivisionError:
        if left == 0 or math.isnan(left):
            return math.nan
        return math.copysign(math.inf, left) * math.copysign(1.0, right)


def _modulo(left: float, right: float) -> float:
    try:
        return math.fmod(left, right)
    except ValueError:  # an infinite dividend, or zero as divisor
        return math.nan


def _power(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and math.fmod(exponent, 2) != 0 else math.inf
    except ValueError:  # zero to a negative power, or a fraction of one of a negative number
        if base != 0:
            return math.nan
        return math.copysign(math.inf, base) if math.fmod(abs(exponent), 2) == 1 else math.inf


def _exponential(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _square_root(value: float) -> float:
    if value < 0:
        raise RefusedError("a negative number has no square root")
    return math.sqrt(value)


def _logarithm(function: Callable[[float], float]) -> Function:
    def logarithm(value: float) -> float:
        if value <= 0:
            raise RefusedError("zero and negative numbers have no logarithm")
        return function(value)

    return logarithm


def _angle(function: Callable[[float], float]) -> Function:
    def of_angle(value: float) -> float:
        if math.isinf(value):
            raise RefusedError("an infinite angle has no sine, cosine or tangent")
        return function(value)

    return of_angle


def _arc(function: Callable[[float], float], name: str) -> Function:
    def arc(value: float) -> float:
        if abs(value) > 1:
            raise RefusedError(f"{name} takes numbers from -1 to 1")
        return function(value)

    return arc


def _floor(value: float) -> float:
    # Adding the sign keeps -0.0, which a whole number has not.
    return math.copysign(float(math.floor(value)), value) if math.isfinite(value) else value


def _ceil(value: float) -> float:
    return math.copysign(float(math.ceil(value)), value) if math.isfinite(value) else value


def _trunc(value: float) -> float:
    return math.copysign(float(math.trunc(value)), value) if math.isfinite(value) else value


def _half_away(value: float) -> float:
    """Round to a whole number, halves away from zero."""
    if not math.isfinite(value):
        return value
    size = abs(value)
    whole = math.floor(size)
    return math.copysign(float(whole + (size - whole >= 0.5)), value)


def _round_places(places: int) -> tuple[str, Function]:
    if type(places) is not int or not 0 <= places <= 15:
        raise DataError(f"program: cannot round to {places!r} places")
    modifier = 10.0**places

    def rounded(value: float) -> float:
        result = _half_away(value * modifier) / modifier
        return result if math.isfinite(result) else value

    return "d:d", rounded


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _scaled(places: int) -> tuple[str, Function]:
    """Write a decimal with more digits behind the point."""
    factor = _power_of_ten(places)
    return "i:i", lambda value: value * factor


def _power_of_ten(places: int) -> int:
    if type(places) is not int or not 0 <= places <= 38:
        raise DataError(f"program: no decimal has {places!r} places")
    return int(10**places)


def _decimal_as_double(places: int) -> tuple[str, Function]:
    """Return what DuckDB makes of a decimal: not always the nearest double."""
    factor = _power_of_ten(places)
    divisor = float(factor)

    def double(value: int) -> float:
        if -_EXACT <= value <= _EXACT or places == 0:
            return float(value) / divisor
        whole, rest = divmod(abs(value), factor)
        result = float(whole) + float(rest) / divisor
        return -result if value < 0 else result

    return "i:d", double


def _less_places(places: int) -> tuple[str, Function]:
    """Round a decimal to fewer digits behind the point, halves away from zero."""
    factor = _power_of_ten(places)

    def rounded(value: int) -> int:
        whole: int = (abs(value) + factor // 2) // factor if factor > 1 else abs(value)
        return -whole if value < 0 else whole

    return "i:i", rounded


def _as_whole(sql_type: str) -> tuple[str, Function]:
    """Round a double to a whole number, halves to the even one."""
    low, high = bounds(sql_type)

    def whole(value: float) -> int:
        result = round(value) if math.isfinite(value) else None
        if result is None or not low <= result <= high:
            raise RefusedError(f"{value!r} is no {sql_type}")
        return result

    return "d:i", whole


def _tried(make: Callable[[str], tuple[str, Function]]) -> Callable[[str], tuple[str, Function]]:
    """Return the maker of a function that gives null where another one refuses."""

    def maker(sql_type: str) -> tuple[str, Function]:
        signature, function = make(sql_type)

        def tried(value: Any) -> Any:
            try:
                return function(value)
            except RefusedError:
                return None

        return signature, tried

    return maker


def _ordered(holds: Callable[[Any, Any], bool], *, of_nan: Callable[[bool, bool], bool]) -> Function:
    """Return a comparison of doubles in which NaN equals itself and is greater than all else."""

    def compare(left: float, right: float) -> bool:
        if math.isnan(left) or math.isnan(right):
            return of_nan(math.isnan(left), math.isnan(right))
        return holds(left, right)

    return compare


FUNCTIONS: dict[str, tuple[str, Function]] = {
    "divide_double": ("dd:d", _divide),
    "modulo_double": ("dd:d", _modulo),
    "add_double": ("dd:d", operator.add),
    "subtract_double": ("dd:d", operator.sub),
    "multiply_double": ("dd:d", operator.mul),
    "negate_double": ("d:d", operator.neg),
    "abs_double": ("d:d", abs),
    "sign": ("i:i", _sign),
    "sign_double": ("d:i", _sign),
    "power": ("dd:d", _power),
    "exp": ("d:d", _exponential),
    "sqrt": ("d:d", _square_root),
    "cbrt": ("d:d", math.cbrt),
    "ln": ("d:d", _logarithm(math.log)),
    "log2": ("d:d", _logarithm(math.log2)),
    "log10": ("d:d", _logarithm(math.log10)),
    "sin": ("d:d", _angle(math.sin)),
    "cos": ("d:d", _angle(math.cos)),
    "tan": ("d:d", _angle(math.tan)),
    "asin": ("d:d", _arc(math.asin, "asin")),
    "acos": ("d:d", _arc(math.acos, "acos")),
    "atan": ("d:d", math.atan),
    "atan2": ("dd:d", math.atan2),
    "radians": ("d:d", lambda value: value * (math.pi / 180)),
    "degrees": ("d:d", lambda value: value * (180 / math.pi)),
    "floor": ("d:d", _floor),
    "ceil": ("d:d", _ceil),
    "trunc": ("d:d", _trunc),
    "round": ("d:d", _half_away),
    "isnan": ("d:b", math.isnan),
    "isinf": ("d:b", math.isinf),
    "isfinite": ("d:b", math.isfinite),
    "as_double": ("i:d", float),
    "boolean_as_double": ("b:d", float),
    "boolean_as_whole": ("b:i", int),
    "as_boolean": ("i:b", bool),
    "double_as_boolean": ("d:b", bool),
    "eq_double": ("dd:b", _ordered(operator.eq, of_nan=lambda left, right: left and right)),
    "ne_double": ("dd:b", _ordered(operator.ne, of_nan=lambda left, right: not (left and right))),
    "lt_double": ("dd:b", _ordered(operator.lt, of_nan=lambda left, right: right and not left)),
    "le_double": ("dd:b", _ordered(operator.le, of_nan=lambda left, right: right)),
    "gt_double": ("dd:b", _ordered(operator.gt, of_nan=lambda left, right: left and not right)),
    "ge_double": ("dd:b", _ordered(operator.ge, of_nan=lambda left, right: left)),
}
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    for _kind, _of in (("i", "whole"), ("t", "text"), ("b", "boolean")):
        FUNCTIONS[f"{_name}_{_of}"] = (f"{_kind}{_kind}:b", getattr(operator, _name))

MAKERS: dict[str, Callable[..., tuple[str, Function]]] = {
    "add": _within("ii:i", operator.add, "a sum"),
    "subtract": _within("ii:i", operator.sub, "a difference"),
    "multiply": _within("ii:i", operator.mul, "a product"),
    "divide_whole": _within("ii:i", _divide_whole, "a quotient"),
    "modulo": _modulo_whole,
    "negate": _within("i:i", operator.neg, "a sign"),
    "abs": _within("i:i", abs, "an absolute value"),
    "cast_whole": _within("i:i", lambda value: value, "a cast"),
    "try_whole": _tried(_within("i:i", lambda value: value, "a cast")),
    "double_as_whole": _as_whole,
    "try_double_as_whole": _tried(_as_whole),
    "round_places": _round_places,
    "scale": _scaled,
    "descale": _less_places,
    "decimal_as_double": _decimal_as_double,
}
