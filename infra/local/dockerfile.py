"""Interpret a Dockerfile into a directory.

WORKDIR, COPY, ADD, ENV, ARG, ENTRYPOINT and CMD are interpreted. FROM and RUN are recorded and not executed: the
interpreter that runs this, with the packages of its environment, takes the place of the base image.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from infra.local.images import Image

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")
_EXPANDED = ("WORKDIR", "ENV", "COPY", "ADD", "ARG")


class DockerfileError(ValueError):
    """A Dockerfile says something that cannot be interpreted here."""


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield each instruction of a Dockerfile, in capitals, with its arguments; continued lines are joined."""
    joined = ""
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if stripped.endswith("\\"):
            joined += stripped[:-1] + " "
            continue
        name, _, arguments = (joined + stripped).partition(" ")
        joined = ""
        yield name.upper(), arguments.strip()


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace ``$NAME``, ``${NAME}`` and ``${NAME:-default}``."""
    return _VARIABLE.sub(lambda found: variables.get(found[1] or found[3]) or found[2] or "", text)


def _words(arguments: str) -> list[str]:
    """Return the JSON form of a command as it is, and the plain form as docker runs it: by a shell."""
    if arguments.startswith("["):
        words: list[str] = json.loads(arguments)
        return words
    return ["/bin/sh", "-c", arguments]


def _pairs(arguments: str) -> dict[str, str]:
    words = shlex.split(arguments)
    if "=" not in words[0]:  # the old form: ENV NAME the rest
        name, _, value = arguments.partition(" ")
        return {name: value.strip()}
    return dict(word.partition("=")[::2] for word in words)


def build(
    text: str, *, context: Path, work: Path, arguments: Mapping[str, str] | None = None, target: str | None = None
) -> Image:
    """Interpret a Dockerfile.

    Parameters
    ----------
    text : str
        The Dockerfile.
    context : Path
        The directory that COPY copies from.
    work : Path
        An empty directory; the image is a directory in it, beside those of the other stages.
    arguments : mapping, optional
        Values for ARG.
    target : str, optional
        The stage that is the image; the last one if not given.

    Raises
    ------
    DockerfileError
        If a file to copy, or the target, does not exist, or there is no FROM.
    """
    stages = _Stages(context, work, arguments or {})
    for name, rest in instructions(text):
        if name == "FROM":
            if target is not None and target in stages.images:
                break
            stages.begin(rest)
        else:
            stages.apply(name, rest)
    if target is not None and target not in stages.images:
        raise DockerfileError(f"the Dockerfile has no stage named {target}")
    return stages.current()


@dataclass
class _Stages:
    """The stages of one Dockerfile, by name and by number."""

    context: Path
    work: Path
    arguments: Mapping[str, str]
    images: dict[str, Image] = field(default_factory=dict)
    args: dict[str, str] = field(default_factory=dict)
    image: Image | None = None

    def current(self) -> Image:
        if self.image is None:
            raise DockerfileError("the Dockerfile does not begin with FROM")
        return self.image

    def begin(self, rest: str) -> None:
        """Begin a stage; one that stands on an earlier stage begins as its copy."""
        words = [word for word in expand(rest, self.args).split() if not word.startswith("--")]
        number = str(sum(key.isdigit() for key in self.images))
        image = Image(root=self.work / f"stage-{number}", skipped=[f"FROM {rest}"])
        image.directory()
        base = self.images.get(words[0])
        if base is not None:
            shutil.copytree(base.path("/"), image.path("/"), symlinks=True, dirs_exist_ok=True)
            image.workdir, image.env = base.workdir, dict(base.env)
            image.entrypoint, image.cmd = list(base.entrypoint), list(base.cmd)
        names = [number, words[2]] if len(words) == 3 and words[1].lower() == "as" else [number]
        self.images |= dict.fromkeys(names, image)
        self.image = image

    def apply(self, name: str, rest: str) -> None:
        """Apply one instruction to the current stage."""
        if name == "ARG":  # may stand before the first FROM
            key, _, default = expand(rest, self.args).partition("=")
            self.args[key] = self.arguments.get(key, default)
            return
        image = self.current()
        if name in _EXPANDED:
            rest = expand(rest, self.args | image.env)
        if name == "WORKDIR":
            image.workdir = str(PurePosixPath(image.workdir, rest))
            image.directory()
        elif name == "ENV":
            image.env |= _pairs(rest)
        elif name in ("COPY", "ADD"):
            self._copy(image, rest)
        elif name == "ENTRYPOINT":
            image.entrypoint = _words(rest)
        elif name == "CMD":
            image.cmd = _words(rest)
        else:
            image.skipped.append(f"{name} {rest}")

    def _copy(self, image: Image, rest: str) -> None:
        flags = dict(word.removeprefix("--").partition("=")[::2] for word in rest.split() if word.startswith("--"))
        plain = re.sub(r"--\S+\s+", "", rest)
        *sources, destination = json.loads(plain) if plain.startswith("[") else shlex.split(plain)
        stage = flags.get("from")
        if stage is not None and stage not in self.images:
            image.skipped.append(f"COPY {rest}")  # from another image, whose files are not here
            return
        base = self.images[stage].path("/") if stage is not None else self.context
        target = image.path(str(PurePosixPath(image.workdir, destination)))
        into = destination.endswith(("/", ".")) or len(sources) > 1 or target.is_dir()
        for source in sources:
            pattern = str(PurePosixPath("/", source)).lstrip("/")
            found = sorted(base.glob(pattern)) if pattern else [base]
            # What a RUN would have made in an earlier stage is not there.
            if not found and stage is None:
                raise DockerfileError(f"COPY {rest}: there is no {source} in {self.context}")
            for path in found:
                _place(path, target, into=into)


def _place(source: Path, target: Path, *, into: bool) -> None:
    if source.is_dir():  # a directory's contents, never the directory itself
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        return
    file = target / source.name if into else target
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, file)
