"""Casts of a compiled view, said by the view and meant by the engine."""

from __future__ import annotations

from perennial.data.views.compiled_types import (
    MAX_DIGITS,
    WHOLE,
    NotCompiledError,
    Typed,
    apply,
    decimal,
    digits,
    is_exact,
    is_number,
    null,
    plain_moment,
)

_TIMES = ("DATE", "TIMESTAMP")


def cast(expression: Typed, wanted: str, *, tried: bool = False) -> Typed:
    """Return an expression cast to an SQL type.

    Parameters
    ----------
    expression : Typed
        Of any type.
    wanted : str
        The type to cast it to.
    tried : bool
        Whether what cannot be cast is null (``TRY_CAST``) instead of a failure.

    Raises
    ------
    NotCompiledError
        Programs do not know this cast.
    """
    found = expression.type
    if found == wanted:
        return expression
    if found == "NULL":
        return null(wanted)
    if is_exact(found) and is_exact(wanted):
        return _exact(expression, wanted, tried)
    if found == "DOUBLE" and wanted in WHOLE:
        return apply(wanted, "try_double_as_whole" if tried else "double_as_whole", expression, parameters=(wanted,))
    if wanted == "DOUBLE" and is_exact(found):
        return as_double(expression)
    if wanted == "VARCHAR":
        return _text(expression)
    operation = {
        ("BOOLEAN", "DOUBLE"): "boolean_as_double",
        ("DOUBLE", "BOOLEAN"): "double_as_boolean",
        ("DATE", "TIMESTAMP"): "date_as_timestamp",
        ("TIMESTAMP", "DATE"): "timestamp_as_date",
        **{("BOOLEAN", whole): "boolean_as_whole" for whole in WHOLE},
        **{(whole, "BOOLEAN"): "as_boolean" for whole in WHOLE},
    }.get((found, wanted))
    if operation is None:
        raise NotCompiledError(f"a cast of {found} to {wanted}")
    return apply(wanted, operation, expression)


def as_double(expression: Typed) -> Typed:
    """Return a number, a boolean or null as a double."""
    places = decimal(expression.type)
    if places is not None:
        return apply("DOUBLE", "decimal_as_double", expression, parameters=(places[1],))
    if expression.type in WHOLE:
        return apply("DOUBLE", "as_double", expression)
    return cast(expression, "DOUBLE")


def as_category(expression: Typed) -> Typed:
    """Return the text of a categorical value: `perennial.sql.category`."""
    if expression.type == "DOUBLE" or decimal(expression.type) is not None:
        return apply("VARCHAR", "category", as_double(expression))
    return cast(expression, "VARCHAR")


def _exact(expression: Typed, wanted: str, tried: bool) -> Typed:
    """Return a whole number or decimal as another."""
    (before, places), (before_wanted, places_wanted) = digits(expression.type), digits(wanted)
    if places_wanted > places:
        expression = apply(wanted, "scale", expression, parameters=(places_wanted - places,))
    elif places_wanted < places:
        expression = apply(wanted, "descale", expression, parameters=(places - places_wanted,))
    # A whole number has digits that its type does not hold all values of; rounding may need one more.
    widens = expression.type in WHOLE and wanted in WHOLE and WHOLE[wanted] >= WHOLE[expression.type]
    if (widens and places == 0) or (wanted not in WHOLE and before + (places > places_wanted) <= before_wanted):
        return Typed(wanted, expression.code, constant=expression.constant)
    return apply(wanted, "try_whole" if tried else "cast_whole", expression, parameters=(wanted,))


def _text(expression: Typed) -> Typed:
    found = expression.type
    if decimal(found) is not None:
        return apply("VARCHAR", "decimal_text", expression, parameters=(found,))
    if found in WHOLE:
        return apply("VARCHAR", "whole_text", expression)
    if found in _TIMES and not plain_moment(expression.code):
        raise NotCompiledError(f"the text of a {found} that was computed")
    operations = {
        "BOOLEAN": "boolean_text",
        "DOUBLE": "double_text",
        "DATE": "date_text",
        "TIMESTAMP": "timestamp_text",
    }
    if found not in operations:
        raise NotCompiledError(f"a cast of {found} to VARCHAR")
    return apply("VARCHAR", operations[found], expression)


def common(left: str, right: str) -> str:
    """Return the type in which the engine compares two types.

    Raises
    ------
    NotCompiledError
        Programs do not know how the engine compares them.
    """
    if right in (left, "NULL"):
        return left
    if left == "NULL":
        return right
    if left in WHOLE and right in WHOLE:
        return max(left, right, key=lambda kind: WHOLE[kind])
    if is_exact(left) and is_exact(right):
        (before, places), (others_before, others_places) = digits(left), digits(right)
        before, places = max(before, others_before), max(places, others_places)
        if before + places > MAX_DIGITS:
            raise NotCompiledError(f"{left} compared with {right}")
        return f"DECIMAL({before + places},{places})"
    if is_number(left) and is_number(right):
        return "DOUBLE"
    if left in _TIMES and right in _TIMES:
        return "TIMESTAMP"
    raise NotCompiledError(f"{left} compared with {right}")
