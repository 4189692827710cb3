"""What is deployed: the functions' code, the layers and the container, as assets. Nothing is built at synthesis."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import cast

from aws_cdk import IgnoreMode, Stack
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from infra import layer
from perennial.definitions.files import PACKAGE

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "layers" / "core" / "python" / "perennial"
FUNCTIONS = ROOT / "functions"
DEFINITIONS = ROOT / "layers" / "definitions"
RUNTIME = lambda_.Runtime.PYTHON_3_13
ARCHITECTURE = lambda_.Architecture.ARM_64
_CODE = ("*.py", "*.html", "*.css")
"""What the deployed code consists of: modules, and the templates of reports."""
_NOT_CODE = ["**/__pycache__", "*.pyc"]
_NOT_DEPLOYED = "client"
"""The library's package for notebooks."""


def code_version() -> str:
    """Return the fingerprint of the deployed code (16 hex digits): library, functions, and the packages they run on."""
    digest = hashlib.sha256()
    for folder in (LIBRARY, FUNCTIONS):
        for path in sorted(path for kind in _CODE for path in folder.rglob(kind)):
            if path.is_relative_to(LIBRARY / _NOT_DEPLOYED):
                continue
            digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    for path in sorted((ROOT / "layers").glob("*/requirements.txt")):  # of the layers and of the container
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


class Code(Construct):
    """The assets that functions and jobs run."""

    def __init__(self, scope: Construct, id: str, *, definitions: Path, third_party: bool) -> None:
        super().__init__(scope, id)
        self.version = code_version()
        self.functions = lambda_.Code.from_asset(
            str(FUNCTIONS), exclude=["*", "!*.py"], ignore_mode=IgnoreMode.GIT, display_name="functions"
        )
        core = lambda_.Code.from_asset(
            str(LIBRARY.parent.parent),
            exclude=[*_NOT_CODE, f"perennial/{_NOT_DEPLOYED}"],
            ignore_mode=IgnoreMode.GIT,
            display_name="core layer",
        )
        defined = self._definitions(definitions)
        # Where the CLI and the client read what is deployed.
        zipped = cast(s3_assets.Asset, defined.node.find_child("Code"))
        self.definitions_location = zipped.s3_object_url
        self._ours = [self._layer("Core", core), defined]
        self._packages: dict[str, lambda_.ILayerVersion] = {}
        self._third_party_layers = third_party
        self._folder = definitions

    def layers(self, packages: str) -> list[lambda_.ILayerVersion]:
        """Return the layers of a function that needs the packages of that name (see ``infra.layer``)."""
        if not self._third_party_layers:
            return [*self._ours]
        if packages not in self._packages:
            self._packages[packages] = self._third_party(packages)
        return [*self._ours, self._packages[packages]]

    def image(self) -> ecr_assets.DockerImageAsset:
        """Return the container that runs any step; it is built when the stack is deployed."""
        with tempfile.TemporaryDirectory() as folder:
            context = Path(folder)
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
            not_deployed = shutil.ignore_patterns("__pycache__", "*.pyc", _NOT_DEPLOYED)
            shutil.copytree(LIBRARY, context / "perennial", ignore=not_deployed)
            shutil.copytree(self._folder, context / PACKAGE, ignore=ignored)
            for path in (
                FUNCTIONS / "Dockerfile",
                FUNCTIONS / "batch.py",
                ROOT / "layers" / "training" / "requirements.txt",
            ):
                shutil.copyfile(path, context / path.name)
            return ecr_assets.DockerImageAsset(
                self,
                "Image",
                directory=str(context),
                platform=ecr_assets.Platform.LINUX_ARM64,
                display_name="training container",
            )

    def _layer(self, id: str, code: lambda_.Code) -> lambda_.LayerVersion:
        return lambda_.LayerVersion(
            self, id, code=code, compatible_runtimes=[RUNTIME], compatible_architectures=[ARCHITECTURE]
        )

    def _definitions(self, definitions: Path) -> lambda_.LayerVersion:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(
                definitions, Path(folder) / "python" / PACKAGE, ignore=shutil.ignore_patterns("__pycache__")
            )
            # The asset is copied into the assembly when the layer takes it, so the folder may go.
            return self._layer("Definitions", lambda_.Code.from_asset(folder, display_name="definitions layer"))

    def _third_party(self, name: str) -> lambda_.ILayerVersion:
        location = Stack.of(self).synthesizer.add_file_asset(
            source_hash=layer.fingerprint(name),
            # Run by the CDK CLI when it publishes the asset; prints the zip's path.
            executable=[sys.executable, layer.__file__, name],
            display_name=f"{name} layer",
        )
        # Not lambda_.Code.from_bucket: it warns of keys whose content changes, and this key is the content's hash.
        version = lambda_.CfnLayerVersion(
            self,
            name.capitalize(),
            content=lambda_.CfnLayerVersion.ContentProperty(s3_bucket=location.bucket_name, s3_key=location.object_key),
            compatible_runtimes=[RUNTIME.name],
            compatible_architectures=[ARCHITECTURE.name],
        )
        return lambda_.LayerVersion.from_layer_version_arn(self, f"{name} layer", version.ref)
