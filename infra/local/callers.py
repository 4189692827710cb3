"""The client for whom a Lambda authorizer speaks: API Gateway counts a call under the API key that it names.

The emulator makes APIs without the ``ApiKeySourceType`` of their template. Of one whose ``apiKeySource`` is
``AUTHORIZER`` it looks for the key in the header ``x-api-key`` all the same, and forgets the ``usageIdentifierKey`` of
the authorizer's answer: whoever has a good token would be refused, and whoever sends another client's key would call
in its name.
"""

from __future__ import annotations

import contextvars
import json
from typing import Any

_KEY = "usageIdentifierKey"
_named: contextvars.ContextVar[str | None] = contextvars.ContextVar("named", default=None)
"""The key that the authorizer named, while a call of such an API is let through."""


def patch() -> None:
    """Take the key from where the API says."""
    from ministack.services import apigateway_v1
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS["AWS::ApiGateway::RestApi"]
    create = handlers["create"]

    def created(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        api_id, attributes = create(logical_id, properties, stack)
        apigateway_v1._rest_apis[api_id]["apiKeySource"] = properties.get("ApiKeySourceType", "HEADER")
        return api_id, attributes

    handlers["create"] = created
    authorize, invoke, find = (
        apigateway_v1._authorize_request_v1,
        apigateway_v1._invoke_authorizer_lambda,
        apigateway_v1._api_key_from_request,
    )

    async def invoked(*arguments: Any, **options: Any) -> Any:
        result = await invoke(*arguments, **options)
        body = result.get("body") if isinstance(result, dict) else None
        answer = json.loads(body) if isinstance(body, str | bytes) and body else body
        if not isinstance(answer, dict) or _KEY not in answer:
            return result
        # The emulator keeps the context with the policy, for as long as it trusts them.
        context = {**(answer.get("context") or {}), _KEY: answer[_KEY]}
        return {**result, "body": {**answer, "context": context}}

    async def authorized(api_id: str, *arguments: Any, **options: Any) -> Any:
        error, context = await authorize(api_id, *arguments, **options)
        api = apigateway_v1._rest_apis.get(api_id) or {}
        named = context.get(_KEY, "") if isinstance(context, dict) else ""
        _named.set(named if api.get("apiKeySource") == "AUTHORIZER" else None)
        if isinstance(context, dict):
            context = {name: value for name, value in context.items() if name != _KEY}
        return error, context

    def key_of(headers: Any) -> Any:
        named = _named.get()
        return find(headers) if named is None else named

    apigateway_v1._authorize_request_v1 = authorized
    apigateway_v1._invoke_authorizer_lambda = invoked
    apigateway_v1._api_key_from_request = key_of
