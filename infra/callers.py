"""Who may call the API: by signature (IAM), by token (JWT) or by key, as the stage says; and how often a client may."""

from __future__ import annotations

import json

from aws_cdk import Duration
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.stage import OTHERS, Client, Stage
from perennial.settings import TokenSettings

TRUSTED_SECONDS = 60
"""How long API Gateway remembers what ``authorize`` said of a token: so long it counts beyond its end."""
_BEARER = r"^[Bb]earer [-_A-Za-z0-9]+\.[-_A-Za-z0-9]+\.[-_A-Za-z0-9]+$"
"""What is no token is refused before a function runs."""


class Callers(Construct):
    """The authorization that every method gets, and the clients' keys and usage plans."""

    def __init__(
        self, scope: Construct, id: str, *, stage: Stage, deployment: str, authorize: lambda_.Function | None
    ) -> None:
        super().__init__(scope, id)
        self._auth = stage.auth
        self.key_source = (
            apigateway.ApiKeySourceType.AUTHORIZER if stage.auth == "jwt" else apigateway.ApiKeySourceType.HEADER
        )
        self.keys: dict[str, apigateway.ApiKey] = {}
        self._clients = () if stage.auth == "iam" else stage.callers()
        for client in self._clients:
            name = f"{deployment}-{client.name}"
            # No value is given: AWS makes it up, and it is in no template, no output and no log.
            self.keys[client.name] = apigateway.ApiKey(self, f"{client.name}_key", api_key_name=name)
        self._authorizer: apigateway.IAuthorizer | None = None
        if authorize is not None:
            self._authorizer = apigateway.TokenAuthorizer(
                self,
                "Tokens",
                handler=authorize,
                validation_regex=_BEARER,
                results_cache_ttl=Duration.seconds(TRUSTED_SECONDS),
            )
            assert stage.tokens is not None, "the stage has seen to it"
            settings = TokenSettings(
                token_issuer=stage.tokens.issuer,
                token_audience=stage.tokens.audience,
                token_jwks=stage.tokens.jwks,
                # Ids are references that CloudFormation fills in; it joins the texts around them.
                client_keys=json.dumps({name: key.key_id for name, key in self.keys.items()}),
                other_clients=OTHERS,
            )
            for name, value in settings.to_env().items():
                authorize.add_environment(name, value)

    def method_options(self) -> apigateway.MethodOptions:
        """Return what every method asks of its caller."""
        if self._auth == "iam":
            return apigateway.MethodOptions(authorization_type=apigateway.AuthorizationType.IAM)
        if self._authorizer is not None:
            return apigateway.MethodOptions(
                authorization_type=apigateway.AuthorizationType.CUSTOM,
                authorizer=self._authorizer,
                api_key_required=True,
            )
        return apigateway.MethodOptions(authorization_type=apigateway.AuthorizationType.NONE, api_key_required=True)

    def limit(self, deployment: str, api: apigateway.RestApi) -> None:
        """Give each client its usage plan of the API's stage."""
        for client in self._clients:
            plan = apigateway.UsagePlan(
                self,
                f"{client.name}_plan",
                name=f"{deployment}-{client.name}",
                throttle=apigateway.ThrottleSettings(rate_limit=client.rate, burst_limit=client.burst),
                quota=_quota(client),
                api_stages=[apigateway.UsagePlanPerApiStage(api=api, stage=api.deployment_stage)],
            )
            plan.add_api_key(self.keys[client.name])


def _quota(client: Client) -> apigateway.QuotaSettings | None:
    if client.calls_a_day is None:
        return None
    return apigateway.QuotaSettings(limit=client.calls_a_day, period=apigateway.Period.DAY)
