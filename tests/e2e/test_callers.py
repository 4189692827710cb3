"""Nobody is answered who is not let in: the deployed API, with signatures, with tokens and with keys."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from infra.bringup import environment
from infra.deploy import deploy
from infra.deployment import Deployment
from infra.local.cloud import Endpoint
from perennial.serving.routes import OPERATIONS
from tests.support.issuer import AUDIENCE, ISSUER, jwks, token

pytestmark = pytest.mark.e2e

PAGE = Path(__file__).parents[2] / "docs" / "api.md"

Deploy = Callable[..., Deployment]
Answer = tuple[int, Mapping[str, str], Any]


@pytest.fixture(scope="module")
def deployed(cloud: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Deploy:
    """Return a function that deploys the app with a context."""

    def run(name: str, **context: str) -> Deployment:
        output: Path = tmp_path_factory.mktemp(name)
        given = {**context, "name": name}
        outputs = deploy(stage="local", stack=name, environment=environment(cloud), context=given, output=output)
        return Deployment(name, outputs, cloud)

    return run


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """Serve the issuer's keys; yields their address."""

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(jwks().encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Keys)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/jwks.json"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def with_signatures(signed_deployment: Deployment) -> Deployment:
    """Return a deployment as it is unless one says otherwise."""
    return signed_deployment


@pytest.fixture(scope="module")
def with_tokens(deployed: Deploy, issuer: str) -> Deployment:
    """Return a deployment that takes tokens; one of its clients may call twice at once, and no more today."""
    who = {"issuer": ISSUER, "audience": AUDIENCE, "jwks": issuer}
    return deployed("tokens", auth="jwt", clients="shop,few:1:2:2", **who)


@pytest.fixture(scope="module")
def with_keys(deployed: Deploy) -> Deployment:
    """Return a deployment that takes API keys."""
    return deployed("keys", auth="api_key", clients="shop,few:1:2:2")


def send(
    of: Deployment, path: str, headers: Mapping[str, str] | None = None, method: str = "GET", body: bytes | None = None
) -> Answer:
    """Send a request as it is."""
    answer = urllib3.request(method, of.api.url + path, headers=headers, body=body, retries=False, timeout=30)
    content = json.loads(answer.data) if answer.data else None
    return answer.status, answer.headers, content


def signed(of: Deployment, path: str, access_key: str, secret_key: str, age: float = 0) -> dict[str, str]:
    request = AWSRequest("GET", of.api.url + path)
    SigV4Auth(Credentials(access_key, secret_key), "execute-api", "us-east-1").add_auth(request)
    return dict(request.headers.items())


def is_problem(answer: Answer, *statuses: int) -> bool:
    status, headers, content = answer
    assert status in statuses, (status, content)
    assert headers["Content-Type"] == "application/problem+json"
    assert content.get("status", status) == status
    assert set(content) <= {"type", "title", "status", "detail", "field"}
    return True


def every_call() -> Iterator[tuple[str, str]]:
    for operation in OPERATIONS:
        yield operation.method, operation.path.replace("{", "").replace("}", "")
    yield from (("GET", "/"), ("GET", "/nowhere"), ("DELETE", "/models/fare"), ("OPTIONS", "/models"))


@pytest.mark.parametrize("name", ["with_signatures", "with_tokens", "with_keys"])
def test_no_call_without_credentials_is_answered(name: str, request: pytest.FixtureRequest) -> None:
    of: Deployment = request.getfixturevalue(name)
    for method, path in every_call():
        body = b'{"instances": [{}]}' if method == "POST" else None
        assert is_problem(send(of, path, method=method, body=body), 401, 403), f"{method} {path}"


def test_a_signature_that_is_not_right_is_refused(cloud: Endpoint, with_signatures: Deployment) -> None:
    of = with_signatures
    assert send(of, "/models", signed(of, "/models", cloud.access_key, cloud.secret_key))[0] == 200
    assert is_problem(send(of, "/models", signed(of, "/models", cloud.access_key, "another")), 403)
    assert is_problem(send(of, "/models", signed(of, "/models", "AKIANOBODY", "another")), 403)
    assert is_problem(send(of, "/models", signed(of, "/v2", cloud.access_key, cloud.secret_key)), 403)
    assert is_problem(send(of, "/models", {"Authorization": f"Bearer {token()}"}), 403)


def test_whoever_is_known_is_told_what_is_not_there(cloud: Endpoint, with_signatures: Deployment) -> None:
    of = with_signatures
    for path, status in (("/nowhere", 404), ("/", 404), ("/models/fare/predict", 405), ("/models/nobody", 404)):
        assert is_problem(send(of, path, signed(of, path, cloud.access_key, cloud.secret_key)), status)


