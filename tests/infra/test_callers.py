"""Who may call the API, in each way to prove who one is; and what a caller who is turned down is told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.problems import PROBLEMS
from infra.stage import Client, stage
from perennial.errors import DefinitionError
from perennial.serving.routes import OPERATIONS
from perennial.settings import Settings, TokenSettings
from tests.infra.conftest import TOKENS
from tests.infra.synthesised import Synthesised, as_list

OPEN = {"NONE", None}


@pytest.fixture(params=["local", "dev", "prod", "with_tokens", "with_keys"])
def any_stack(request: pytest.FixtureRequest) -> Synthesised:
    """Return the stack of each stage and of each way to prove who one is in turn."""
    found: Synthesised = request.getfixturevalue(request.param)
    return found


def paths(stack: Synthesised) -> dict[str, str]:
    """Return the path of each resource of the API, by logical id; the root's id is none."""
    resources = stack.properties("AWS::ApiGateway::Resource")

    def path(id: str) -> str:
        found = resources[id]
        parent = found["ParentId"]
        return (path(parent["Ref"]) if "Ref" in parent else "") + "/" + str(found["PathPart"])

    return {id: path(id) for id in resources}


def methods(stack: Synthesised) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the API's methods by verb and path."""
    by_id = paths(stack)
    found = {}
    for method in stack.properties("AWS::ApiGateway::Method").values():
        resource = method["ResourceId"]
        found[method["HttpMethod"], by_id[resource["Ref"]] if "Ref" in resource else "/"] = method
    return found


def test_the_api_has_the_operations_of_the_table_and_an_answer_for_everything_else(any_stack: Synthesised) -> None:
    table = {(operation.method, operation.path) for operation in OPERATIONS}
    assert set(methods(any_stack)) == table | {("ANY", "/"), ("ANY", "/{proxy+}")}


def test_each_method_is_answered_by_the_function_of_its_operation(dev: Synthesised) -> None:
    found = methods(dev)
    for operation in OPERATIONS:
        integration = json.dumps(found[operation.method, operation.path]["Integration"])
        assert f'"Functions{operation.verb}' in integration, operation.name


def test_no_method_of_the_api_is_open(any_stack: Synthesised) -> None:
    for (verb, path), method in methods(any_stack).items():
        has_key = method.get("ApiKeyRequired", False)
        assert method.get("AuthorizationType") not in OPEN or has_key, f"{verb} {path}"


def test_signatures_are_asked_for_unless_the_stage_says_otherwise(stack: Synthesised) -> None:
    assert {method["AuthorizationType"] for method in methods(stack).values()} == {"AWS_IAM"}
    assert not stack.resources("AWS::ApiGateway::ApiKey")


def test_tokens_are_looked_at_by_authorize_and_count_for_their_client(with_tokens: Synthesised) -> None:
    (authorizer_id,) = with_tokens.resources("AWS::ApiGateway::Authorizer")
    for method in methods(with_tokens).values():
        assert method["AuthorizationType"] == "CUSTOM"
        assert method["AuthorizerId"] == {"Ref": authorizer_id}
        assert method["ApiKeyRequired"] is True
    (api,) = with_tokens.properties("AWS::ApiGateway::RestApi").values()
    assert api["ApiKeySourceType"] == "AUTHORIZER"
    authorizer = with_tokens.properties("AWS::ApiGateway::Authorizer")[authorizer_id]
    assert authorizer["AuthorizerResultTtlInSeconds"] <= 60, "a token counts that much longer than it says"
    plans = with_tokens.properties("AWS::ApiGateway::UsagePlan").values()
    assert sorted(plan["UsagePlanName"] for plan in plans) == ["perennial-dev-others", "perennial-dev-shop"]


