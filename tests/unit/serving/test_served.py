"""What serving reads of pointers and manifests is what their records say; anything else is refused by its key."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from perennial.definitions import Column
from perennial.errors import DataError
from perennial.records import Alias, Challenger, Champion
from perennial.serving.served import read_alias, read_pointer, read_registered, read_served, served_of
from tests.support.artifacts import INPUTS, PLANS, a_classifier, a_manifest, linear_graph
from tests.support.records import AT, a_version

CHAMPION = Champion(
    model="fare",
    version=3,
    previous=2,
    manifest_key="m",
    manifest_sha256="3" * 64,
    by="ada",
    promoted_at=AT,
    challenger=Challenger(
        version=4, manifest_key="n", manifest_sha256="4" * 64, weight=0.25, shadow=True, run_id="r", since=AT
    ),
)


def test_a_pointer_and_its_challenger_are_read_as_they_were_recorded() -> None:
    pointer = read_pointer(CHAMPION.model_dump_json())
    assert pointer.challenger is not None
    assert CHAMPION.challenger is not None
    for name in ("version", "previous", "manifest_key", "manifest_sha256"):
        assert getattr(pointer, name) == getattr(CHAMPION, name)
    for name in ("version", "manifest_key", "manifest_sha256", "weight", "shadow"):
        assert getattr(pointer.challenger, name) == getattr(CHAMPION.challenger, name)
    alone = read_pointer(CHAMPION.model_copy(update={"challenger": None, "previous": None}).model_dump_json())
    assert (alone.challenger, alone.previous) == (None, None)


def test_versions_and_aliases_too() -> None:
    version = a_version(7)
    found = read_registered(version.model_dump_json())
    assert (found.version, found.manifest_key, found.manifest_sha256) == (
        7,
        version.manifest_key,
        version.manifest_sha256,
    )
    assert read_alias(Alias(model="fare", name="old", version=5, by="ada", set_at=AT).model_dump_json()).version == 5


COLUMNS = {
    "price": Column(type="decimal", precision=18, scale=2, nullable=True, max=1e15),
    "plan": Column(type="categorical", allowed=("A", "B"), open=True),
    "word": Column(type="string", min_length=1, max_length=9, pattern="[a-z]+"),
    "at": Column(type="timestamptz", zone="Europe/Berlin", ambiguous="later", min="2019-01-01"),
    "day": Column(type="date", format="%d.%m.%Y"),
    "flag": Column(type="boolean", max_null=0.5),
    **INPUTS,
}


@pytest.mark.parametrize(
    "manifest",
    [a_manifest(inputs=COLUMNS, required=("zone_stats__mean_speed",)), a_classifier("multiclass", linear_graph())],
    ids=["regression", "classes"],
)
def test_a_manifest_is_read_as_it_was_written(manifest: Any) -> None:
    content = manifest.model_dump_json().encode()
    served = read_served(content, hashlib.sha256(content).hexdigest())
    for name in ("model", "version", "task", "features", "classes", "ignored", "event_time", "files"):
        assert getattr(served, name) == getattr(manifest, name)
    assert (served.onnx_input, served.onnx_output) == (manifest.onnx_input, manifest.onnx_output)
    assert served.required == set(manifest.required)
    assert dict(served.categories) == manifest.categories
    assert served.request is not None
    for name in ("name", "table", "sql", "columns", "reads", "program"):
        assert getattr(served.request, name) == getattr(manifest.request, name)
    for ours, theirs in zip(served.stored, manifest.stored, strict=True):
        for name in ("name", "version", "entity", "columns", "ttl_seconds"):
            assert getattr(ours, name) == getattr(theirs, name)
    for name, column in manifest.inputs.items():
        for rule in vars(served.inputs[name]):
            assert getattr(served.inputs[name], rule) == getattr(column, rule), (name, rule)


def test_a_manifest_that_is_not_the_registered_one_is_refused() -> None:
    with pytest.raises(DataError, match="was changed after it was registered"):
        read_served(a_manifest().model_dump_json().encode(), "0" * 64)


BROKEN: list[tuple[list[str | int], Any, str]] = [
    (["task"], "ranking", "task"),
    (["version"], "1", "version"),
    (["version"], True, "version"),
    (["features"], ["a", 1], "features"),
    (["stored"], None, "stored"),
    (["stored", 0], [], "stored"),
    (["stored", 0, "entity"], "zone", "entity"),
    (["stored", 0, "ttl_seconds"], "1", "ttl_seconds"),
    (["request", "sql"], None, "sql"),
    (["request"], "SELECT", "request"),
    (["request", "program"], [], "program"),
    (["inputs"], [], "inputs"),
    (["inputs", "trip_distance", "type"], "money", "trip_distance.type"),
    (["inputs", "trip_distance", "max"], [], "max"),
    (["inputs", "trip_distance", "allowed"], 1, "allowed"),
    (["files", "model.onnx"], 5, "model.onnx"),
    (["categories"], {"a": [1]}, "categories.a"),
    (["onnx_input"], None, "onnx_input"),
]


@pytest.mark.parametrize(("path", "value", "words"), BROKEN, ids=[words for _, _, words in BROKEN])
def test_a_value_of_another_kind_is_refused_by_its_key(path: list[Any], value: Any, words: str) -> None:
    content = a_manifest().model_dump(mode="json")
    place: Any = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(DataError, match=rf"manifest.json: .*{words}"):
        served_of(content)


@pytest.mark.parametrize("key", ["model", "task", "features", "stored", "inputs", "files", "onnx_output"])
def test_what_is_missing_is_named(key: str) -> None:
    content = a_manifest().model_dump(mode="json")
    del content[key]
    with pytest.raises(DataError, match=key):
        served_of(content)


@pytest.mark.parametrize(
    "change",
    [
        {"version": None},
        {"manifest_sha256": 1},
        {"previous": "2"},
        {"challenger": []},
        {"challenger": {"version": 4}},
        {"challenger": {**json.loads(CHAMPION.model_dump_json())["challenger"], "weight": 1.5}},
        {"challenger": {**json.loads(CHAMPION.model_dump_json())["challenger"], "weight": True}},
    ],
    ids=str,
)
def test_a_pointer_that_is_none_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="champion pointer"):
        read_pointer(json.dumps({**json.loads(CHAMPION.model_dump_json()), **change}))


@pytest.mark.parametrize("text", ["", "[]", "1", "{"])
def test_what_is_no_object_is_refused(text: str) -> None:
    for read in (read_pointer, read_registered, read_alias):
        with pytest.raises(DataError):
            read(text)


def test_the_classes_of_the_examples_are_read() -> None:
    assert served_of(a_classifier("binary", linear_graph()).model_dump(mode="json")).categories == {
        "customer__plan": PLANS
    }
