"""What a contract asks of a column, for people who do not read TOML."""

from __future__ import annotations

from perennial.definitions import Column


def rules_in_words(column: Column) -> tuple[str, ...]:
    """Return what is asked of a column's values beyond their type, each as a few words."""
    found = [_presence(column)]
    if column.min is not None and column.max is not None:
        found.append(f"from {_bound(column.min)} to {_bound(column.max)}")
    elif column.min is not None:
        found.append(f"at least {_bound(column.min)}")
    elif column.max is not None:
        found.append(f"at most {_bound(column.max)}")
    if column.min_length is not None and column.max_length is not None:
        found.append(f"{column.min_length} to {column.max_length} characters")
    elif column.min_length is not None:
        found.append(f"at least {column.min_length} characters")
    elif column.max_length is not None:
        found.append(f"at most {column.max_length} characters")
    if column.pattern is not None:
        found.append(f"like {column.pattern}")
    if column.allowed is not None:
        shown = [str(value) for value in column.allowed[:6]]
        more = len(column.allowed) - len(shown)
        also = "; new ones are taken in and reported" if column.open else ""
        found.append(f"one of {', '.join(shown)}{f' and {more} more' if more else ''}{also}")
    if column.max_null is not None:
        found.append(f"empty in at most {100 * column.max_null:g} % of a file's rows")
    return tuple(found)


def _presence(column: Column) -> str:
    if column.optional:
        return "may be missing from a file"
    return "may be empty" if column.nullable else "never empty"


def _bound(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.15g}"
