"""The lean composition root reads the variables that the settings write, and names what is missing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from perennial.aws.lean import runtime
from perennial.errors import DefinitionError
from perennial.settings import Settings

SETTINGS = Settings(
    deployment="test",
    raw_bucket="raw",
    artifacts_bucket="kept",
    catalog_table="catalog",
    online_table="online",
    pointer_ttl_seconds=2.5,
)


@pytest.fixture(autouse=True)
def _no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.Service, "open_early", lambda _: None)


def environ(**changes: str) -> dict[str, str]:
    return {**SETTINGS.to_env(), "AWS_REGION": "eu-central-1", **changes}


def test_the_ports_are_of_what_the_settings_name() -> None:
    ports: Any = runtime.ports_for(environ())
    assert ports.artifacts.bucket == "kept"
    assert ports.catalog._table == "catalog"
    assert ports.online._table == "online"
    assert ports.clock.now().utcoffset() == timedelta(0)


def test_the_pointers_time_is_that_of_the_settings_and_by_default_theirs_too() -> None:
    assert runtime.pointer_ttl(environ()) == timedelta(seconds=2.5)
    default = Settings.model_fields["pointer_ttl_seconds"].default
    assert runtime.pointer_ttl({}) == timedelta(seconds=default)
    with pytest.raises(DefinitionError, match="PERENNIAL_POINTER_TTL_SECONDS: 'soon'"):
        runtime.pointer_ttl({"PERENNIAL_POINTER_TTL_SECONDS": "soon"})


@pytest.mark.parametrize("field", ["artifacts_bucket", "catalog_table", "online_table"])
def test_a_missing_variable_is_named(field: str) -> None:
    variables = environ()
    del variables[f"PERENNIAL_{field.upper()}"]
    with pytest.raises(DefinitionError, match=f"PERENNIAL_{field.upper()}: is missing"):
        runtime.ports_for(variables)


def test_request_ids_differ_and_tell_the_moment() -> None:
    at = runtime.SystemClock().now()
    first, second = runtime.new_request_id(at), runtime.new_request_id(at)
    assert first != second
    assert first[:10] == second[:10]
