"""Build the layers of third-party packages, without Docker: ``python -m infra.layer data`` prints the zip's path.

The CDK CLI runs this file when it publishes a layer; a layer is built once for each fingerprint of what goes into it.
``python -m infra.layer --lock`` pins the packages anew. Standard library only, as it runs outside the application.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("auth", "data", "search", "serving")
"""Folders of ``layers/`` that become layers; ``training`` is installed into the container."""
PYTHON = "3.13"
PLATFORM = "aarch64-manylinux_2_28"
"""Lambda's Python 3.13 runs on Amazon Linux 2023 with glibc 2.34, so wheels for 2.28 fit."""

_FOLDERS = frozenset({"__pycache__", "include", "test", "tests"})
_SUFFIXES = frozenset({".a", ".c", ".cpp", ".h", ".hpp", ".lib", ".pxd", ".pyc", ".pyi", ".pyx"})
# Of a package's metadata, what says how it was installed, here and now, goes; METADATA and licences stay.
_RECEIPTS = frozenset({"INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json"})
# Programs that convert and tune models; nothing that runs a model imports them.
_TOOLS = ("onnxruntime/tools", "onnxruntime/transformers", "onnxruntime/quantization", "onnxruntime/datasets")
_EPOCH = (1980, 1, 1, 0, 0, 0)


def requirements(name: str) -> Path:
    """Return the file of a layer's pinned packages."""
    return ROOT / "layers" / name / "requirements.txt"


def fingerprint(name: str) -> str:
    """Return the SHA-256 (64 hex digits) of all that decides a layer's content: its pins and this file."""
    return hashlib.sha256(requirements(name).read_bytes() + b"\0" + Path(__file__).read_bytes()).hexdigest()


def build(name: str, cache: Path | None = None) -> Path:
    """Return the zip of a layer, built unless it is in the cache (``~/.cache/perennial/layers`` by default).

    Raises
    ------
    subprocess.CalledProcessError
        The packages could not be installed; uv has said why.
    """
    cache = cache or _cache()
    archive = cache / f"{name}-{fingerprint(name)[:16]}.zip"
    if archive.exists():
        return archive
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        packages = Path(folder) / "python"
        install(name, packages, "--python-version", PYTHON, "--python-platform", PLATFORM)
        prune(packages)
        draft = Path(folder) / "layer.zip"
        pack(Path(folder), packages, draft)
        draft.replace(archive)  # whole or not at all: another process may be building the same
    return archive


def install(name: str, target: Path, *options: str) -> None:
    """Install a layer's packages, wheels with known hashes only, into a folder."""
    command = [
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--link-mode",
        "copy",
    ]
    _uv(*command, *options, "--target", str(target), "--requirements", str(requirements(name)))


def prune(packages: Path) -> None:
    """Take out what no function reads: tests, headers, stubs and receipts."""
    for tool in _TOOLS:
        shutil.rmtree(packages / tool, ignore_errors=True)
    shutil.rmtree(packages / "bin", ignore_errors=True)
    for path in sorted(packages.rglob("*"), reverse=True):
        if path.is_dir() and path.name in _FOLDERS:
            shutil.rmtree(path)
        elif (
            path.is_file()
            and (path.suffix in _SUFFIXES or (path.name in _RECEIPTS and path.parent.suffix == ".dist-info"))
        ) or path.name == ".lock":
            path.unlink()


def pack(root: Path, folder: Path, archive: Path) -> None:
    """Zip a folder so that the same files give the same bytes."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as content:
        for path in _files(folder):
            entry = zipfile.ZipInfo(path.relative_to(root).as_posix(), _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            content.writestr(entry, path.read_bytes())


def lock() -> None:
    """Pin every package of every layer and of the container, with the hashes of its files."""
    for source in sorted((ROOT / "layers").glob("*/requirements.in")):
        options = ["--python-version", PYTHON, "--python-platform", PLATFORM, "--only-binary", ":all:"]
        quiet = ["--quiet", "--no-emit-index-url", "--no-annotate", "--no-header"]
        _uv(
            "pip",
            "compile",
            "--generate-hashes",
            *options,
            *quiet,
            source.name,
            "-o",
            "requirements.txt",
            folder=source.parent,
        )


def _cache() -> Path:
    # Outside the work tree, as a layer is good for every clone that pins the same.
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "perennial" / "layers"


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _uv(*arguments: str, folder: Path = ROOT) -> None:
    # The target's interpreter need not be here: uv resolves for it by name.
    environment = os.environ | {"UV_PYTHON_DOWNLOADS": "never"}
    # What uv says goes to stderr: stdout is for the path alone.
    subprocess.run([sys.executable, "-m", "uv", *arguments], check=True, stdout=sys.stderr, cwd=folder, env=environment)


def main() -> None:
    """Build one layer and print its path, or pin all packages anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", choices=LAYERS)
    parser.add_argument("--lock", action="store_true", help="pin the packages in layers/*/requirements.txt anew")
    arguments = parser.parse_args()
    if arguments.lock:
        lock()
    if arguments.name:
        print(build(arguments.name))


if __name__ == "__main__":
    main()
