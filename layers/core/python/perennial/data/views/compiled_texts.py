"""Functions of texts in a compiled view, by their names in SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perennial.data.views.compiled_casts import cast
from perennial.data.views.compiled_types import NotCompiledError, Typed, apply

Compiler = Callable[[Sequence[Typed], str], Typed | None]
SPACES = "".join(map(chr, (0x20, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)))
"""What `trim` takes away by itself: Unicode's space separators (Zs)."""


def _of_texts(operation: str, result: str, count: int) -> Compiler:
    def compile_function(children: Sequence[Typed], found: str) -> Typed | None:
        if [child.type for child in children] != ["VARCHAR"] * count:
            return None
        return apply(result, operation, *children)

    return compile_function


def _known(expression: Typed) -> object:
    """Return the value of a constant, and None of what is none."""
    return expression.code[1][1] if expression.code[0] == "value" else None


def _cut(operation: str) -> Compiler:
    """Return what compiles a function of a text and counts that are written in the view."""

    def compile_cut(children: Sequence[Typed], found: str) -> Typed | None:
        text, *others = children
        counts = [_known(each) for each in others]
        if text.type != "VARCHAR" or not counts or any(type(count) is not int for count in counts):
            return None
        least = [1, 0] if operation == "substring" else [0]
        if any(isinstance(count, int) and count < low for count, low in zip(counts, least, strict=False)):
            raise NotCompiledError(f"{operation} with a count below {least[0]}")
        return apply("VARCHAR", operation, text, parameters=tuple(counts))

    return compile_cut


def _strip(side: str) -> Compiler:
    def compile_strip(children: Sequence[Typed], found: str) -> Typed | None:
        text, *letters = children
        taken = _known(letters[0]) if letters else SPACES
        if text.type != "VARCHAR" or not isinstance(taken, str):
            return None
        return apply("VARCHAR", "strip", text, parameters=(side, taken))

    return compile_strip


def _like(*, lower: bool, negated: bool) -> Compiler:
    def compile_like(children: Sequence[Typed], found: str) -> Typed | None:
        text, pattern = children
        known = _known(pattern)
        if text.type != "VARCHAR" or not isinstance(known, str) or "_" in known or "\\" in known:
            return None
        if lower:
            if not known.isascii():
                return None
            text, known = apply("VARCHAR", "lower", text), known.lower()
        found_in = apply("BOOLEAN", "like", text, parameters=(known,))
        return apply("BOOLEAN", "not", found_in) if negated else found_in

    return compile_like


def _join(children: Sequence[Typed], found: str) -> Typed | None:
    if found != "VARCHAR" or len(children) != 2:
        return None
    return apply(found, "join", *(cast(child, found) for child in children))


def _concat(children: Sequence[Typed], found: str) -> Typed | None:
    if found != "VARCHAR":
        return None
    return apply(found, "concat", *(cast(child, found) for child in children))


TEXTS: dict[str, Compiler] = {
    **dict.fromkeys(("lower", "lcase"), _of_texts("lower", "VARCHAR", 1)),
    **dict.fromkeys(("upper", "ucase"), _of_texts("upper", "VARCHAR", 1)),
    **dict.fromkeys(("length", "len", "char_length", "character_length"), _of_texts("length", "BIGINT", 1)),
    "replace": _of_texts("replace", "VARCHAR", 3),
    "contains": _of_texts("contains", "BOOLEAN", 2),
    **dict.fromkeys(("starts_with", "prefix", "^@"), _of_texts("starts_with", "BOOLEAN", 2)),
    **dict.fromkeys(("ends_with", "suffix"), _of_texts("ends_with", "BOOLEAN", 2)),
    **dict.fromkeys(("position", "strpos", "instr"), _of_texts("position", "BIGINT", 2)),
    "left": _cut("left"),
    "right": _cut("right"),
    **dict.fromkeys(("substring", "substr"), _cut("substring")),
    "trim": _strip("both"),
    "ltrim": _strip("left"),
    "rtrim": _strip("right"),
    "~~": _like(lower=False, negated=False),
    "!~~": _like(lower=False, negated=True),
    "~~*": _like(lower=True, negated=False),
    "!~~*": _like(lower=True, negated=True),
    "||": _join,
    "concat": _concat,
}
