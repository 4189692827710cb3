"""The REST API, made from the table of operations: no method is open; bodies are neither logged nor rewritten."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.callers import Callers
from infra.functions import Functions
from infra.logs import delivered_name, log_group
from infra.problems import answer_with_problems
from infra.stage import Stage
from perennial.serving.routes import OPERATIONS

_ACCESS_LOG = {
    "requestTime": "$context.requestTime",
    "requestId": "$context.requestId",
    "caller": "$context.identity.userArn",
    "ip": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "status": "$context.status",
    "milliseconds": "$context.responseLatency",
    "responseBytes": "$context.responseLength",
    "error": "$context.error.message",
}


class Serving(Construct):
    """Every operation of `perennial.serving.routes`, and an answer for what is not among them."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        deployment: str,
        functions: Functions,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, id)
        self.callers = Callers(
            self, "Callers", stage=stage, deployment=deployment, authorize=functions.find("authorize")
        )
        self.api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=deployment,
            description=f"{deployment}: predictions, feedback, and what is registered",
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            # One role for the whole account and region: it must outlive this deployment, others may log by it.
            cloud_watch_role=stage.account_logging,
            cloud_watch_role_removal_policy=RemovalPolicy.RETAIN if stage.account_logging else None,
            deploy_options=self._options(stage, deployment, key),
            api_key_source_type=self.callers.key_source,
            default_method_options=self.callers.method_options(),
        )
        self.api.node.try_remove_child("Endpoint")  # an output under a generated name; the stack gives its own
        proxies = {verb: _proxy(functions.called(verb)) for verb in sorted({one.verb for one in OPERATIONS})}
        for operation in OPERATIONS:
            resource = self.api.root.resource_for_path(operation.path)
            resource.add_method(operation.method, proxies[operation.verb])
        # Whoever is known is told that a path is not there, or takes another method; a stranger is told nothing.
        self.api.root.add_method("ANY", proxies["describe"])
        self.api.root.add_resource("{proxy+}").add_method("ANY", proxies["describe"])
        answer_with_problems(self, self.api)
        self.callers.limit(deployment, self.api)

    def _options(self, stage: Stage, deployment: str, key: kms.IKey | None) -> apigateway.StageOptions:
        destination = access_log = None
        if stage.account_logging:
            group = log_group(self, "AccessLog", name=delivered_name(deployment, "api"), stage=stage, key=key)
            destination = apigateway.LogGroupLogDestination(group)
            access_log = apigateway.AccessLogFormat.custom(_json(_ACCESS_LOG))
        return apigateway.StageOptions(
            stage_name=stage.name,
            access_log_destination=destination,
            access_log_format=access_log,
            logging_level=apigateway.MethodLoggingLevel.OFF,
            data_trace_enabled=False,
            metrics_enabled=False,  # those by method are billed, and nobody looks at them; those of the API are there
            tracing_enabled=stage.tracing,
            throttling_rate_limit=stage.api_rate,
            throttling_burst_limit=stage.api_burst,
        )


def _proxy(function: lambda_.IFunction) -> apigateway.LambdaIntegration:
    # One permission for each function, not for each method: a function's policy holds some 20 kB.
    return apigateway.LambdaIntegration(function, proxy=True, allow_test_invoke=False, scope_permission_to_method=False)


def _json(fields: dict[str, str]) -> str:
    # API Gateway escapes what it puts in; json.dumps would do no more than this.
    return "{" + ",".join(f'"{name}":"{value}"' for name, value in fields.items()) + "}"
