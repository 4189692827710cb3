"""What all tests may ask for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from perennial.definitions.files import Definitions, load_definitions
from perennial.fakes import FixedClock, fake_ports
from perennial.ports import Ports

ROOT = Path(__file__).parent.parent


def pytest_configure() -> None:
    """Keep bytecode, also where the shell says not to: the tests start hundreds of programs that share their imports.

    Without it each deployment compiles the CDK's Python modules anew, which costs five seconds of a processor.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


LONGEST = ("test_delivery", "test_demo", "test_quality", "test_bulk", "test_loops", "test_data_plane")
"""The files that take minutes, the longest first: begun last, one of them would run alone while the others are done."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what runs on the local cloud come first, as the many short files fill what is left of each processor."""

    def rank(item: pytest.Item) -> int:
        if item.path.stem in LONGEST:
            return LONGEST.index(item.path.stem)
        return len(LONGEST) + (item.path.parent.name != "e2e")

    items.sort(key=rank)


@pytest.fixture(autouse=True)
def _no_real_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tests away from whatever account the shell is signed in to."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def definitions() -> Definitions:
    """Return the definitions that the repository ships."""
    return load_definitions(ROOT / "layers" / "definitions")


@pytest.fixture
def clock() -> FixedClock:
    """Return a clock that stands still at the beginning of March 2019."""
    return FixedClock("2019-03-01T00:00:00Z")


@pytest.fixture
def ports(definitions: Definitions, clock: FixedClock) -> Ports:
    """Return fakes of all ports, on the shipped definitions and the fixed clock."""
    return fake_ports(definitions, clock=clock)
