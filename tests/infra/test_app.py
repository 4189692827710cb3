"""What the app makes of its context: stages, definitions, code."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.code import FUNCTIONS, ROOT
from infra.deploy import toolchain
from infra.functions import SHAPES
from perennial.settings import Settings
from tests.infra.synthesised import Synthesise, Synthesised

# What costs nothing while nobody uses it, or is billed by the request, the byte or the month, but never by the hour.
FREE_WHILE_IDLE = {
    "AWS::ApiGateway::Account",
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::Method",
    "AWS::ApiGateway::Resource",
    "AWS::ApiGateway::RestApi",
    "AWS::ApiGateway::Stage",
    "AWS::Batch::ComputeEnvironment",
    "AWS::Batch::JobDefinition",
    "AWS::Batch::JobQueue",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::DynamoDB::Table",
    "AWS::EC2::InternetGateway",
    "AWS::EC2::Route",
    "AWS::EC2::RouteTable",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::Subnet",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPC",
    "AWS::EC2::VPCEndpoint",
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::Events::Rule",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Function",
    "AWS::ApiGateway::GatewayResponse",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Logs::LogGroup",
    "AWS::Logs::MetricFilter",
    "AWS::Logs::SubscriptionFilter",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
    "AWS::Scheduler::Schedule",
    "AWS::StepFunctions::StateMachine",
    "Custom::S3AutoDeleteObjects",
}


def offline(*command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command without network and without docker, as far as this machine can take them away."""
    alone: list[str] = []
    for words in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if (
            shutil.which("unshare")
            and subprocess.run([*words, "true"], check=False, capture_output=True).returncode == 0
        ):
            alone = words
            break
    nowhere = "http://127.0.0.1:9"  # the discard port: whoever honours proxies fails there
    environment = {
        **environment,
        "HOME": os.environ.get("HOME", "/"),  # jsii unpacks the CDK there once
        "PATH": f"{toolchain()[0].parent}:/usr/bin:/bin",
        "CDK_DOCKER": "/nonexistent/docker",
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), nowhere),
    }
    return subprocess.run(
        [*alone, *command], cwd=ROOT, env=environment, text=True, capture_output=True, timeout=120, check=False
    )


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_the_app_needs_neither_network_nor_docker_to_be_synthesised(stage: str, tmp_path: Path) -> None:
    context = {"CDK_CONTEXT_JSON": json.dumps({"stage": stage}), "CDK_OUTDIR": str(tmp_path / "cdk.out")}
    done = offline(sys.executable, "-m", "infra.app", environment=context)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "cdk.out" / f"perennial-{stage}.template.json").exists()
    assert not list((tmp_path / "cdk.out").rglob("*.zip")), "layers are built when they are published"


def test_a_definition_that_is_wrong_ends_the_synthesis_with_one_sentence(
    definitions_folder: Path, tmp_path: Path
) -> None:
    path = definitions_folder / "models" / "house_price.toml"
    path.write_text(path.read_text().replace('target = "price"', 'targett = "price"'))
    context = {"stage": "dev", "definitions": str(definitions_folder)}
    environment = {"CDK_CONTEXT_JSON": json.dumps(context), "CDK_OUTDIR": str(tmp_path / "cdk.out")}
    done = offline(sys.executable, "-m", "infra.app", environment=environment)
    assert done.returncode == 1
    (sentence,) = done.stderr.strip().splitlines()
    assert sentence.startswith("models/house_price.toml: target")


def test_a_stage_that_does_not_exist_is_named(tmp_path: Path) -> None:
    environment = {"CDK_CONTEXT_JSON": json.dumps({"stage": "test"}), "CDK_OUTDIR": str(tmp_path / "cdk.out")}
    done = offline(sys.executable, "-m", "infra.app", environment=environment)
    assert done.returncode == 1
    assert done.stderr.strip() == "context stage: no stage 'test'; write -c stage=local|dev|prod"


def test_dev_holds_nothing_that_is_billed_by_the_hour(dev: Synthesised) -> None:
    kinds = {resource["Type"] for resource in dev.template["Resources"].values()}
    assert kinds - FREE_WHILE_IDLE == set()
    assert {found.get("VpcEndpointType") for found in dev.properties("AWS::EC2::VPCEndpoint").values()} == {"Gateway"}
    assert {found["BillingMode"] for found in dev.properties("AWS::DynamoDB::Table").values()} == {"PAY_PER_REQUEST"}
    assert not any("ReservedConcurrentExecutions" in found for found in dev.functions().values())
    for environment in dev.properties("AWS::Batch::ComputeEnvironment").values():
        assert environment["ComputeResources"]["Type"] == "FARGATE"


def test_what_an_idle_deployment_is_billed_for_is_what_the_documentation_says(
    dev: Synthesised, prod: Synthesised
) -> None:
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|", (ROOT / "docs" / "deploy-to-aws.md").read_text(), re.MULTILINE)
    said = dict(rows)
    models, datasets = 1, 1
    for stack in (dev, prod):
        assert len(stack.resources("AWS::CloudWatch::Alarm")) == 14 + 6 * models - 1 + 2 * datasets  # one is off
        assert len(stack.resources("AWS::CloudWatch::CompositeAlarm")) == models
        assert len(stack.resources("AWS::CloudWatch::Dashboard")) == 1
    assert said["alarms"] == "14, 6 for each model and 2 for each dataset"
    assert (said["composite alarms"], said["dashboard"]) == ("1 for each model", "1")
    endpoints = prod.properties("AWS::EC2::VPCEndpoint").values()
    billed = [len(found["SubnetIds"]) for found in endpoints if found["VpcEndpointType"] == "Interface"]
    assert said["`prod`: VPC endpoints"] == f"{sum(billed)} ({len(billed)} services in {billed[0]} zones)"
    assert (len(dev.resources("AWS::KMS::Key")), len(prod.resources("AWS::KMS::Key"))) == (0, 1)


