"""What the CLI tells of snapshots."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from infra.cli import main
from infra.deployment import Deployment
from infra.snapshots import _period, list_snapshots, report_page, show_snapshot
from perennial import keys
from perennial.errors import NotFoundError
from perennial.ports import Ports
from perennial.records import Erasure
from perennial.steps import ingest
from tests.support.world import new_ports, upload


def take_in(ports: Ports, name: str, **content: Any) -> str:
    """Upload and ingest a file; return its snapshot's id."""
    key = upload(ports, name, **content)
    return ingest.run(ingest.Request(run_id=f"run-{name}", bucket="raw", key=key), ports).snapshot_id


def text_of(*parts: Any) -> str:
    console = Console(width=200, no_color=True)
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    return capture.get()


@pytest.fixture
def ports() -> Ports:
    """Return fakes with two files' snapshots."""
    ports = new_ports()
    take_in(ports, "a_january.csv", day=1, bad=2)
    take_in(ports, "b_february.csv", day=40 - 31, rows=30)
    return ports


def test_live_snapshots_are_listed_with_their_period_and_what_was_rejected(ports: Ports) -> None:
    content, table = list_snapshots(ports, "rides")
    assert [(one["source"], one["rows"], one["rejected"]) for one in content] == [
        ("s3://raw/rides/a_january.csv", 20, 2),
        ("s3://raw/rides/b_february.csv", 30, 0),
    ]
    assert {one["contract_is"] for one in content} == {"same"}
    shown = text_of(table)
    assert "a_january.csv" in shown
    assert f"{datetime(2019, 1, 1):%Y-%m-%d} – 2019-01-04" in shown
    json.dumps(content, default=str)


def test_a_dataset_without_snapshots_is_told_how_to_get_one() -> None:
    with pytest.raises(NotFoundError, match="perennial upload rides"):
        list_snapshots(new_ports(), "rides")


def test_one_snapshot_shows_its_columns_and_the_rules_that_were_broken(ports: Ports) -> None:
    january = list_snapshots(ports, "rides")[0][0]["snapshot_id"]
    content, parts = show_snapshot(ports, "rides", january[:8])
    assert content["snapshot"]["snapshot_id"] == january
    assert content["report"]["rows"] == 20
    shown = text_of(*parts)
    # Miles run from 0.5 to 19.5 (see `upload`).
    for text in ("miles", "double", "0.5", "19.5", "rejected rows", "zone"):
        assert text in shown


def test_what_has_moved_since_the_snapshot_before_is_shown(ports: Ports) -> None:
    february = list_snapshots(ports, "rides")[0][1]["snapshot_id"]
    shown = text_of(*show_snapshot(ports, "rides", february)[1])
    assert "20 rows then, 30 now" in shown


def test_the_page_is_the_report_s(ports: Ports, tmp_path: Path) -> None:
    snapshot = list_snapshots(ports, "rides")[0][0]["snapshot_id"]
    page = report_page(ports, "rides", snapshot)
    assert page == ports.artifacts.get(keys.ingest_report("rides", snapshot, "html"))


@pytest.mark.parametrize("name", ["", "nothing"])
def test_a_snapshot_that_is_not_there_is_not_guessed(ports: Ports, name: str) -> None:
    with pytest.raises(NotFoundError, match="no live snapshot of 'rides' begin"):
        show_snapshot(ports, "rides", name)


def test_a_page_that_cannot_be_written_is_told_in_a_sentence(
    ports: Ports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Deployment, "connect", lambda *found: SimpleNamespace(ports=ports))
    snapshot = list_snapshots(ports, "rides")[0][0]["snapshot_id"]
    page = tmp_path / "nowhere" / "page.html"
    with pytest.raises(SystemExit) as end:
        main(["snapshots", "rides", snapshot, "--report", str(page)])
    assert end.value.code == 1
    assert capsys.readouterr().err == f"perennial: {page}: cannot be written: No such file or directory\n"


def test_a_period_that_begins_in_the_year_1_has_four_digits() -> None:
    assert _period(datetime(1, 1, 1, tzinfo=UTC), datetime(2019, 2, 3, tzinfo=UTC)) == "0001-01-01 – 2019-02-03"


def test_a_snapshot_that_was_replaced_names_the_one_that_is_left_of_it(ports: Ports) -> None:
    other = list_snapshots(ports, "rides")[0][1]["snapshot_id"]
    replaced = {"0ld" * 4: "passed", "passed": other}
    erasure = Erasure(
        erasure_id="e", dataset="rides", columns=("zone",), types=("BIGINT",), subject_sha256="s", salt="s", rows={},
        snapshots=replaced, uploads=(), uploads_deleted=False, by="eve", reason="", run_id="r",
        at=datetime(2019, 5, 1, tzinfo=UTC),
    )  # fmt: skip
    ports.catalog.publish_erasure(erasure, {}, {}, ports.catalog.uploads("rides")[1])
    with pytest.raises(NotFoundError, match=f"what is left of it is in {other[:12]}; .*rides {other[:12]}`"):
        show_snapshot(ports, "rides", "0ld0ld")
