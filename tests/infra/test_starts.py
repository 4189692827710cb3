"""How ``predict`` starts: as it is called, from a snapshot, or kept ready; the API calls what is prepared."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from infra.stage import STAGES, Stage
from tests.infra.synthesised import Synthesise, Synthesised


def prepared(synthesise: Synthesise, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Synthesised:
    monkeypatch.setitem(STAGES, "dev", STAGES["dev"].model_copy(update=changes))
    return synthesise(stage="dev")


def uris(stack: Synthesised) -> list[str]:
    """Return what the methods of the API call."""
    return [str(each["Integration"].get("Uri")) for each in stack.properties("AWS::ApiGateway::Method").values()]


def test_by_default_nothing_is_prepared_and_nothing_billed(stack: Synthesised) -> None:
    assert stack.resources("AWS::Lambda::Alias") == {}
    assert all("SnapStart" not in function for function in stack.functions().values())


def test_snapshots_are_of_published_versions_and_the_api_calls_these(
    synthesise: Synthesise, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = prepared(synthesise, monkeypatch, snapstart=True)
    functions = stack.functions()
    assert functions["predict"]["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert all("SnapStart" not in function for verb, function in functions.items() if verb != "predict")
    ((id, alias),) = stack.properties("AWS::Lambda::Alias").items()
    assert alias["FunctionVersion"]["Fn::GetAtt"][0] in stack.resources("AWS::Lambda::Version")
    assert "ProvisionedConcurrencyConfig" not in alias
    called = [uri for uri in uris(stack) if id in uri]
    assert len(called) == 4  # predict and infer, each also of a named version
    permissions = stack.properties("AWS::Lambda::Permission").values()
    assert sum(id in str(permission["FunctionName"]) for permission in permissions) >= 1


def test_processes_are_kept_ready_at_the_alias(synthesise: Synthesise, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = prepared(synthesise, monkeypatch, provisioned_concurrency=3)
    (alias,) = stack.properties("AWS::Lambda::Alias").values()
    assert alias["ProvisionedConcurrencyConfig"] == {"ProvisionedConcurrentExecutions": 3}
    assert "SnapStart" not in stack.functions()["predict"]


def test_lambda_has_the_one_or_the_other() -> None:
    with pytest.raises(ValidationError, match="not both"):
        Stage(name="dev", snapstart=True, provisioned_concurrency=1)
    with pytest.raises(ValidationError):
        Stage(name="dev", provisioned_concurrency=-1)
