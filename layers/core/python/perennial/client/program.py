"""Which program a person runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def program() -> dict[str, Any]:
    """Say which program runs: its file, Python, and the git commit of the folder, if there is one."""
    told: dict[str, Any] = {"python": sys.version.split()[0]}
    if sys.argv and sys.argv[0] and not sys.argv[0].startswith("-"):
        told["program"] = Path(sys.argv[0]).name
    commit = _git("rev-parse", "HEAD")
    if commit is not None:
        told |= {"commit": commit.strip(), "dirty": bool(_git("status", "--porcelain"))}
    return told


def _git(*arguments: str) -> str | None:
    """Return what git says; None where there is no git, no repository or no commit."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are those above
            ["git", *arguments],  # noqa: S607 - git is the one of the person's shell
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
