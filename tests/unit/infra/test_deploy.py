"""What the CDK CLI says becomes progress, outputs and reasons; a script takes the CLI's place."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from infra import deploy
from infra.deploy import SIGN_IN, DeployError, Progress
from perennial.client.deployment import session

EVENTS = """\
Perennial: deploying... [1/1]
Perennial |   0/3 | 11:12:17 PM | CREATE_IN_PROGRESS   | AWS::SQS::Queue        | Ingest/Queue (IngestQueue12AB)
Perennial |   1/3 | 11:12:17 PM | CREATE_COMPLETE      | AWS::SQS::Queue        | Ingest/Queue (IngestQueue12AB)
"""
FAILED = """\
P | 1/3 | 1:12:17 PM | CREATE_FAILED | AWS::SQS::Queue | Work (Work12) Resource creation cancelled
P | 1/3 | 1:12:17 PM | CREATE_FAILED | AWS::IAM::Role | Train/Role (TrainRole1) Policy is too long
P | 1/3 | 1:12:18 PM | ROLLBACK_COMPLETE | AWS::CloudFormation::Stack | P
"""
RAISED = """\
Traceback (most recent call last):
  File "app.py", line 3, in <module>
perennial.errors.DefinitionError: models/churn.toml: 'metric' is missing
Error: Subprocess exited with error 1
"""
EXITED = "no definitions in ./mine\npython -m infra.app: Subprocess exited with error 1\n"
ANNOTATED = """\
ERROR the bucket is not encrypted (Construct Annotations)
   Perennial/Storage/Artifacts
   Rule Annotation::error-annotation
Synthesis finished with errors
"""


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a script in the place of the CLI: it prints ``said`` and ends with the code in ``code``."""
    script = tmp_path / "cdk.py"
    script.write_text(
        "import pathlib, sys\nhere = pathlib.Path(__file__).parent\n"
        "(here / 'called').write_text(' '.join(sys.argv[1:]))\n"
        "print((here / 'said').read_text())\nsys.exit(int((here / 'code').read_text()))\n"
    )
    monkeypatch.setattr(deploy, "toolchain", lambda: (Path(sys.executable), script))
    return tmp_path


def run(cli: Path, said: str, code: int) -> list[Progress]:
    (cli / "said").write_text(said)
    (cli / "code").write_text(str(code))
    seen: list[Progress] = []
    deploy.destroy(stage="local", stack="Perennial", environment={}, directory=cli, report=seen.append)
    return seen


def test_progress_counts_resources(cli: Path) -> None:
    assert run(cli, EVENTS, 0) == [
        Progress("Perennial: deploying... [1/1]"),
        Progress("Ingest/Queue: create in progress", 0, 3),
        Progress("Ingest/Queue: create complete", 1, 3),
    ]


def test_the_app_gets_its_context(cli: Path) -> None:
    run(cli, "", 0)
    called = (cli / "called").read_text()
    assert called.startswith("destroy Perennial --force")
    assert "--context stage=local" in called


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (FAILED, "Train/Role (AWS::IAM::Role): Policy is too long"),
        (
            RAISED,
            "perennial.errors.DefinitionError: models/churn.toml: 'metric' is missing",
        ),
        (EXITED, "no definitions in ./mine"),
        (
            "Unable to resolve AWS account to use. It must be either configured when you define your CDK Stack",
            f"there are no AWS credentials in the environment that AWS accepts; {SIGN_IN}",
        ),
        (ANNOTATED, "Perennial/Storage/Artifacts: the bucket is not encrypted"),
    ],
)
def test_a_failure_is_one_sentence(said: str, reason: str, cli: Path) -> None:
    with pytest.raises(DeployError) as failure:
        run(cli, said, 1)
    assert str(failure.value) == reason


@pytest.mark.parametrize(
    ("given", "region"),
    [
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-north-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-north-1"}, "eu-north-1"),
        ({}, "us-east-1"),
    ],
)
def test_what_the_cli_deployed_is_looked_for_in_the_region_that_the_cli_chose(
    given: dict[str, str], region: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert session(os.environ).region_name == region
