"""What AWS's own rule books say: cdk-nag (AwsSolutions) and cfn-lint."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.infra.synthesised import Synthesised

STAGES = ("local", "dev", "prod")


@dataclass(frozen=True)
class Accepted:
    """A finding that is as it should be, and why."""

    rule: str
    reason: str
    stages: tuple[str, ...] = STAGES


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
        ("dev", "prod"),
    ),
    Accepted("AwsSolutions-S1", "Who reads which object is for the account's CloudTrail to record."),
    Accepted(
        "AwsSolutions-DDB3", "Dev and local are to be destroyed; prod has point-in-time recovery.", ("local", "dev")
    ),
    Accepted(
        "AwsSolutions-VPC7",
        "There is no way in, and jobs live for minutes; prod logs what is refused.",
        ("local", "dev"),
    ),
    Accepted("AwsSolutions-SF1", "Errors are logged; every run and step is in the catalog."),
    Accepted("AwsSolutions-SF2", "Tracing is off in the local cloud alone.", ("local",)),
    Accepted("AwsSolutions-APIG1", "Access logs are off in the local cloud alone.", ("local",)),
    Accepted("AwsSolutions-APIG2", "The function checks bodies and names the wrong field."),
    Accepted("AwsSolutions-APIG3", "Every call is signed, so there is no anonymous traffic for a firewall to sort."),
    Accepted("AwsSolutions-APIG6", "Execution logs hold headers and bodies; access logs are on."),
    Accepted("AwsSolutions-COG4", "Calls are signed with IAM: there is no pool of users."),
    Accepted("AwsSolutions-L1", "Python 3.13 is what the layers are built for; the cleaner's is the CDK's."),
]

LINT_ACCEPTED = {
    "W3005": "The CDK writes down dependencies that a reference implies already; they do no harm.",
}


@pytest.fixture(scope="session")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[str]]]:
    """Return the rules of AwsSolutions that each stage breaks, each with where."""
    from aws_cdk import App, Validations
    from cdk_nag import AwsSolutionsChecks

    from infra.app import build

    found = {}
    for stage in STAGES:
        folder = tmp_path_factory.mktemp("nag")
        app = App(context={"stage": stage, "@aws-cdk/core:failSynthOnValidationErrors": False}, outdir=str(folder))
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        build(app)
        app.synth()
        found[stage] = broken(folder)
    return found


def broken(folder: Path) -> dict[str, list[str]]:
    """Return the broken rules of an assembly's validation report, without what they found in detail."""
    rules: dict[str, list[str]] = {}
    (report,) = json.loads((folder / "validation-report.json").read_text())["pluginReports"]
    for violation in report["violations"]:
        places = rules.setdefault(violation["ruleName"].partition("[")[0], [])
        places += [construct["constructPath"] for construct in violation["violatingConstructs"]]
    return rules


@pytest.mark.parametrize("stage", STAGES)
def test_every_finding_of_cdk_nag_is_mended_or_explained(stage: str, findings: dict[str, dict[str, list[str]]]) -> None:
    assert findings[stage], "the rules were looked at"
    explained = {accepted.rule for accepted in ACCEPTED if stage in accepted.stages}
    assert {rule: places for rule, places in findings[stage].items() if rule not in explained} == {}


def test_no_reason_outlives_its_finding(findings: dict[str, dict[str, list[str]]]) -> None:
    stale = [
        (accepted.rule, stage)
        for accepted in ACCEPTED
        for stage in accepted.stages
        if accepted.rule not in findings[stage]
    ]
    assert stale == []


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_cfn_lint_finds_nothing(stage: str, request: pytest.FixtureRequest) -> None:
    from cfnlint.api import ManualArgs, lint  # type: ignore[import-untyped]

    found: Synthesised = request.getfixturevalue(stage)
    matches = lint(json.dumps(found.template), config=ManualArgs(regions=["us-east-1"]))
    assert [f"{match.rule.id} {match.message}" for match in matches if match.rule.id not in LINT_ACCEPTED] == []
