"""The command line itself: what it takes, and how it says no."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra.cli import main


@pytest.mark.parametrize("arguments", [["runs", "--limit", "0"], ["nosuch"], ["models", "--stage", "bogus"]])
def test_a_wrong_command_line_is_json_with_json(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--json"])

    assert stop.value.code == 2
    assert json.loads(capsys.readouterr().out)["type"] == "UsageError"


@pytest.mark.parametrize("command", ["predict", "feedback"])
def test_rows_are_read_from_the_file_that_is_named(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main([command, "flat_rent", "rows.json"])

    assert stop.value.code == 1
    assert "no local cloud runs in this folder" in capsys.readouterr().err


INTERRUPTED_IMPORT = """
import os, signal, sys
from infra.__main__ import main

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "infra.cli":
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:  # as some modules do while they are imported
                pass

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Finder())
main()
"""


def test_the_program_can_be_interrupted_while_it_is_imported(tmp_path: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED_IMPORT]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (130, "")
