"""Credentials come from the environment or from the container's agent, and are renewed in time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from perennial.aws.lean.credentials import CredentialsProvider
from perennial.aws.lean.signing import Credentials
from perennial.errors import DefinitionError, PerennialError, TransientError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FULL = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9001/2/credentials"}


class Agent:
    """Hands out credentials that are good for an hour, numbered."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.now = NOW
        self.status = 200
        self.broken = False

    def fetch(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        self.asked.append((url, dict(headers)))
        if self.broken:
            raise ConnectionRefusedError
        number = len(self.asked)
        expires = (self.now + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = {"AccessKeyId": f"K{number}", "SecretAccessKey": "s", "Token": "t", "Expiration": expires}
        return self.status, json.dumps(found).encode()


def test_the_environment_comes_first_and_nobody_is_asked() -> None:
    agent = Agent()
    environ = {"AWS_ACCESS_KEY_ID": "K", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t", **FULL}
    assert CredentialsProvider(environ, agent.fetch).get(NOW) == Credentials("K", "s", "t")
    assert agent.asked == []


def test_the_agents_credentials_are_kept_until_shortly_before_they_expire() -> None:
    agent = Agent()
    provider = CredentialsProvider({**FULL, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Basic x"}, agent.fetch)
    assert provider.get(NOW) == Credentials("K1", "s", "t", NOW + timedelta(hours=1))
    assert provider.get(NOW + timedelta(minutes=54)).access_key == "K1"
    assert agent.asked == [("http://127.0.0.1:9001/2/credentials", {"Authorization": "Basic x"})]
    agent.now = NOW + timedelta(minutes=56)
    assert provider.get(agent.now).access_key == "K2"


def test_an_agent_that_fails_is_no_matter_while_the_known_ones_are_good() -> None:
    agent = Agent()
    provider = CredentialsProvider(FULL, agent.fetch)
    provider.get(NOW)
    agent.broken = True
    assert provider.get(NOW + timedelta(minutes=59)).access_key == "K1"
    with pytest.raises(TransientError, match="ConnectionRefusedError"):
        provider.get(NOW + timedelta(minutes=60))


def test_the_token_is_read_from_its_file_each_time(tmp_path: Path) -> None:
    file, agent = tmp_path / "token", Agent()
    environ = {
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/role",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(file),
    }
    provider = CredentialsProvider(environ, agent.fetch)
    for number, token in enumerate(("first", "second")):
        file.write_text(token + "\n", encoding="utf-8")
        agent.now = NOW + timedelta(hours=number)
        provider.get(agent.now)
    assert agent.asked == [("http://169.254.170.2/role", {"Authorization": token}) for token in ("first", "second")]


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"AWS_ACCESS_KEY_ID": "K"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://evil.test/"},
        {**FULL, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "a\r\nHost: evil"},
    ],
    ids=["nothing", "half", "elsewhere", "two lines"],
)
def test_a_token_is_sent_to_no_other_machine_and_nothing_is_guessed(environ: dict[str, str]) -> None:
    agent = Agent()
    with pytest.raises(DefinitionError):
        CredentialsProvider(environ, agent.fetch).get(NOW)
    assert agent.asked == []


@pytest.mark.parametrize(("status", "error"), [(500, TransientError), (429, TransientError), (403, PerennialError)])
def test_an_agent_that_says_no_is_an_error_by_its_status(status: int, error: type[PerennialError]) -> None:
    agent = Agent()
    agent.status = status
    with pytest.raises(error, match=str(status)):
        CredentialsProvider(FULL, agent.fetch).get(NOW)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"AccessKeyId": "K"}'])
def test_an_answer_that_is_none_is_told_without_its_content(body: bytes) -> None:
    with pytest.raises(TransientError, match="not what it should be"):
        CredentialsProvider(FULL, lambda *_: (200, body)).get(NOW)
