"""Say what the bearer of a token may do: the Lambda authorizer of the API, where the stage has ``auth = "jwt"``."""

from functools import cache
from typing import Any

import boto3

from perennial.aws.handler import logger
from perennial.aws.issuer import ClientKeys, IssuerKeys
from perennial.errors import PerennialError, RequestError
from perennial.serving.tokens import policy, read_token
from perennial.settings import TokenSettings


@cache
def keys(settings: TokenSettings) -> tuple[IssuerKeys, ClientKeys]:
    """Return what is kept between invocations."""
    clients = ClientKeys(boto3.client("apigateway"), settings.keys_by_client(), settings.other_clients)
    return IssuerKeys(settings.token_jwks), clients


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the policy of the token's bearer; an exception called Unauthorized becomes a 401."""
    settings = TokenSettings.from_env()
    issuer, clients = keys(settings)
    try:
        caller = read_token(event["authorizationToken"], issuer, settings.token_issuer, settings.token_audience)
    except RequestError as error:
        logger().warning("refused", extra={"sentence": str(error)})
        raise PerennialError("Unauthorized") from None  # the word by which API Gateway knows it
    return {
        "principalId": caller.client,
        "policyDocument": policy(caller, event["methodArn"]),
        "context": {"client": caller.client, "permissions": " ".join(caller.permissions)},
        "usageIdentifierKey": clients.value(caller.client),
    }
