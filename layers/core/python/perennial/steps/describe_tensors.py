"""Tell what the Open Inference Protocol asks: whether things are ready, and the tensors of a model."""

from __future__ import annotations

from perennial.definitions import Column
from perennial.ports import Ports
from perennial.steps.describe import Described, find_version, read_manifest

DATATYPES = {"integer": "INT64", "double": "FP64", "boolean": "BOOL"}
"""A column's type to its tensor's; of any other it is ``BYTES``: text."""


class Server(Described):
    """What answers here."""

    name: str
    version: str
    extensions: list[str]


class Live(Described):
    """Whether the API runs."""

    live: bool


class Ready(Described):
    """Whether models can be asked."""

    ready: bool


class ModelReady(Ready):
    """Whether a model can be asked."""

    name: str


class Tensor(Described):
    """A tensor's name, type and shape, in which -1 is the number of rows."""

    name: str
    datatype: str
    shape: list[int]


class InferModel(Described):
    """The tensors that a version takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[Tensor]
    outputs: list[Tensor]


def server(ports: Ports) -> Server:
    """Tell what answers here; its version is the deployed code's."""
    return Server(name="perennial", version=ports.code_version, extensions=[])


def ready(ports: Ports) -> Ready:
    """Tell that models can be asked: TransientError while the catalog does not answer."""
    ports.catalog.models()
    return Ready(ready=True)


def model_ready(ports: Ports, name: str, which: int | str | None) -> ModelReady:
    """Tell that a version can be asked; NotFoundError if there is none."""
    find_version(ports, name, which)
    return ModelReady(name=name, ready=True)


def tensors(ports: Ports, name: str, which: int | str | None) -> InferModel:
    """Show the tensors of the champion, or of the version of that number or alias; NotFoundError if there is none."""
    found = find_version(ports, name, which)
    manifest = read_manifest(ports, found)
    outputs = [Tensor(name="value", datatype="FP64", shape=[-1])]
    if len(manifest.classes) == 2:
        outputs.append(Tensor(name="label", datatype="BOOL", shape=[-1]))
    elif manifest.classes:
        outputs.append(Tensor(name="label", datatype="BYTES", shape=[-1]))
        outputs.append(Tensor(name="probabilities", datatype="FP64", shape=[-1, len(manifest.classes)]))
    return InferModel(
        name=name,
        versions=[str(version.version) for version in ports.catalog.versions(name)],
        platform="onnx_onnxv1",
        inputs=[
            Tensor(name=column, datatype=datatype(described), shape=[-1])
            for column, described in manifest.inputs.items()
        ],
        outputs=outputs,
    )


def datatype(column: Column) -> str:
    """Return the datatype of a column's tensor."""
    return DATATYPES.get(column.type, "BYTES")
