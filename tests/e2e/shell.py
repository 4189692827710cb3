"""The command line, run as a person runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from infra.deployment import Deployment
from infra.waiting import wait_until


class Shell:
    """The CLI in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        command = [sys.executable, "-m", "infra.cli", *arguments]
        return subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, input=stdin, check=False, timeout=600
        )

    def json(self, *arguments: str, stdin: str = "", code: int = 0) -> Any:
        """Run a command with --json, expect its exit code, and return what it printed."""
        done = self.run(*arguments, "--json", stdin=stdin)
        assert done.returncode == code, done.stderr[-2000:]
        return json.loads(done.stdout)

    def deployment(self) -> Deployment:
        """Return what `up` has deployed."""
        return Deployment.connect("local", state=self.folder / ".perennial")

    def served(self, *models: str, seconds: float = 180) -> Deployment:
        """Wait until each model has a champion; return the deployment. A command would take a second for each look."""
        deployment = self.deployment()
        for model in models:
            wait_until(lambda model=model: deployment.ports.catalog.champion(model), seconds, f"a champion of {model}")
        return deployment
