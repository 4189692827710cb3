"""The app, synthesised once for each stage, in this process; nothing is deployed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from infra.deploy import toolchain

# Before aws_cdk is imported: jsii looks for node then.
os.environ.setdefault("JSII_NODE", str(toolchain()[0]))
# The CDK's own check only warns, and costs seconds; cdk-nag and cfn-lint check here. Synthesis by itself has it on.
os.environ.setdefault("CDK_VALIDATION", "false")

from tests.infra.synthesised import Synthesise, Synthesised


@pytest.fixture(scope="session")
def synthesise(tmp_path_factory: pytest.TempPathFactory) -> Synthesise:
    """Return a function that synthesises the app with a context."""
    from aws_cdk import App

    from infra.app import build

    def run(**context: Any) -> Synthesised:
        folder = tmp_path_factory.mktemp("assembly")
        app = App(context=context, outdir=str(folder))
        stack = build(app)
        app.synth()
        return Synthesised.read(folder, stack.stack_name)

    return run


@pytest.fixture(scope="session")
def local(synthesise: Synthesise) -> Synthesised:
    """Return the stack of stage local."""
    return synthesise(stage="local")


@pytest.fixture(scope="session")
def dev(synthesise: Synthesise) -> Synthesised:
    """Return the stack of stage dev."""
    return synthesise(stage="dev")


@pytest.fixture(scope="session")
def prod(synthesise: Synthesise) -> Synthesised:
    """Return the stack of stage prod."""
    return synthesise(stage="prod")


TOKENS = {
    "auth": "jwt",
    "issuer": "https://login.example.org/",
    "audience": "perennial",
    "jwks": "https://login.example.org/jwks.json",
}


@pytest.fixture(scope="session")
def with_tokens(synthesise: Synthesise) -> Synthesised:
    """Return the stack of stage dev whose callers have tokens."""
    return synthesise(stage="dev", clients="shop:5:10:1000", **TOKENS)


@pytest.fixture(scope="session")
def with_keys(synthesise: Synthesise) -> Synthesised:
    """Return the stack of stage dev whose callers have API keys."""
    return synthesise(stage="dev", auth="api_key", clients="shop:5:10:1000,report")


@pytest.fixture(params=["local", "dev", "prod"])
def stack(request: pytest.FixtureRequest) -> Synthesised:
    """Return the stack of each stage in turn."""
    found: Synthesised = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def definitions_folder(tmp_path: Path) -> Path:
    """Return a folder of definitions that has nothing to do with taxis."""
    for folder in ("datasets", "features", "models"):
        (tmp_path / folder).mkdir()
    (tmp_path / "datasets" / "houses.toml").write_text(
        'event_time = "sold_at"\n[columns]\nsold_at = { type = "timestamp" }\narea = { type = "double" }\n'
        'price = { type = "double" }\n'
    )
    (tmp_path / "features" / "house.sql").write_text("-- kind: request\n-- dataset: houses\nSELECT area FROM houses\n")
    (tmp_path / "models" / "house_price.toml").write_text(
        'dataset = "houses"\ntarget = "price"\n[features]\nhouse = ["area"]\n[split]\nholdout = "30 days"\n'
        '[[candidates]]\nname = "ridge"\nalgorithm = "ridge"\n'
        "[monitor]\nmin_psi = 0.4\nperformance_ratio = 1.5\n"
        '[retrain]\nschedule = "7 days"\n'
    )
    return tmp_path
