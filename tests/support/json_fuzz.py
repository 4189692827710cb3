"""Bodies that somebody may send: random bytes, JSON that was damaged, JSON that means something else."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

Path = tuple[int | str, ...]

HUGE = st.sampled_from([10**400, -(10**30), 2**63, 2**64, 1e308, -1e308, 5e-324, float("nan"), float("inf")])
TEXTS = st.text(max_size=8) | st.sampled_from(["\ud800", "\x00", "NaN", "1e5", "2019-01-03", "9999-99-99", "true", ""])
SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-1e6, 1e6) | HUGE | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
DEEP = st.integers(1, 3000).map(lambda depth: "[" * depth + "]" * depth) | st.integers(1, 3000).map(
    lambda depth: '{"a":' * depth + "1" + "}" * depth
)


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every part of a JSON value, its own first."""
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield from places(part, (*path, name))


def put(value: Any, path: Path, new: Any) -> Any:
    """Return a JSON value with another part at a path."""
    if not path:
        return new
    changed = copy.copy(value)
    changed[path[0]] = put(value[path[0]], path[1:], new)
    return changed


@st.composite
def altered(draw: Callable[[st.SearchStrategy[Any]], Any], good: Any) -> bytes:
    """Draw a good value of which one to three parts are something else, or have a key more, or lack one."""
    value = good
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(value))))
        part = value
        for step in path:
            part = part[step]
        if isinstance(part, dict) and part and draw(st.booleans()):
            if draw(st.booleans()):
                new: Any = {**part, draw(st.text(max_size=5)): draw(VALUES)}
            else:
                gone = draw(st.sampled_from(sorted(part)))
                new = {name: one for name, one in part.items() if name != gone}
        elif isinstance(part, list) and draw(st.booleans()):
            new = draw(st.sampled_from([part * 2, part[1:], [*part, *part[-1:]], [part]]))
        else:
            new = draw(VALUES)
        value = put(value, path, new)
    return json.dumps(value, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


@st.composite
def damaged(draw: Callable[[st.SearchStrategy[Any]], Any], good: Any) -> bytes:
    """Draw the bytes of a good value, cut, doubled in a place, or with other bytes in between."""
    raw = json.dumps(good).encode()
    start = draw(st.integers(0, len(raw)))
    end = draw(st.integers(start, min(len(raw), start + 12)))
    between = draw(st.binary(max_size=4))
    ways = [raw[:start], raw[:start] + raw[end:], raw[:end] + raw[start:], raw[:start] + between + raw[end:]]
    return draw(st.sampled_from(ways))


@st.composite
def twice(draw: Callable[[st.SearchStrategy[Any]], Any], good: Any) -> bytes:
    """Draw the text of a good value in which a key stands twice in one object."""
    text = json.dumps(good)
    objects = [path for path in places(good) if isinstance(_at(good, path), dict) and _at(good, path)]
    found = _at(good, draw(st.sampled_from(objects)))
    name = draw(st.sampled_from(sorted(found)))
    inside = json.dumps(found)[1:-1]
    return text.replace(inside, f"{inside}, {json.dumps(name)}: {json.dumps(draw(SCALARS))}", 1).encode(
        "utf-8", "surrogatepass"
    )


def bodies(*good: Any) -> st.SearchStrategy[bytes]:
    """Return a strategy of bodies, most of them near to one of these good ones; the good ones are among them."""
    near = st.sampled_from(good).flatmap(
        lambda one: st.just(json.dumps(one).encode()) | altered(one) | damaged(one) | twice(one)
    )
    return (
        near
        | near
        | st.binary(max_size=40)
        | DEEP.map(str.encode)
        | VALUES.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))
    )


class NonsenseError(ValueError):
    """A body that nobody should accept."""


def strictly(raw: bytes, most_depth: int = 16) -> Any:
    """Read JSON as RFC 8259 and I-JSON (RFC 7493) have it: UTF-8, no key twice, no NaN, doubles only, not deep."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise NonsenseError("a key stands twice")
        return dict(pairs)

    def refuse(text: str) -> None:
        raise NonsenseError(text)

    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=unique, parse_constant=refuse)
    except RecursionError:
        raise NonsenseError("deep") from None
    for path in places(value):
        if len(path) > most_depth:
            raise NonsenseError("deep")
        part = _at(value, path)
        if isinstance(part, float) and not math.isfinite(part):
            raise NonsenseError("beyond a double")
    return value


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value
