"""Functions and arithmetic of a compiled view, by their names in SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perennial.data.views.compiled_casts import as_double, cast
from perennial.data.views.compiled_moments import MOMENTS, minus, plus
from perennial.data.views.compiled_texts import TEXTS
from perennial.data.views.compiled_types import (
    WHOLE,
    NotCompiledError,
    Typed,
    apply,
    decimal,
    is_exact,
    is_number,
)

Compiler = Callable[[Sequence[Typed], str], Typed | None]
"""From arguments and the engine's type of the result to an expression; None if the arguments are not known."""


def _arithmetic(operation: str) -> Compiler:
    def compile_arithmetic(children: Sequence[Typed], found: str) -> Typed | None:
        if not all(is_number(child.type) for child in children):
            return None
        if found == "DOUBLE":
            return apply(found, f"{operation}_double", *map(as_double, children))
        if found in WHOLE:
            return apply(found, operation, *(cast(child, found) for child in children), parameters=(found,))
        if decimal(found) is None:
            return None
        if operation != "multiply":
            return apply(found, operation, *(cast(child, found) for child in children), parameters=(found,))
        return apply(found, operation, *children, parameters=(found,))

    return compile_arithmetic


def _minus(children: Sequence[Typed], found: str) -> Typed | None:
    if len(children) == 1:
        return _of_sign("negate")(children, found)
    return minus(children, found) or _arithmetic("subtract")(children, found)


def _plus(children: Sequence[Typed], found: str) -> Typed | None:
    return plus(children, found) or _arithmetic("add")(children, found)


def _of_sign(operation: str) -> Compiler:
    def compile_sign(children: Sequence[Typed], found: str) -> Typed | None:
        (child,) = children
        if child.type != found or not is_number(found):
            return None
        if found == "DOUBLE":
            return apply(found, f"{operation}_double", child)
        return apply(found, operation, child, parameters=(found,))

    return compile_sign


def _divide(children: Sequence[Typed], found: str) -> Typed | None:
    if found != "DOUBLE" or not all(is_number(child.type) for child in children):
        return None
    return apply(found, "divide_double", *map(as_double, children))


def _divide_whole(children: Sequence[Typed], found: str) -> Typed | None:
    if found not in WHOLE or not all(child.type in WHOLE for child in children):
        return None
    _require_divisor(children)
    return apply(found, "divide_whole", *(cast(child, found) for child in children), parameters=(found,))


def _modulo(children: Sequence[Typed], found: str) -> Typed | None:
    if found == "DOUBLE" and all(is_number(child.type) for child in children):
        return apply(found, "modulo_double", *map(as_double, children))
    if found not in WHOLE or not all(child.type in WHOLE for child in children):
        return None
    _require_divisor(children)
    return apply(found, "modulo", *(cast(child, found) for child in children), parameters=(found,))


def _require_divisor(children: Sequence[Typed]) -> None:
    if children[1].code[0] == "value" and not children[1].code[1][1]:
        raise NotCompiledError("a division by zero")


def _of_doubles(operation: str, count: int = 1) -> Compiler:
    """Return what compiles a function of doubles; other numbers become doubles."""

    def compile_function(children: Sequence[Typed], found: str) -> Typed | None:
        if len(children) != count or not all(is_number(child.type) for child in children):
            return None
        return apply(found, operation, *map(as_double, children))

    return compile_function


def _to_whole(operation: str) -> Compiler:
    def compile_function(children: Sequence[Typed], found: str) -> Typed | None:
        (child,) = children
        if child.type in WHOLE and found == child.type:
            return child
        if found != "DOUBLE" or child.type not in (*WHOLE, "DOUBLE"):
            return None
        return apply(found, operation, as_double(child))

    return compile_function


def _round(children: Sequence[Typed], found: str) -> Typed | None:
    if len(children) == 1:
        return _to_whole("round")(children, found)
    value, places = children
    if value.type != "DOUBLE" or places.type not in WHOLE or places.code[0] != "value":
        return None
    count = places.code[1][1]
    if count is None or not 0 <= count <= 15:
        return None
    return apply("DOUBLE", "round_places", value, parameters=(count,))


def _sign(children: Sequence[Typed], found: str) -> Typed | None:
    (child,) = children
    if is_exact(child.type):
        return apply("TINYINT", "sign", child)
    return apply("TINYINT", "sign_double", child) if child.type == "DOUBLE" else None


def _state(operation: str) -> Compiler:
    """Return what compiles a question about a double."""

    def compile_state(children: Sequence[Typed], found: str) -> Typed | None:
        return apply("BOOLEAN", operation, *children) if [each.type for each in children] == ["DOUBLE"] else None

    return compile_state


def _extreme(operation: str) -> Compiler:
    def compile_extreme(children: Sequence[Typed], found: str) -> Typed | None:
        kinds = {child.type for child in children} - {"NULL"}
        if kinds != {found} and not (is_number(found) and all(map(is_number, kinds))):
            return None
        return None if found == "INTERVAL" else apply(found, operation, *(cast(child, found) for child in children))

    return compile_extreme


def _log(children: Sequence[Typed], found: str) -> Typed | None:
    # To another base it is a quotient of logarithms, which is another number than log2's.
    return _of_doubles("log10")(children, found) if len(children) == 1 else None


_ARITHMETIC: dict[str, Compiler] = {
    "+": _plus,
    "-": _minus,
    "*": _arithmetic("multiply"),
    "/": _divide,
    "//": _divide_whole,
    "%": _modulo,
    **dict.fromkeys(("^", "**", "pow", "power"), _of_doubles("power", 2)),
    "add": _plus,
    "subtract": _minus,
    "multiply": _arithmetic("multiply"),
    "divide": _divide_whole,
    "mod": _modulo,
    "abs": _of_sign("abs"),
    "@": _of_sign("abs"),
    "sign": _sign,
    **dict.fromkeys(("ceil", "ceiling"), _to_whole("ceil")),
    "floor": _to_whole("floor"),
    "trunc": _to_whole("trunc"),
    "round": _round,
    **{
        name: _of_doubles(name)
        for name in ("exp", "sqrt", "cbrt", "ln", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan")
    },
    "log": _log,
    "atan2": _of_doubles("atan2", 2),
    "radians": _of_doubles("radians"),
    "degrees": _of_doubles("degrees"),
    **{name: _state(name) for name in ("isnan", "isinf", "isfinite")},
    "greatest": _extreme("greatest"),
    "least": _extreme("least"),
}


def _nullif(children: Sequence[Typed], found: str) -> Typed | None:
    """Stand for a function of which the comparison is the caller's."""
    return None


FUNCTIONS: dict[str, Compiler] = {**_ARITHMETIC, **MOMENTS, **TEXTS, "nullif": _nullif}
