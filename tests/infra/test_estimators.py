"""Custom estimators are deployed with the definitions."""

from __future__ import annotations

from pathlib import Path


def test_the_container_and_the_layer_hold_the_folder_of_estimators(tmp_path: Path) -> None:
    from aws_cdk import App, Stack

    from infra.code import Code
    from perennial.definitions.files import ESTIMATORS, PACKAGE

    home, out = tmp_path / "definitions", tmp_path / "out"
    (home / ESTIMATORS / "__pycache__").mkdir(parents=True)
    (home / ESTIMATORS / "fares.py").write_text("RATE = 2")
    (home / ESTIMATORS / "__pycache__" / "fares.pyc").write_bytes(b"")
    app = App(outdir=str(out))
    Code(Stack(app, "s"), "Code", definitions=home, third_party=False).image()
    app.synth()
    copies = {path.relative_to(out).parts[1:]: path.read_text() for path in out.rglob("fares.*")}
    assert copies == {
        (PACKAGE, ESTIMATORS, "fares.py"): "RATE = 2",
        ("python", PACKAGE, ESTIMATORS, "fares.py"): "RATE = 2",
    }
