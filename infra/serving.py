"""The REST API: every method is signed (IAM); bodies are neither logged nor rewritten."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.functions import Functions
from infra.logs import delivered_name, log_group
from infra.stage import Stage

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
    """``POST /models/{model}/predict``, ``…/versions/{version}/predict`` and ``…/feedback``."""

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
        self.api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=deployment,
            description=f"{deployment}: predictions and feedback",
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            # One role for the whole account and region: it must outlive this deployment, others may log by it.
            cloud_watch_role=stage.account_logging,
            cloud_watch_role_removal_policy=RemovalPolicy.RETAIN if stage.account_logging else None,
            deploy_options=self._options(stage, deployment, key),
            default_method_options=apigateway.MethodOptions(authorization_type=apigateway.AuthorizationType.IAM),
        )
        self.api.node.try_remove_child("Endpoint")  # an output under a generated name; the stack gives its own
        model = self.api.root.add_resource("models").add_resource("{model}")
        predict = _proxy(functions.called("predict"))
        model.add_resource("predict").add_method("POST", predict)
        model.add_resource("versions").add_resource("{version}").add_resource("predict").add_method("POST", predict)
        model.add_resource("feedback").add_method("POST", _proxy(functions["feedback"]))

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
    return apigateway.LambdaIntegration(function, proxy=True, allow_test_invoke=False)


def _json(fields: dict[str, str]) -> str:
    # API Gateway escapes what it puts in; json.dumps would do no more than this.
    return "{" + ",".join(f'"{name}":"{value}"' for name, value in fields.items()) + "}"
