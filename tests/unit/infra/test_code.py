"""What counts as deployed code."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from infra import code


@pytest.mark.parametrize("name", ["records/runs.py", "reporting/templates/page.html", "reporting/templates/style.css"])
def test_the_version_of_the_code_changes_with_modules_and_with_templates(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "perennial"
    shutil.copytree(code.LIBRARY, library, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "ROOT", tmp_path)
    monkeypatch.setattr(code, "LIBRARY", library)
    monkeypatch.setattr(code, "FUNCTIONS", tmp_path / "functions")
    before = code.code_version()
    with (library / name).open("a") as file:
        file.write("\n")

    assert code.code_version() != before


@pytest.mark.parametrize("layer", ["training", "data"])
def test_the_version_of_the_code_changes_with_the_packages_that_it_runs_on(
    layer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(code.ROOT / "layers", tmp_path / "layers", ignore=shutil.ignore_patterns("__pycache__", "core"))
    monkeypatch.setattr(code, "ROOT", tmp_path)
    monkeypatch.setattr(code, "LIBRARY", tmp_path / "library")
    monkeypatch.setattr(code, "FUNCTIONS", tmp_path / "functions")
    before = code.code_version()
    with (tmp_path / "layers" / layer / "requirements.txt").open("a") as file:
        file.write("another==1.0\n")

    assert code.code_version() != before
