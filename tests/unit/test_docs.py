"""The documentation names what there is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel

from infra.cli import app
from perennial.definitions import (
    Candidate,
    Column,
    Dataset,
    Delivery,
    FeatureView,
    Gate,
    Log,
    Model,
    Monitor,
    Retrain,
    Split,
)

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every `perennial …` command of a console block, with the page that it stands on."""
    for page in PAGES:
        for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL):
            for line in block.splitlines():
                if "perennial " in line:
                    yield page.name, shlex.split(line.partition("perennial ")[2])


@pytest.mark.parametrize(("page", "arguments"), list(commands()))
def test_a_command_that_a_page_shows_is_one_that_the_cli_takes(page: str, arguments: list[str]) -> None:
    command, name, rest = typer.main.get_command(app), "perennial", arguments
    while hasattr(command, "commands"):
        name, *rest = rest
        command = command.commands[name]
    command.make_context(name, rest)
    files = [argument for argument in arguments if argument.startswith(("docs/", "events/", "layers/"))]

    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`((?:tests|infra|layers|functions|perennial)/[\w/.-]+\.(?:py|toml|sql))`", page.read_text())
    roots = (ROOT, ROOT / "layers" / "core" / "python")

    assert [name for name in named if not any((root / name).exists() for root in roots)] == []


def test_a_file_that_is_shown_is_the_file_that_is_named() -> None:
    page = ROOT / "docs" / "your-own-data.md"
    shown = re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", page.read_text(), re.DOTALL)

    assert len(shown) == 5
    for name, content in shown:
        assert content == (page.parent / name).read_text()


@pytest.mark.parametrize(
    "kind", [Column, Dataset, Delivery, FeatureView, Gate, Log, Model, Monitor, Retrain, Split, Candidate]
)
def test_the_reference_names_every_key_of_a_definition(kind: type[BaseModel]) -> None:
    page = (ROOT / "docs" / "reference.md").read_text()
    reference = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    known = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`]+)`", reference))))

    # A view's name is its file's, and its SQL is what stands below the header.
    assert set(kind.model_fields) - {"name", "sql"} <= known


def test_the_reference_names_every_rule_that_a_dirty_row_breaks() -> None:
    dirty = (ROOT / "docs" / "dirty-data.md").read_text()
    rules = set(re.findall(r"quarantined: `(\w+)`", dirty))
    rules |= {rule.rpartition(" ")[2] for rule in re.findall(r"(?:line|row) \d+ \(`([^`]+)`\)", dirty)}
    told = (ROOT / "docs" / "reference.md").read_text().partition("by the name that the quarantine gives:")[2]
    named = set(re.findall(r"`(\w+)`", told.partition("### ")[0]))

    assert {"type", "width", "json", "gap"} <= rules
    assert rules <= named


def test_every_decision_is_on_the_list_of_decisions_under_its_own_title() -> None:
    folder = ROOT / "docs" / "adr"
    listed = re.findall(r"^\| \[(\d+)\]\(([^)]+)\) \| (.+) \|$", (folder / "README.md").read_text(), re.MULTILINE)
    titles = {path.name: path.read_text().splitlines()[0] for path in folder.glob("0*.md")}

    assert {name: f"# {number}. {title}" for number, name, title in listed} == titles


def test_the_benchmarks_that_are_told_of_are_those_that_there_are() -> None:
    told = set(re.findall(r"uv run .*tests[/.]bench[/.](\w+)", (ROOT / "docs" / "benchmarks.md").read_text()))

    assert told == {path.stem for path in (ROOT / "tests" / "bench").glob("*.py")} - {"test_bench"}


def test_the_reference_names_every_command() -> None:
    reference = (ROOT / "docs" / "reference.md").read_text()
    group = typer.main.get_command(app)

    assert [name for name in group.commands if f"`perennial {name}" not in reference] == []  # type: ignore[attr-defined]
