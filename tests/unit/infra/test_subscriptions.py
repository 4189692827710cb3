"""Subscription filters on the local cloud: events gather, and none is lost or sent twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from infra.local import subscriptions
from infra.local.subscriptions import Subscription
from perennial.aws.log_events import messages_of

LAMBDA = "ministack.services.lambda_svc"


class Functions:
    """Stands for the emulator's functions: one, which fails as often as it is told to."""

    def __init__(self) -> None:
        self.failures = 0
        self.batches: list[list[str]] = []
        self.again: list[list[str]] = []
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def call(self, function: Any, event: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(0.01)
        with self._lock:
            self.at_once -= 1
            self.batches.append(messages_of(event))
            failed = len(self.batches) <= self.failures
        return {"error": failed}

    def retry(self, function: Any, event: dict[str, Any]) -> None:
        self.again.append(messages_of(event))

    def delivered(self) -> list[str]:
        return sorted(message for batch in list(self.batches) for message in batch)


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Functions:
    monkeypatch.setenv("STATE_DIR", str(tmp_path_factory.getbasetemp() / "emulator"))
    from ministack.services import lambda_svc

    double = Functions()
    monkeypatch.setattr(lambda_svc, "_execute_function_with_config_scope", double.call)
    monkeypatch.setattr(lambda_svc, "invoke_async_with_retry", double.retry)
    monkeypatch.setitem(lambda_svc._functions, "reader", {"config": {}})
    monkeypatch.setattr(subscriptions, "GATHER_SECONDS", 0.01)
    return double


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert true()


def events(*messages: str) -> list[dict[str, Any]]:
    return [{"timestamp": 0, "message": message} for message in messages]


def test_events_of_many_threads_are_delivered_once_each_and_not_at_the_same_time(functions: Functions) -> None:
    subscription = Subscription("group", "filter")

    def take(first: int) -> None:
        for number in range(first, first + 50):
            subscription.take(events(f"{number:03}"), "stream", "reader")
            time.sleep(0.001)

    threads = [threading.Thread(target=take, args=(50 * number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: len(functions.delivered()) >= 300)
    assert functions.delivered() == [f"{number:03}" for number in range(300)]
    assert functions.most_at_once == 1
    assert len(functions.batches) < 100


def test_a_delivery_that_failed_is_handed_to_what_tries_again(functions: Functions) -> None:
    functions.failures = 1
    Subscription("group", "filter").take(events("a", "b"), "stream", "reader")
    until(lambda: functions.again == [["a", "b"]])


def test_a_delivery_has_a_limit(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MOST_BYTES", 10)
    Subscription("group", "filter").take(events("a" * 6, "b" * 6, "c" * 6, "d" * 20), "stream", "reader")
    until(lambda: len(functions.delivered()) == 4)
    assert [len(batch) for batch in functions.batches] == [2, 2]
