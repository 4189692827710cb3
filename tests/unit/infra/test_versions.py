"""What the CLI tells of one version of a model."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.cli import main
from infra.deployment import Deployment
from infra.versions import save_pages, show_version, version_page
from perennial import keys
from perennial.errors import NotFoundError
from perennial.fakes import fake_ports
from perennial.ports import Ports
from perennial.steps import register
from tests.support.records import a_version
from tests.support.training_runs import judge_all, put_snapshots, world


@pytest.fixture(scope="module")
def ports() -> Ports:
    """Return fakes with a version."""
    found = fake_ports(world(candidates=[{"name": "line", "algorithm": "ridge"}]))
    put_snapshots(found, "s1")
    judge_all(found, "run-1")
    register.run(register.Request(run_id="run-1", model="fare"), found)
    return found


@pytest.fixture
def deployed(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> Ports:
    """Let the CLI find the fakes."""
    monkeypatch.setattr(Deployment, "connect", lambda *found: SimpleNamespace(ports=ports))
    return ports


def test_a_version_shows_every_rule_and_figure(ports: Ports) -> None:
    content, (rules, figures) = show_version(ports.catalog, "fare", 1)
    assert content["verdict"]["passed"] is True
    assert list(rules.columns[1].cells) == ["finite", "beat_baseline", "min_improvement", "max_parity_error"]
    assert list(figures.columns[0].cells) == ["n", "mae", "rmse", "bias", "r2"]
    assert "." not in str(next(iter(figures.columns[1].cells)))


def test_pages_are_those_that_the_run_wrote(ports: Ports, tmp_path: Path) -> None:
    assert version_page(ports, "fare", 1, "report") == ports.artifacts.get(
        keys.evaluation_report("fare", "run-1", "html")
    )
    saved = save_pages(ports, "fare", 1, {"report": None, "card": tmp_path / "card.html"})
    assert saved == {"card": str(tmp_path / "card.html")}
    assert b"fare, version 1: model card" in (tmp_path / "card.html").read_bytes()


@pytest.mark.parametrize(("page", "words"), [("report", "page of its evaluation"), ("card", "model card")])
def test_a_version_from_before_there_were_pages_says_so(page: str, words: str, tmp_path: Path) -> None:
    old = fake_ports(world())
    old.catalog.publish_version(a_version(1))
    with pytest.raises(NotFoundError, match=f"version 1 of 'fare' has no {words}"):
        save_pages(old, "fare", 1, {page: tmp_path / "page.html"})


def test_the_cli_saves_both(deployed: Ports, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, card = tmp_path / "report.html", tmp_path / "card.html"
    with pytest.raises(SystemExit) as end:
        main(["models", "fare", "1", "--report", str(report), "--card", str(card), "--json"])
    assert end.value.code == 0
    assert json.loads(capsys.readouterr().out) == {"report": str(report), "card": str(card)}
    assert report.read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("arguments", [["models", "--card", "x.html"], ["models", "fare", "--report", "x.html"]])
def test_a_page_is_of_one_version(deployed: Ports, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 1
    assert "write `perennial models NAME VERSION`" in capsys.readouterr().err
