"""The layers as they are shipped: their size, their processor, and that every function finds what it imports."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import layer
from infra.code import FUNCTIONS, LIBRARY
from infra.functions import SHAPES
from tests.infra.synthesised import Synthesised

LIMIT = 250 * 1024 * 1024
"""Bytes that a function's code and layers may have, unpacked (AWS Lambda quotas)."""
AARCH64 = 0xB7
"""``e_machine`` of an ELF file for 64-bit ARM (ELF for the Arm 64-bit architecture, 5.1)."""


@pytest.fixture(scope="module")
def layers() -> dict[str, Path]:
    """Return the real layers, built for Lambda or found in the cache."""
    return {name: layer.build(name) for name in layer.LAYERS}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the same pinned packages, installed for this interpreter."""
    folders = {name: tmp_path_factory.mktemp("packages") / name for name in layer.LAYERS}
    for name, folder in folders.items():
        layer.install(name, folder, "--python", sys.executable)
        layer.prune(folder)
    return folders


def entries(archive: Path) -> Iterator[zipfile.ZipInfo]:
    with zipfile.ZipFile(archive) as content:
        yield from content.infolist()


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_every_function_fits_into_lambda(with_tokens: Synthesised, layers: dict[str, Path]) -> None:
    dev = with_tokens  # which has all functions
    unpacked = {name: sum(entry.file_size for entry in entries(archive)) for name, archive in layers.items()}
    ids = {name: f"Code{name.capitalize()}" for name in layer.LAYERS}  # a hash follows
    own = sum(size_of(dev.asset_folder("files", name)) for name in ("functions", "core layer", "definitions layer"))
    for verb, function in dev.functions().items():
        attached = [str(reference["Ref"]) for reference in function["Layers"]]
        third_party = [name for name, id in ids.items() if any(ref.startswith(id) for ref in attached)]
        assert third_party == [SHAPES[verb].packages], verb
        assert own + sum(unpacked[name] for name in third_party) < LIMIT, verb


def test_every_native_extension_is_for_lambdas_processor_and_interpreter(layers: dict[str, Path]) -> None:
    for name, archive in layers.items():
        natives = []
        with zipfile.ZipFile(archive) as content:
            for entry in content.infolist():
                with content.open(entry) as file:
                    head = file.read(20)
                if head[:4] == b"\x7fELF":
                    natives.append(entry.filename)
                    assert int.from_bytes(head[18:20], "little") == AARCH64, f"{name}: {entry.filename}"
        assert natives, name
        built_for = {found[1] for path in natives if (found := re.search(r"\.cpython-(\d+)", path))}
        assert built_for == {"313"}, name


def test_a_layer_ships_neither_tests_nor_headers_nor_receipts(layers: dict[str, Path]) -> None:
    for archive in layers.values():
        paths = [Path(entry.filename) for entry in entries(archive)]
        assert all(path.parts[0] == "python" for path in paths)
        assert not [path for path in paths if {"tests", "__pycache__"} & set(path.parts)]
        assert not [path for path in paths if path.suffix in (".h", ".pyi", ".pyc") or path.name == "RECORD"]
        assert [path for path in paths if path.name == "METADATA"], "versions are read from it"


def test_the_same_files_give_the_same_zip(tmp_path: Path) -> None:
    archives: list[bytes] = []
    for attempt in ("one", "two"):
        folder = tmp_path / attempt / "python"
        folder.mkdir(parents=True)
        for name in sorted(("b.py", "a.py"), reverse=attempt == "two"):
            (folder / name).write_text(name)
            os.utime(folder / name, (1_000_000_000 + len(archives), 1_000_000_000))
        archive = tmp_path / f"{attempt}.zip"
        layer.pack(folder.parent, folder, archive)
        archives.append(archive.read_bytes())
    assert archives[0] == archives[1]


def test_a_layer_is_built_once_for_its_pins(tmp_path: Path) -> None:
    archive = tmp_path / f"data-{layer.fingerprint('data')[:16]}.zip"
    archive.write_bytes(b"built before")
    assert layer.build("data", cache=tmp_path) == archive
    assert archive.read_bytes() == b"built before"


@pytest.mark.parametrize("name", [*layer.LAYERS, "training"])
def test_every_package_is_pinned_with_the_hashes_of_its_files(name: str) -> None:
    text = layer.requirements(name).read_text()
    pins = re.split(r"\n(?=\S)", text.strip())
    assert len(pins) > 5
    for pin in pins:
        assert re.match(r"^[a-z0-9-]+==[^ ]+( ;.*)? \\\n", pin), pin
        assert "--hash=sha256:" in pin
    assert "://" not in text, "no address of a package index"


@pytest.mark.parametrize("verb", sorted(SHAPES))
def test_every_function_imports_with_its_layers_alone(verb: str, packages: dict[str, Path]) -> None:
    path = [str(FUNCTIONS), str(LIBRARY.parent), str(packages[SHAPES[verb].packages])]
    program = f"import sys; sys.path[:0] = {path!r}; import {verb}; assert callable({verb}.handler)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, timeout=60, check=False, env={}
    )
    assert done.returncode == 0, done.stderr


def test_time_zones_are_known_where_the_machine_knows_none(packages: dict[str, Path]) -> None:
    # Amazon Linux 2023's minimal image came to Lambda without /usr/share/zoneinfo (aws/aws-lambda-dotnet, issue 1620).
    path = [str(LIBRARY.parent), str(packages["serving"])]
    program = (
        f"import sys; sys.path[:0] = {path!r}; from perennial.serving import moments; moments._zone('Asia/Kolkata')"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import os; os.environ['PYTHONTZPATH'] = ''; {program}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={},
    )
    assert done.returncode == 0, done.stderr
