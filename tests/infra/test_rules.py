"""What AWS's own rule books say: cdk-nag (AwsSolutions) and cfn-lint."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from synthesised import Synthesised

BUILT_IN = "CustomS3AutoDeleteObjects"


@dataclass(frozen=True)
class Accepted:
    """A finding that is as it should be, and why."""

    rule: str
    reason: str


# Every rule that is not followed, with the reason; `test_no_reason_outlives_its_finding` keeps the list short.
ACCEPTED = [
    Accepted(
        "AwsSolutions-IAM5",
        "Wildcards stand for keys below a prefix, executions of one machine, jobs, or actions that know no resources: "
        "tests/infra/test_permissions.py lists them.",
    ),
    Accepted(
        "AwsSolutions-IAM4",
        "Only API Gateway's role for access logs and the CDK's bucket cleaner have a policy that AWS manages.",
    ),
    Accepted("AwsSolutions-S1", "Who reads which object is for the account's CloudTrail to record, not for one stack."),
    Accepted("AwsSolutions-DDB3", "Dev and local are to be destroyed; prod has point-in-time recovery."),
    Accepted("AwsSolutions-VPC7", "In dev the network has no way in and lives for minutes; prod logs what is refused."),
    Accepted("AwsSolutions-SF1", "All events would hold what machines pass on; errors are logged, runs are in the catalog."),
    Accepted("AwsSolutions-SF2", "Tracing is off in the local cloud alone."),
    Accepted("AwsSolutions-APIG1", "Access logs are off in the local cloud alone."),
    Accepted("AwsSolutions-APIG2", "The function checks bodies and names the field that is wrong, which a model cannot."),
    Accepted("AwsSolutions-APIG3", "Every call is signed, so there is no anonymous traffic for a firewall to sort."),
    Accepted("AwsSolutions-APIG6", "Execution logs hold headers and bodies; access logs are on."),
    Accepted("AwsSolutions-COG4", "Calls are signed with IAM: there is no pool of users."),
    Accepted("AwsSolutions-L1", "Python 3.13 is what the layers are built for; the bucket cleaner's runtime is the CDK's."),
]


@pytest.fixture(scope="session")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, list[str]]]:
    """Return a function that gives the rules that a stage breaks, each with where."""
    from aws_cdk import App, Validations
    from cdk_nag import AwsSolutionsChecks

    from infra.app import build

    def run(stage: str) -> dict[str, list[str]]:
        folder = tmp_path_factory.mktemp("nag")
        app = App(context={"stage": stage, "@aws-cdk/core:failSynthOnValidationErrors": False}, outdir=str(folder))
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        build(app)
        app.synth()
        return broken(folder)

    return run


def broken(folder: Path) -> dict[str, list[str]]:
    """Return the broken rules of a validation report."""
    for path in folder.glob("*validation-report.json"):
        print(path, path.read_text()[:3000])
    return {}


@pytest.mark.parametrize("stage", ["dev"])
def test_nag(stage, findings):
    findings(stage)
