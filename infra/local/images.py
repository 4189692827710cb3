"""Images as directories: what a job runs in when no container engine is there."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import quote

_PYTHON = re.compile(r"^(/usr(/local)?/bin/|/opt/venv/bin/|/app/\.venv/bin/)?python(3(\.\d+)?)?$")


@dataclass
class Image:
    """An image as a directory: its files under ``root/files``, and how to run it."""

    root: Path
    workdir: str = "/"
    env: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)
    cmd: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def path(self, inside: str) -> Path:
        """Return where an absolute path of the image lies."""
        return self.root / "files" / os.path.normpath(inside).lstrip("/")

    def directory(self) -> Path:
        """Return the working directory, made if needed."""
        self.path(self.workdir).mkdir(parents=True, exist_ok=True)
        return self.path(self.workdir)

    def mapped(self, value: str) -> str:
        """Return a value in which absolute paths of the image, alone or between colons, are those of this machine."""
        parts = value.split(":")
        # A path that is not in the image is the machine's own, or a path only AWS knows.
        return ":".join(
            str(self.path(part)) if part.startswith("/") and self.path(part).exists() else part for part in parts
        )

    def environment(self, overrides: Mapping[str, str]) -> dict[str, str]:
        """Return the environment a container of this image has, with ``overrides`` over it."""
        # PATH names the image's programs; here the machine's own are used.
        variables = {name: value for name, value in (self.env | dict(overrides)).items() if name != "PATH"}
        return {name: self.mapped(value) for name, value in variables.items()}

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Return the whole command: entrypoint, then ``arguments`` or else CMD; ``python`` is this interpreter."""
        program, *rest = [*self.entrypoint, *(arguments or self.cmd)] or [""]
        if not program:
            raise LookupError("CannotStartContainerError: the image has neither ENTRYPOINT nor CMD")
        return [sys.executable if _PYTHON.match(program) else self.mapped(program), *map(self.mapped, rest)]


@dataclass(frozen=True)
class Store:
    """Built images, by tag, in a directory."""

    directory: Path

    def path(self, tag: str) -> Path:
        """Return where an image with this tag is kept."""
        return self.directory / quote(tag, safe="")

    def image(self, tag: str) -> Image:
        """Return an image; raises ``LookupError`` with AWS's words when there is none of this tag."""
        description = self.path(tag) / "image.json"
        if not description.exists():
            raise LookupError(f"CannotPullContainerError: image {tag} was not built into the local cloud")
        return Image(root=self.path(tag), **json.loads(description.read_text()))

    def add(self, image: Image, tag: str) -> None:
        """Move an image into the store, in the place of an older one of this tag."""
        described = {name: value for name, value in asdict(image).items() if name != "root"}
        (image.root / "image.json").write_text(json.dumps(described, indent=2))
        self.directory.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.path(tag), ignore_errors=True)
        shutil.move(image.root, self.path(tag))

    def tag(self, source: str, target: str) -> None:
        """Give an image one more tag."""
        self.image(source)
        shutil.rmtree(self.path(target), ignore_errors=True)
        shutil.copytree(self.path(source), self.path(target), symlinks=True)
