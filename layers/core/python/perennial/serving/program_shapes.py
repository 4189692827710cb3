"""Operations that look at nulls themselves, take any kind of values, or need not evaluate all they are given."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from perennial.errors import DataError
from perennial.serving.program_parts import Made, Reader
from perennial.serving.program_texts import written

Row = Mapping[str, Any]


def _same(operation: str, children: Sequence[Made]) -> str:
    """Return the one kind of all children; nulls go with any."""
    kinds = {child.kind for child in children} - {"n"}
    if len(kinds) > 1 or not children:
        raise DataError(f"program: {operation} takes values of one kind, not {sorted(kinds)}")
    return kinds.pop() if kinds else "n"


def _conditions(operation: str, children: Sequence[Made]) -> list[Reader]:
    if _same(operation, children) not in ("b", "n"):
        raise DataError(f"program: {operation} takes conditions")
    return [child.read for child in children]


def _exactly(count: int, operation: str, children: Sequence[Made]) -> None:
    if len(children) != count:
        raise DataError(f"program: {operation} takes {count} expressions, not {len(children)}")


def _all(children: Sequence[Made]) -> tuple[str, Reader]:
    readers = _conditions("and", children)

    def read(row: Row) -> bool | None:
        # As in the engine, all of them are evaluated: one that cannot be fails, whatever the others are.
        values = [reader(row) for reader in readers]
        return False if False in values else None if None in values else True

    return "b", read


def _any(children: Sequence[Made]) -> tuple[str, Reader]:
    readers = _conditions("or", children)

    def read(row: Row) -> bool | None:
        values = [reader(row) for reader in readers]
        return True if True in values else None if None in values else False

    return "b", read


def _not(children: Sequence[Made]) -> tuple[str, Reader]:
    _exactly(1, "not", children)
    (reader,) = _conditions("not", children)
    return "b", lambda row: None if (value := reader(row)) is None else not value


def _is_null(children: Sequence[Made]) -> tuple[str, Reader]:
    _exactly(1, "is_null", children)
    reader = children[0].read
    return "b", lambda row: reader(row) is None


def _coalesce(children: Sequence[Made]) -> tuple[str, Reader]:
    kind = _same("coalesce", children)
    if len(children) == 2:
        first, second = children[0].read, children[1].read
        if children[1].constant:
            default = second({})
            return kind, lambda row: default if (value := first(row)) is None else value
        return kind, lambda row: second(row) if (value := first(row)) is None else value
    readers = [child.read for child in children]

    def read(row: Row) -> Any:
        for reader in readers:
            value = reader(row)
            if value is not None:
                return value
        return None

    return kind, read


def _case(children: Sequence[Made]) -> tuple[str, Reader]:
    """Take condition, value, condition, value, …, value otherwise."""
    if len(children) % 2 == 0 or len(children) < 3:
        raise DataError("program: case takes pairs and what is otherwise")
    conditions = _conditions("case", children[:-1:2])
    values = [*children[1:-1:2], children[-1]]
    kind = _same("case", values)
    pairs = [(condition, value.read) for condition, value in zip(conditions, values, strict=False)]
    otherwise = children[-1].read

    def read(row: Row) -> Any:
        for condition, value in pairs:
            if condition(row):
                return value(row)
        return otherwise(row)

    return kind, read


def _nullif(children: Sequence[Made], *_: object) -> tuple[str, Reader]:
    """Take a condition and a value: null where the condition holds."""
    _exactly(2, "nullif", children)
    (condition,) = _conditions("nullif", children[:1])
    value = children[1].read
    return children[1].kind, lambda row: None if condition(row) else value(row)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _equal(left: Any, right: Any) -> bool:
    """Compare as SQL does: NaN equals itself."""
    return bool(left == right) or (_is_nan(left) and _is_nan(right))


def _greater(left: Any, right: Any) -> bool:
    """Compare as SQL does: NaN is greater than all else."""
    return bool(left > right) or (_is_nan(left) and not _is_nan(right))


def _is_distinct(children: Sequence[Made]) -> tuple[str, Reader]:
    _exactly(2, "is_distinct", children)
    _same("is_distinct", children)
    left, right = (child.read for child in children)

    def read(row: Row) -> bool:
        first, second = left(row), right(row)
        if first is None or second is None:
            return first is not second
        return not _equal(first, second)

    return "b", read


def _in(children: Sequence[Made]) -> tuple[str, Reader]:
    """Take a value and those that it may equal."""
    _same("in", children)
    value, choices = children[0].read, [child.read for child in children[1:]]

    def read(row: Row) -> bool | None:
        sought = value(row)
        found = [choice(row) for choice in choices]
        if sought is None:
            return None
        if any(each is not None and _equal(sought, each) for each in found):
            return True
        return None if None in found else False

    return "b", read


def _extreme(operation: str, beats: Callable[[Any, Any], bool]) -> Callable[[Sequence[Made]], tuple[str, Reader]]:
    def make(children: Sequence[Made]) -> tuple[str, Reader]:
        readers = [child.read for child in children]

        def read(row: Row) -> Any:
            best = None
            for reader in readers:
                value = reader(row)
                if value is not None and (best is None or beats(value, best)):
                    best = value
            return best

        return _same(operation, children), read

    return make


def _concat(children: Sequence[Made]) -> tuple[str, Reader]:
    """Join texts, leaving out nulls."""
    if _same("concat", children) not in ("t", "n"):
        raise DataError("program: concat takes texts")
    readers = [child.read for child in children]
    return "t", lambda row: "".join(text for reader in readers if (text := reader(row)) is not None)


def _category(children: Sequence[Made]) -> tuple[str, Reader]:
    """Write a double as a category: null if it is not finite, with one zero."""
    _exactly(1, "category", children)
    if children[0].kind not in ("d", "n"):
        raise DataError("program: category takes a number")
    reader = children[0].read

    def read(row: Row) -> str | None:
        number = reader(row)
        return None if number is None or not math.isfinite(number) else written(number + 0.0)

    return "t", read


SHAPES: dict[str, Callable[..., tuple[str, Reader]]] = {
    "and": _all,
    "or": _any,
    "not": _not,
    "is_null": _is_null,
    "coalesce": _coalesce,
    "case": _case,
    "null_where": _nullif,
    "is_distinct": _is_distinct,
    "in": _in,
    "greatest": _extreme("greatest", _greater),
    "least": _extreme("least", lambda value, best: _greater(best, value)),
    "concat": _concat,
    "category": _category,
}