def test_the_page_s_program_signs_so_that_it_is_answered(
    cloud: Endpoint, with_signatures: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    (program,) = re.findall(r"<!-- example: signed -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(program, names)
    credentials = {"AWS_ACCESS_KEY_ID": cloud.access_key, "AWS_SECRET_ACCESS_KEY": cloud.secret_key}
    for name, value in (credentials | {"AWS_DEFAULT_REGION": cloud.region}).items():
        monkeypatch.setenv(name, value)
    status, told = names["call"]("GET", f"{with_signatures.api.url}/models")
    assert (status, set(told)) == (200, {"models", "next"})
    status, told = names["call"]("POST", f"{with_signatures.api.url}/models/nobody/predict", {"instances": [{}]})
    assert (status, told["field"]) == (404, "model")


def bearer(**changes: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(**changes)}"}


def test_a_token_that_counts_is_answered(with_tokens: Deployment) -> None:
    assert send(with_tokens, "/models", bearer())[2] == {"models": [], "next": None}
    assert send(with_tokens, "/models", bearer(kid="ec"))[0] == 200
    assert send(with_tokens, "/models", bearer(client_id="nobody-in-particular"))[0] == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "stranger"},
        {"algorithm": "none"},
        {"kid": "secret", "algorithm": "HS256"},
        {"exp": 1_700_000_000},
        {"nbf": 4_000_000_000},
        {"aud": "another"},
        {"iss": "https://login.example.com/"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_token_that_does_not_count_is_a_401(changes: dict[str, Any], with_tokens: Deployment) -> None:
    answer = send(with_tokens, "/models", bearer(**changes))
    assert is_problem(answer, 401)
    assert answer[1]["WWW-Authenticate"] == "Bearer"


def test_a_header_that_is_no_token_is_a_401_and_a_key_in_its_place_is_too(with_tokens: Deployment) -> None:
    for headers in ({"Authorization": "Bearer"}, {"Authorization": "Basic YTpi"}, {"x-api-key": "any"}):
        assert is_problem(send(with_tokens, "/models", headers), 401)


def test_a_scope_that_is_not_there_is_a_403(with_tokens: Deployment) -> None:
    only = bearer(scope="read", client_id="reader")
    assert send(with_tokens, "/models", only)[0] == 200
    body = b'{"instances": [{"miles": 1}]}'
    assert is_problem(send(with_tokens, "/models/fare/predict", only, "POST", body), 403)
    assert is_problem(send(with_tokens, "/models/fare/feedback", only, "POST", body), 403)
    asks = bearer(scope="predict", client_id="asker")
    assert is_problem(send(with_tokens, "/models", asks), 403)
    assert is_problem(send(with_tokens, "/models/fare/predict", asks, "POST", body), 404)


def key_of(of: Deployment, client: str) -> str:
    keys = of.client("apigateway").get_api_keys(nameQuery=f"{of.name}-{client}", includeValues=True)["items"]
    (key,) = [key for key in keys if key["name"] == f"{of.name}-{client}"]
    return str(key["value"])


def test_a_client_with_a_token_is_counted_under_its_own_key_whatever_key_it_sends(with_tokens: Deployment) -> None:
    few = bearer(client_id="few") | {"x-api-key": key_of(with_tokens, "shop")}
    statuses = [send(with_tokens, "/v2/health/live", few)[0] for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert send(with_tokens, "/v2/health/live", bearer(client_id="shop"))[0] == 200


def test_a_key_lets_its_client_in_as_often_as_its_plan_says(with_keys: Deployment) -> None:
    assert send(with_keys, "/models", {"x-api-key": key_of(with_keys, "shop")})[0] == 200
    assert is_problem(send(with_keys, "/models", {"x-api-key": "guessed"}), 403)
    few = {"x-api-key": key_of(with_keys, "few")}
    assert [send(with_keys, "/models", few)[0] for _ in range(2)] == [200, 200]
    answer = send(with_keys, "/models", few)
    assert is_problem(answer, 429)
    assert int(answer[1]["Retry-After"]) > 0
    time.sleep(1.5)  # its rate would let it in again; its quota of two calls a day does not
    assert is_problem(send(with_keys, "/models", few), 429)


def test_the_values_of_keys_are_in_no_output_and_no_template(with_keys: Deployment) -> None:
    template = with_keys.client("cloudformation").get_template(StackName=with_keys.name)["TemplateBody"]
    for client in ("shop", "few"):
        value = key_of(with_keys, client)
        assert len(value) >= 20
        assert value not in json.dumps(template)
        assert value not in json.dumps(with_keys.outputs)
