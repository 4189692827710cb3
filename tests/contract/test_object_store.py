"""What every object store promises."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import boto3
import pytest

from perennial.aws.objects import S3ObjectStore
from perennial.errors import NotFoundError
from perennial.fakes import FakeObjectStore
from perennial.ports import ObjectStore
from tests.support.tables import RAW


def test_what_is_put_is_got(object_store: ObjectStore) -> None:
    object_store.put("a/b", b"\x00\xff", "application/json")
    assert object_store.get("a/b") == b"\x00\xff"


def test_a_second_write_replaces_the_first(object_store: ObjectStore) -> None:
    object_store.put("a", b"1")
    object_store.put("a", b"2")
    assert object_store.get("a") == b"2"


def test_what_is_put_as_new_stays_as_it_was_first(object_store: ObjectStore) -> None:
    assert object_store.put_new("a", b"1", "application/json")
    assert not object_store.put_new("a", b"2")
    assert object_store.get("a") == b"1"
    object_store.delete("a")
    assert object_store.put_new("a", b"3")
    assert object_store.get("a") == b"3"


def test_a_missing_object_is_not_found(object_store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"s3://raw-uploads/nowhere"):
        object_store.get("nowhere")
    with pytest.raises(NotFoundError, match=r"s3://raw-uploads/nowhere"):
        object_store.download("nowhere", tmp_path / "file")
    assert not object_store.exists("nowhere")
    assert object_store.keys("nowhere") == []


def test_files_travel_both_ways(object_store: ObjectStore, tmp_path: Path) -> None:
    content = bytes(range(256)) * 40_000  # 10 MB: more than one part
    (tmp_path / "from").write_bytes(content)
    object_store.upload(tmp_path / "from", "big")
    object_store.download("big", tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == content
    assert object_store.exists("big")


def test_a_stretch_of_an_object_can_be_read(object_store: ObjectStore) -> None:
    object_store.put("a", b"0123456789")
    assert object_store.read_range("a", 0, 4) == b"0123"
    assert object_store.read_range("a", 6, 4) == b"6789"
    assert object_store.read_range("a", 8, 100) == b"89"
    assert object_store.read_range("a", 3, 0) == b""
    assert object_store.read_range("a", 10, 1) == b""
    with pytest.raises(NotFoundError, match=r"s3://raw-uploads/nowhere"):
        object_store.read_range("nowhere", 0, 1)


def test_an_object_s_size_is_told_without_reading_it(object_store: ObjectStore) -> None:
    object_store.put("a", b"older")
    older = latest_version(object_store, "a")
    object_store.put("a", b"")
    assert object_store.size("a") == 0
    assert object_store.size("a", older) == 5
    with pytest.raises(NotFoundError, match=r"s3://raw-uploads/nowhere"):
        object_store.size("nowhere")


def test_keys_come_in_the_order_of_their_bytes_and_by_prefix_only(object_store: ObjectStore) -> None:
    for key in ("p/b", "p/a/1", "q", "p/é", "p/Z", "p"):
        object_store.put(key, b"")
    assert object_store.keys("p/") == ["p/Z", "p/a/1", "p/b", "p/é"]
    assert object_store.keys("p") == ["p", "p/Z", "p/a/1", "p/b", "p/é"]
    assert object_store.keys("") == ["p", "p/Z", "p/a/1", "p/b", "p/é", "q"]


def test_keys_are_listed_beyond_the_first_thousand(object_store: ObjectStore) -> None:
    for number in range(1001):
        object_store.put(f"many/{number:05d}", b"")
    assert object_store.keys("many/") == [f"many/{number:05d}" for number in range(1001)]


def test_an_older_version_can_be_downloaded(object_store: ObjectStore, tmp_path: Path) -> None:
    object_store.put("a", b"older")
    version = latest_version(object_store, "a")
    object_store.put("a", b"newer")
    object_store.download("a", tmp_path / "file", version)
    assert (tmp_path / "file").read_bytes() == b"older"
    with pytest.raises(NotFoundError, match="version"):
        object_store.download("a", tmp_path / "file", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")


def test_each_version_has_its_time_of_writing(object_store: ObjectStore) -> None:
    object_store.put("a", b"older")
    older = latest_version(object_store, "a")
    object_store.put("a", b"newer")
    assert object_store.written_at("a", older) <= object_store.written_at("a")
    assert object_store.written_at("a", latest_version(object_store, "a")) == object_store.written_at("a")
    assert object_store.written_at("a").utcoffset() == timedelta(0)
    with pytest.raises(NotFoundError):
        object_store.written_at("b")


def test_an_object_that_is_deleted_is_gone_but_for_its_versions(object_store: ObjectStore, tmp_path: Path) -> None:
    object_store.put("a", b"older")
    object_store.put("a", b"newer")
    newer, older = object_store.versions("a")
    object_store.delete("a")
    assert not object_store.exists("a")
    assert object_store.keys("") == []
    with pytest.raises(NotFoundError):
        object_store.get("a")
    assert object_store.versions("a") == [newer, older]
    object_store.download("a", tmp_path / "file", older)
    assert (tmp_path / "file").read_bytes() == b"older"


def test_a_version_that_is_deleted_is_gone_for_good(object_store: ObjectStore, tmp_path: Path) -> None:
    object_store.put("a", b"older")
    object_store.put("a", b"newer")
    newer, older = object_store.versions("a")
    object_store.delete("a", newer)
    assert object_store.get("a") == b"older"
    assert object_store.versions("a") == [older]
    object_store.delete("a", older)
    assert object_store.versions("a") == []
    with pytest.raises(NotFoundError):
        object_store.download("a", tmp_path / "file", older)


def test_deleting_what_is_not_there_does_nothing(object_store: ObjectStore) -> None:
    object_store.put("a", b"1")
    object_store.delete("b")
    object_store.delete("a", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
    assert object_store.get("a") == b"1"
    assert object_store.versions("b") == []


def test_versions_are_those_of_the_very_key(object_store: ObjectStore) -> None:
    for key in ("a", "ab", "a/b", "A"):
        object_store.put(key, key.encode())
    (version,) = object_store.versions("a")
    assert version == latest_version(object_store, "a")


def latest_version(store: ObjectStore, key: str) -> str:
    if isinstance(store, FakeObjectStore):
        return store.latest_version(key)
    assert isinstance(store, S3ObjectStore)
    return str(boto3.client("s3").head_object(Bucket=RAW, Key=key)["VersionId"])
