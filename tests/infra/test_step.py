"""A step is the same state whatever runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

STATE = "evaluate"


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return the states of one machine, its step on a function and on Batch."""
    from aws_cdk import App, Stack
    from aws_cdk import aws_iam as iam
    from aws_cdk import aws_lambda as lambda_
    from aws_cdk import aws_stepfunctions as sfn
    from constructs import Construct

    from infra.batch import Batch, Job
    from infra.code import DEFINITIONS, Code
    from infra.network import Network
    from infra.stage import STAGES
    from infra.step import RUN_ID, Step
    from perennial.settings import Settings

    folder = tmp_path_factory.mktemp("steps")
    app, stage = App(outdir=str(folder)), STAGES["local"]
    stack = Stack(app, "steps")
    code = lambda_.Code.from_inline("handler = print")
    runtime = lambda_.Runtime.PYTHON_3_13
    batch = Batch(
        stack,
        "Batch",
        stage=stage,
        network=Network(stack, "Network", stage=stage, deployment="steps", key=None),
        image=Code(stack, "Code", definitions=DEFINITIONS, third_party=False).image(),
        settings=Settings(deployment="d", raw_bucket="r", artifacts_bucket="a", catalog_table="c", online_table="o"),
        statements={STATE: [iam.PolicyStatement(actions=["s3:GetObject"], resources=["arn:aws:s3:::a/b"])]},
        key=None,
    )
    places: dict[str, lambda_.Function | Job] = {
        "function": lambda_.Function(stack, "Function", runtime=runtime, handler="index.handler", code=code),
        "job": batch[STATE],
    }
    for name, place in places.items():
        scope = Construct(stack, name)
        request = {"run_id": RUN_ID, "model": sfn.JsonPath.string_at("$.model")}
        step = Step(scope, STATE, on=place, request=request, fail=sfn.Fail(scope, "failed"))
        body = sfn.DefinitionBody.from_chainable(step.chain)
        sfn.StateMachine(scope, "Machine", definition_body=body, comment=name)
    app.synth()
    return states_by_comment(folder)


def states_by_comment(folder: Path) -> dict[str, dict[str, Any]]:
    template = json.loads((folder / "steps.template.json").read_text())
    found = {}
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            parts = resource["Properties"]["DefinitionString"]["Fn::Join"][1]
            definition = json.loads("".join(part if isinstance(part, str) else "_" for part in parts))
            found[definition["Comment"]] = definition["States"]
    return found


def test_a_function_and_a_job_are_the_same_state(machines: dict[str, dict[str, Any]]) -> None:
    for states in machines.values():
        state = states[STATE]
        assert state["Type"] == "Task"
        assert state["Retry"][0]["JitterStrategy"] == "FULL"
        assert state["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "failed"}]
    assert machines["function"][STATE]["Resource"].endswith("lambda:invoke")
    assert machines["job"][STATE]["Resource"].endswith("batch:submitJob.sync")


def test_a_function_and_a_job_are_given_the_same_request(machines: dict[str, dict[str, Any]]) -> None:
    request = machines["function"][STATE]["Parameters"]["Payload"]
    assert request == {"run_id.$": "$$.Execution.Name", "model.$": "$.model"}
    prepared = machines["job"][f"{STATE} request"]
    assert (prepared["Parameters"], prepared["ResultPath"], prepared["Next"]) == (request, "$.request", STATE)
    assert machines["job"][STATE]["Parameters"]["Parameters"] == {
        "step": STATE,
        "input.$": "States.JsonToString($.request)",
    }
