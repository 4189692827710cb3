"""The composition root builds late, once and lightly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from perennial.aws import runtime
from perennial.aws.runtime import SystemClock, ports_for
from perennial.errors import DefinitionError
from perennial.settings import Settings

HEAVY = ("duckdb", "matplotlib", "numpy", "onnxruntime", "pandas", "skl2onnx", "sklearn")


def settings(definitions: Path | None = None) -> Settings:
    return Settings(
        deployment="test",
        raw_bucket="raw",
        artifacts_bucket="artifacts",
        catalog_table="catalog",
        online_table="online",
        definitions=definitions,
        code_version="abc",
    )


def test_importing_the_runtime_imports_no_engine_and_builds_no_client() -> None:
    program = (
        "import sys, boto3\n"
        "boto3.Session.client = boto3.client = None\n"
        "import perennial.aws.runtime\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_ports_are_built_once_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings().to_env().items():
        monkeypatch.setenv(name, value)
    runtime.ports.cache_clear()
    ports = runtime.ports()
    assert runtime.ports() is ports
    assert (ports.raw.bucket, ports.artifacts.bucket) == ("raw", "artifacts")
    assert (ports.deployment, ports.code_version) == ("test", "abc")
    runtime.ports.cache_clear()


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings().to_env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PERENNIAL_CATALOG_TABLE")
    runtime.ports.cache_clear()
    with pytest.raises(DefinitionError, match="PERENNIAL_CATALOG_TABLE"):
        runtime.ports()


def test_definitions_are_read_when_first_asked_for_and_once(tmp_path: Path) -> None:
    ports = ports_for(settings(tmp_path))
    (tmp_path / "datasets").mkdir()
    dataset = 'event_time = "at"\ncolumns = { at = { type = "timestamp" } }\n'
    (tmp_path / "datasets" / "trips.toml").write_text(dataset)
    assert ports.definitions.dataset("trips").event_time == "at"
    (tmp_path / "datasets" / "trips.toml").unlink()
    assert list(ports.definitions.datasets) == ["trips"]
    assert ports.definitions.models == {}
    assert ports.definitions.views_of("trips") == []


def test_wrong_definitions_do_not_keep_ports_from_being_built(tmp_path: Path) -> None:
    ports = ports_for(settings(tmp_path / "nowhere"))
    with pytest.raises(DefinitionError, match="no such folder"):
        ports.definitions.model("fare")
    with pytest.raises(AttributeError):
        _ = ports.definitions.nonsense  # type: ignore[attr-defined]


def test_the_systems_clock_is_in_utc_and_goes_on() -> None:
    first = SystemClock().now()
    assert str(first.tzinfo) == "UTC"
    assert SystemClock().now() >= first
