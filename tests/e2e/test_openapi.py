"""The deployed API does what its document says: calls made up from the document, signed, over HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from infra.deployment import Deployment
from infra.local.cloud import Endpoint
from perennial.definitions.files import Definitions
from perennial.fakes import FakeObjectStore
from tests.support.whole_runs import SMALL, ingested, trained
from tests.support.world import DEFINITIONS

pytestmark = pytest.mark.e2e

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
CALLS = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


class Signature(requests.auth.AuthBase):
    """Signs each request as the administrator."""

    def __init__(self, cloud: Endpoint) -> None:
        self._signer = SigV4Auth(Credentials(cloud.access_key, cloud.secret_key), "execute-api", cloud.region)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        signed = AWSRequest(request.method, request.url, data=request.body)
        self._signer.add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        return request


@pytest.fixture(scope="module")
def deployment(signed_deployment: Deployment) -> Deployment:
    """Let a small model serve."""
    found = signed_deployment
    small = Definitions(DEFINITIONS.datasets, DEFINITIONS.views, {"fare": SMALL})
    ports = replace(found.ports, raw=FakeObjectStore("raw"), definitions=small)
    assert trained(ingested(ports)) == 1
    ports.catalog.promote("fare", 1, None, ports.clock.now(), "ada", "good")
    return found


@pytest.fixture(scope="module")
def session(cloud: Endpoint) -> Iterator[requests.Session]:
    with requests.Session() as found:
        found.auth = Signature(cloud)
        yield found


def get(deployment: Deployment, session: requests.Session, path: str) -> Any:
    answer = session.get(deployment.api.url + path, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("path", ["/models/fare/openapi.json", "/openapi.json"])
def test_every_operation_answers_as_the_document_says_whatever_it_is_sent(
    path: str, deployment: Deployment, session: requests.Session
) -> None:
    described = get(deployment, session, path)
    described.pop("servers")  # the emulator's own address is another
    # Every call is signed here; that none is answered without it is in tests/e2e/test_callers.py.
    described["components"].pop("securitySchemes")
    for item in described["paths"].values():
        for operation in item.values():
            del operation["security"]
    schema = schemathesis.openapi.from_dict(described)
    schema.config.update(base_url=deployment.api.url)
    # The document says maxItems; who sends more is told so by a status of its own, which schemathesis does not expect.
    schema.config.checks.negative_data_rejection.expected_statuses = ["400", "404", "413", "422"]
    answered: Counter[tuple[str, int]] = Counter()
    for found in schema.get_all_operations():
        _call(found.ok(), session, answered)
    statuses = Counter(status for _, status in answered.elements())
    assert set(statuses) <= {200, 202, 400, 403, 404, 413, 422}, statuses
    asked = {name for name, _ in answered}
    assert len(asked) == len(list(described["paths"]))
    if "fare" in path:
        assert answered["POST /models/fare/predict", 200], "what the document calls good is answered"
        assert answered["POST /models/fare/predict", 400]


def _call(operation: Any, session: requests.Session, answered: Counter[tuple[str, int]]) -> None:
    modes = schemathesis.GenerationMode

    @CALLS
    @given(case=operation.as_strategy(generation_mode=modes.POSITIVE))
    def good(case: Any) -> None:
        _check(case)

    @CALLS
    @given(case=operation.as_strategy(generation_mode=modes.NEGATIVE))
    def bad(case: Any) -> None:
        _check(case)

    def _check(case: Any) -> None:
        response = case.call(session=session, timeout=30)
        answered[operation.label, response.status_code] += 1
        if response.status_code != 403:  # such as an address that two programs write in two ways, and sign so
            case.validate_response(response, checks=CHECKS)

    good()
    if operation.method.upper() == "POST":
        bad()
