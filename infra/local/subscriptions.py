"""Subscription filters of CloudWatch Logs as in AWS: events gather, and a delivery that failed is tried again.

The emulator calls the function once for every call that logged something, all at the same time, and forgets a delivery
that failed. And it takes what a call printed for complete when nothing came for some milliseconds: on a busy machine
the last line comes with the next call, or never.
"""

from __future__ import annotations

import base64
import contextvars
import gzip
import json
import logging
import queue
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

GATHER_SECONDS = 0.2
"""How long events gather; in AWS it is seconds."""
MOST_BYTES = 1_000_000
"""Of the messages of a delivery."""
END = "\0 end of the call"
"""What the worker writes behind all that a call printed."""
_LONGEST_WAIT = 5.0
_log = logging.getLogger("subscriptions")


@dataclass
class Subscription:
    """Delivers the events of one filter, one delivery at a time."""

    group: str
    name: str
    events: list[dict[str, Any]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _under_way: bool = False

    def take(self, events: Sequence[Mapping[str, Any]], stream: str, function: str) -> None:
        """Take events in; they are delivered in a while."""
        with self._lock:
            self.events += [dict(event) for event in events]
            if self._under_way:
                return
            self._under_way = True
        # The account and the region of the caller are in its context.
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._deliver, stream, function), daemon=True).start()

    def _deliver(self, stream: str, function: str) -> None:
        from ministack.services import lambda_svc

        time.sleep(GATHER_SECONDS)
        while batch := self._next():
            called = lambda_svc._functions.get(function)
            if called is None:
                _log.error("subscription filter %s: there is no function %s", self.name, function)
                continue
            event = delivery(self.group, stream, self.name, batch)
            if lambda_svc._execute_function_with_config_scope(called, event).get("error"):
                lambda_svc.invoke_async_with_retry(called, event)  # and at last into its dead-letter queue

    def _next(self) -> list[dict[str, Any]]:
        """Return the next events that fit one delivery; with none left, the next to come begin a new thread."""
        with self._lock:
            sizes = accumulate(len(event["message"]) for event in self.events)
            number = 1 + sum(size < MOST_BYTES for size in sizes)
            batch, self.events = self.events[:number], self.events[number:]
            self._under_way = bool(batch)
            return batch


def delivery(group: str, stream: str, name: str, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the event that the function is given.

    In AWS a delivery is of one stream, which is one process; the emulator has a stream for each call.
    """
    from ministack.core.responses import get_account_id

    content = {
        "messageType": "DATA_MESSAGE",
        "owner": get_account_id(),
        "logGroup": group,
        "logStream": stream,
        "subscriptionFilters": [name],
        "logEvents": [{"id": uuid.uuid4().hex, **event} for event in events],
    }
    packed = base64.b64encode(gzip.compress(json.dumps(content).encode(), compresslevel=1)).decode()
    return {"awslogs": {"data": packed}}


def patch() -> None:
    """Gather and deliver, and wait for the last line of a call."""
    from ministack.core import lambda_runtime
    from ministack.services import cloudwatch_logs

    subscriptions: dict[tuple[str, str], Subscription] = {}
    drain = lambda_runtime.Worker._drain_stderr_bounded

    def fan_out(group: str, stream: str, events: Sequence[Mapping[str, Any]]) -> None:
        filters = (cloudwatch_logs._log_groups.get(group) or {}).get("subscriptionFilters") or {}
        for each in list(filters.values()):
            _, found, function = each["destinationArn"].partition(":function:")
            matches = cloudwatch_logs._subscription_pattern_matches
            matched = [event for event in events if matches(each["filterPattern"], event["message"])]
            if found and matched:
                key = (group, each["filterName"])
                subscription = subscriptions.setdefault(key, Subscription(*key))
                subscription.take(matched, stream, function.split(":")[0])

    def drain_to_the_end(worker: Any, *arguments: Any, **options: Any) -> Any:
        # Once its process is given up there is no end to wait for; and only workers in Python write it.
        if worker._proc is None or not worker.config.get("Runtime", "").startswith("python"):
            return drain(worker, *arguments, **options)
        lines: list[str] = []
        deadline = time.monotonic() + _LONGEST_WAIT
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = worker._stderr_queue.get(timeout=left)
            except queue.Empty:
                break
            if line.endswith(END):
                lines += filter(None, [line.removesuffix(END)])
                break
            lines.append(line)
        return "\n".join(lines)

    cloudwatch_logs._fanout_to_subscription_filters = fan_out
    lambda_runtime.Worker._drain_stderr_bounded = drain_to_the_end
