"""A catalog call that dies at any request, before or after the service heard it, and is made again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from perennial.aws import retrying
from perennial.aws.catalog import DynamoCatalog
from tests.support.records import AT, a_challenger, a_run, a_snapshot, a_version, a_view, an_approval, an_erasure
from tests.support.tables import CATALOG, create_tables


class KilledError(Exception):
    """The process died here."""


class MortalDynamo:
    """Passes requests on, and dies once: before or after its n-th."""

    def __init__(self, client: Any, fatal: int, *, heard: bool) -> None:
        self._client = client
        self._fatal = fatal
        self._heard = heard
        self.requests = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def request(**arguments: Any) -> Any:
            self.requests += 1
            if self.requests == self._fatal and not self._heard:
                raise KilledError
            answer = getattr(self._client, name)(**arguments)
            if self.requests == self._fatal:
                raise KilledError
            return answer

        return request


def promote(catalog: DynamoCatalog) -> Any:
    return catalog.promote("fare", 2, 1, at=AT, by="run-2", reason="better")


CALLS: dict[str, Callable[[DynamoCatalog], Any]] = {
    "start_run": lambda catalog: catalog.start_run(a_run("new")),
    "finish_run": lambda catalog: catalog.finish_run("run-1", "succeeded", AT, outputs={"rows": 1}),
    "claim": lambda catalog: catalog.claim("train#fare", "run-1", AT + timedelta(hours=1), AT),
    "release": lambda catalog: catalog.release("held", "run-1"),
    "publish_snapshot": lambda catalog: catalog.publish_snapshot(a_snapshot("s2")),
    "publish_snapshot, superseding": lambda catalog: catalog.publish_snapshot(
        a_snapshot("s2", source="s3://raw/trips/s1.csv", source_version="v2")
    ),
    "publish_snapshot, known": lambda catalog: catalog.publish_snapshot(
        a_snapshot("s1", source="s3://raw/trips/b.csv", run_id="second")
    ),
    "publish_snapshot, with stand-ins": lambda catalog: catalog.publish_snapshot(
        a_snapshot("s2"), {"s1": a_snapshot("s1-left", rows=9, rewritten_from="s1")}, None
    ),
    "publish_snapshot, uploaded again": lambda catalog: catalog.publish_snapshot(
        a_snapshot("s1", source_version="v2", uploaded_at=AT)
    ),
    "publish_erasure": lambda catalog: catalog.publish_erasure(
        an_erasure(), {"s1": a_snapshot("s1-left", rows=9, rewritten_from="s1")}, {}, 1
    ),
    "publish_view": lambda catalog: catalog.publish_view(a_view(2), a_view(1).manifest_key),
    "allocate_version": lambda catalog: catalog.allocate_version("fare", "run-3"),
    "publish_version": lambda catalog: catalog.publish_version(a_version(3)),
    "promote": promote,
    "set_challenger": lambda catalog: catalog.set_challenger("fare", a_challenger(2), 1, AT, "deploy-2", "better"),
    "set_challenger, another share": lambda catalog: catalog.set_challenger(
        "tips", a_challenger(2, "tips", weight=0.5), 1, AT, "deploy-2", "", "deploy-2"
    ),
    "withdraw_challenger": lambda catalog: catalog.withdraw_challenger(
        "tips", "deploy-2", AT, "deploy-2", "it errs", refused=True
    ),
    "promote, a challenger": lambda catalog: catalog.promote(
        "tips", 2, 1, at=AT, by="deploy-2", reason="better", challenge="deploy-2"
    ),
    "request_approval": lambda catalog: catalog.request_approval(an_approval(2), "secret"),
    "decide": lambda catalog: catalog.decide("fare", 4, "rejected", AT, "ada", "too dear"),
    "set_alias": lambda catalog: catalog.set_alias("fare", "shadow", 2, AT, "ada"),
    "tag": lambda catalog: catalog.tag("fare", 2, {"owner": "ada"}, AT, "ada"),
    "note": lambda catalog: catalog.note("fare", 2, "looks well", AT, "ada"),
}


def prepared(client: Any) -> None:
    create_tables(client)
    catalog = DynamoCatalog(client, CATALOG)
    catalog.start_run(a_run())
    catalog.claim("held", "run-1", AT + timedelta(hours=1), AT)
    catalog.publish_snapshot(a_snapshot("s1"))
    catalog.publish_view(a_view(1), None)
    catalog.publish_version(a_version(4))
    catalog.request_approval(an_approval(4), "secret")
    for version in (1, 2):
        catalog.allocate_version("fare", f"run-{version}")
        catalog.publish_version(a_version(version))
    catalog.promote("fare", 1, None, at=AT, by="run-1", reason="first")
    for version in (1, 2):
        catalog.publish_version(a_version(version, "tips"))
    catalog.promote("tips", 1, None, at=AT, by="run-1", reason="first")
    catalog.set_challenger("tips", a_challenger(2, "tips"), 1, AT, "deploy-2", "")


def state(client: Any) -> list[str]:
    return sorted(repr(sorted(item.items())) for item in client.scan(TableName=CATALOG, ConsistentRead=True)["Items"])


@pytest.mark.parametrize("call", CALLS)
def test_a_call_killed_at_any_request_and_repeated_leaves_what_one_clean_call_leaves(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying.time, "sleep", lambda _: None)
    with mock_aws():
        client = boto3.client("dynamodb")
        prepared(client)
        before = state(client)
        counting = MortalDynamo(client, 0, heard=False)
        CALLS[call](DynamoCatalog(counting, CATALOG))
        clean = state(client)
        assert clean != before
        outcome = CALLS[call](DynamoCatalog(client, CATALOG))
        assert state(client) == clean
    for fatal in range(1, counting.requests + 1):
        for heard in (False, True):
            with mock_aws():
                client = boto3.client("dynamodb")
                prepared(client)
                with pytest.raises(KilledError):
                    CALLS[call](DynamoCatalog(MortalDynamo(client, fatal, heard=heard), CATALOG))
                CALLS[call](DynamoCatalog(client, CATALOG))
                assert CALLS[call](DynamoCatalog(client, CATALOG)) == outcome
                assert state(client) == clean, f"killed at request {fatal}"


def test_a_reader_that_meets_half_a_transaction_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying.time, "sleep", lambda _: None)
    with mock_aws():
        client = boto3.client("dynamodb")
        create_tables(client)
        catalog = DynamoCatalog(client, CATALOG)
        catalog.publish_snapshot(a_snapshot("s1"))
        pointers = catalog._pointers("trips")
        catalog.publish_snapshot(a_snapshot("s2"))
        # The counter has moved on, the pointer has not yet been seen.
        seen = iter([pointers, catalog._pointers("trips")])
        monkeypatch.setattr(catalog, "_pointers", lambda _: next(seen))
        snapshots, revision = catalog.snapshots("trips")
        assert ([snapshot.snapshot_id for snapshot in snapshots], revision) == (["s1", "s2"], 2)


def test_a_reader_that_meets_an_erasure_half_done_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying.time, "sleep", lambda _: None)
    with mock_aws():
        client = boto3.client("dynamodb")
        create_tables(client)
        catalog = DynamoCatalog(client, CATALOG)
        catalog.publish_snapshot(a_snapshot("s1"))
        before = catalog._replacements("trips")
        catalog.publish_erasure(an_erasure(), {"s1": a_snapshot("s1-left", rewritten_from="s1")}, {}, 1)
        seen = iter([before, catalog._replacements("trips")])
        monkeypatch.setattr(catalog, "_replacements", lambda _: next(seen))
        assert [snapshot.snapshot_id for snapshot in catalog.snapshots("trips")[0]] == ["s1-left"]