def test_authorize_knows_the_issuer_and_reads_the_clients_keys_and_nothing_else(with_tokens: Synthesised) -> None:
    environment = with_tokens.functions()["authorize"]["Environment"]["Variables"]
    variables = {name: str(value) for name, value in environment.items()}
    settings = TokenSettings.from_env(variables)
    assert (settings.token_issuer, settings.token_audience) == (TOKENS["issuer"], TOKENS["audience"])
    assert Settings.from_env(variables).auth == "jwt"
    given = [one for id, one in with_tokens.statements() if id.startswith("Functionsauthorizerole")]
    (keys,) = [one for one in given if one["Action"] == "apigateway:GET"]
    assert len(as_list(keys["Resource"])) == 2
    assert all("/apikeys/" in json.dumps(arn) for arn in as_list(keys["Resource"]))
    others = {action for one in given if one is not keys for action in as_list(one["Action"])}
    assert others <= {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTelemetryRecords", "xray:PutTraceSegments"}


def test_keys_are_asked_for_and_each_client_has_a_plan_of_the_stage(with_keys: Synthesised) -> None:
    assert all(method["ApiKeyRequired"] for method in methods(with_keys).values())
    plans = {plan["UsagePlanName"]: plan for plan in with_keys.properties("AWS::ApiGateway::UsagePlan").values()}
    shop = plans["perennial-dev-shop"]
    assert shop["Throttle"] == {"RateLimit": 5, "BurstLimit": 10}
    assert shop["Quota"] == {"Limit": 1000, "Period": "DAY"}
    for plan in plans.values():
        assert len(plan["ApiStages"]) == 1
    assert len(with_keys.resources("AWS::ApiGateway::UsagePlanKey")) == len(plans) == 2


@pytest.mark.parametrize("name", ["with_tokens", "with_keys"])
def test_no_value_of_a_key_is_in_the_template_or_its_outputs(name: str, request: pytest.FixtureRequest) -> None:
    found: Synthesised = request.getfixturevalue(name)
    for key in found.properties("AWS::ApiGateway::ApiKey").values():
        assert "Value" not in key
        assert key["Enabled"] is True
    assert "Key" not in json.dumps(list(found.template["Outputs"]))


def test_whoever_is_turned_down_by_api_gateway_gets_a_problem(any_stack: Synthesised) -> None:
    responses = {one["ResponseType"]: one for one in any_stack.properties("AWS::ApiGateway::GatewayResponse").values()}
    # All types that API Gateway knows: Developer Guide, "Gateway response types".
    assert set(responses) == set(PROBLEMS) | {"DEFAULT_4XX", "DEFAULT_5XX"}
    for name, response in responses.items():
        header = response["ResponseParameters"]["gatewayresponse.header.Content-Type"]
        assert header == "'application/problem+json'"
        problem = json.loads(response["ResponseTemplates"]["application/json"])
        assert {"type", "title", "detail"} <= set(problem)
        assert problem.get("status") == (int(response["StatusCode"]) if "StatusCode" in response else None), name
    unauthorized = responses["UNAUTHORIZED"]["ResponseParameters"]
    assert unauthorized["gatewayresponse.header.WWW-Authenticate"] == "'Bearer'"  # RFC 6750, section 3


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ({"auth": "jwt"}, "needs issuer, audience and jwks"),
        ({"auth": "jwt", "issuer": "x", "audience": "y", "jwks": "http://example.org/jwks"}, r"tokens\.jwks"),
        ({"auth": "api_key"}, "needs clients"),
        ({"clients": "shop"}, "takes no clients"),
        ({"auth": "api_key", "clients": "shop,shop"}, "names of their own"),
        ({**TOKENS, "clients": "others"}, "none be called others"),
        ({"auth": "none"}, "auth"),
        ({"auth": "api_key", "clients": "Shop!"}, "name"),
        ({"auth": "api_key", "clients": "shop:fast"}, "rate"),
        ({"author": "ada"}, "context author: is not known"),
    ],
    ids=lambda value: None if isinstance(value, dict) else re.sub(r"\W+", "-", value),
)
def test_callers_that_cannot_be_are_refused_with_the_context_value_s_name(
    context: dict[str, str], message: str
) -> None:
    with pytest.raises(DefinitionError, match=message):
        stage("dev", context)


def test_a_stage_without_more_context_is_the_stage() -> None:
    assert stage("dev", {"auth": None}) is stage("dev")
    assert stage("dev", {"auth": "api_key", "clients": "shop:5"}).clients == (Client(name="shop", rate=5),)


def test_the_rules_of_aws_find_nothing_new_whoever_calls(tmp_path: Path) -> None:
    from aws_cdk import App, Validations
    from cdk_nag import AwsSolutionsChecks

    from infra.app import build
    from tests.infra.test_rules import ACCEPTED, broken

    explained = {accepted.rule for accepted in ACCEPTED if "dev" in accepted.stages}
    ways = {"jwt": dict(TOKENS), "api_key": {"auth": "api_key", "clients": "shop"}}
    for auth, context in ways.items():
        folder = tmp_path / auth
        never = {"@aws-cdk/core:failSynthOnValidationErrors": False}
        app = App(context={"stage": "dev", **context, **never}, outdir=str(folder))
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        build(app)
        app.synth()
        # APIG4 asks for an authorizer; keys have none, and no method goes without a key, as is seen above.
        found = {rule: places for rule, places in broken(folder).items() if rule not in explained}
        assert set(found) == ({"AwsSolutions-APIG4"} if auth == "api_key" else set())