def test_every_verb_is_a_function_on_arm_with_the_whole_settings(stack: Synthesised) -> None:
    files = {path.stem for path in FUNCTIONS.glob("*.py")} - {"batch", "__init__"}
    functions = stack.functions()
    assert set(SHAPES) == files
    # Those that another way to prove who calls would need: see tests/infra/test_callers.py.
    assert set(functions) == {verb for verb, shape in SHAPES.items() if shape.auth in (None, "iam")}
    for verb, function in functions.items():
        assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])
        assert function["LoggingConfig"]["LogGroup"]["Ref"] in stack.resources("AWS::Logs::LogGroup")
        # A reference to a resource is a text as good as any here.
        variables = {name: str(value) for name, value in function["Environment"]["Variables"].items()}
        settings = Settings.from_env(variables)
        assert settings.deployment == stack.name
        assert re.fullmatch(r"[0-9a-f]{16}", settings.code_version)
        assert variables["POWERTOOLS_SERVICE_NAME"] == verb


def test_functions_and_jobs_have_the_same_settings(stack: Synthesised) -> None:
    variables = stack.functions()["ingest"]["Environment"]["Variables"]
    for job in stack.properties("AWS::Batch::JobDefinition").values():
        environment = {entry["Name"]: entry["Value"] for entry in job["ContainerProperties"]["Environment"]}
        assert environment == {name: value for name, value in variables.items() if name.startswith("PERENNIAL_")}


def test_what_is_shipped_is_code_and_definitions_alone(dev: Synthesised) -> None:
    functions = dev.asset_folder("files", "functions")
    assert {path.suffix for path in functions.rglob("*") if path.is_file()} == {".py"}
    core = dev.asset_folder("files", "core layer")
    assert not list(core.rglob("*.pyc"))
    assert (core / "python" / "perennial" / "settings.py").exists()
    definitions = dev.asset_folder("files", "definitions layer") / "python" / "perennial_definitions"
    assert (definitions / "models" / "taxi_fare.toml").exists()


def test_the_container_holds_what_its_dockerfile_copies(dev: Synthesised) -> None:
    context = dev.asset_folder("dockerImages", "training container")
    copied = re.findall(r"^COPY (\S+)", (context / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert copied
    for source in copied:
        assert (context / source).exists(), source
    assert "--hash=sha256:" in (context / "requirements.txt").read_text()


def test_locally_functions_use_the_packages_of_the_virtual_environment(local: Synthesised, dev: Synthesised) -> None:
    assert len(local.resources("AWS::Lambda::LayerVersion")) == 2
    assert len(dev.resources("AWS::Lambda::LayerVersion")) == 5


def test_other_definitions_make_another_stack(synthesise: Synthesise, definitions_folder: Path) -> None:
    houses = synthesise(stage="dev", definitions=str(definitions_folder), name="houses")
    assert houses.name == "houses"
    assert "taxi" not in json.dumps(houses.template)
    schedules = houses.properties("AWS::Scheduler::Schedule").values()
    assert sorted(found["ScheduleExpression"] for found in schedules) == ["rate(1 hour)", "rate(7 days)"]
    shipped = houses.asset_folder("files", "definitions layer") / "python" / "perennial_definitions"
    assert (shipped / "models" / "house_price.toml").exists()


def test_new_data_of_another_deployment_trains_nothing_here(stack: Synthesised) -> None:
    rules = stack.properties("AWS::Events::Rule").values()
    (rule,) = [rule for rule in rules if rule["EventPattern"].get("source") == ["perennial"]]
    assert rule["EventPattern"]["detail"] == {"dataset": ["taxi_trips"], "deployment": [stack.name]}


def test_the_outputs_are_all_that_is_needed_to_operate_a_deployment(stack: Synthesised) -> None:
    assert set(stack.template["Outputs"]) == {
        "ApiUrl",
        "TopicArn",
        "ArtifactsBucket",
        "BackfillMachineArn",
        "BatchPredictMachineArn",
        "CatalogTable",
        "CodeVersion",
        "Definitions",
        "Deployment",
        "DeployMachineArn",
        "ForgetMachineArn",
        "IngestMachineArn",
        "LogGroups",
        "OnlineTable",
        "RawBucket",
        "RebuildMachineArn",
        "TrainMachineArn",
    }


def test_the_output_says_where_the_definitions_of_the_layer_are(stack: Synthesised) -> None:
    url = stack.template["Outputs"]["Definitions"]["Value"]["Fn::Sub"]
    layers = [layer["Content"] for layer in stack.properties("AWS::Lambda::LayerVersion").values()]
    published = {
        f"s3://{content['S3Bucket']['Fn::Sub']}/{content['S3Key']}"
        for content in layers
        if "Fn::Sub" in content["S3Bucket"]
    }
    assert url in published
    (id,) = [id for id, found in stack.assets()["files"].items() if found["displayName"] == "definitions layer"]
    assert id in url


def test_no_path_of_this_machine_is_in_the_template(dev: Synthesised) -> None:
    assert str(ROOT) not in json.dumps(dev.template)
    assert f"{Path.home()}/" not in json.dumps(dev.template)
