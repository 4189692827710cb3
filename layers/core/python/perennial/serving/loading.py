"""A registered version becomes a predictor: its manifest, the one file that it is served from, nothing else is read."""

from __future__ import annotations

from perennial.errors import DataError
from perennial.serving.engine import Engine
from perennial.serving.integrity import ReadFile, read_file
from perennial.serving.predictor import Predictor, Scorer
from perennial.serving.served import Served, read_served

_GRAPH_FILE = "model.onnx"


def load_predictor(manifest: bytes, sha256: str, read: ReadFile, engine: Engine) -> Predictor:
    """Check a registered version and make it ready to predict.

    Parameters
    ----------
    manifest : bytes
        The manifest as it was read.
    sha256 : str
        What the catalog registered of it.
    read : callable
        Returns the bytes of one of the version's files by its name.
    engine : Engine
        For what was not compiled.

    Raises
    ------
    DataError
        A file is missing, differs from the one that was registered, or is not what it should be.
    """
    served = read_served(manifest, sha256)
    return Predictor(served, _scorer(served, read), engine)


def _scorer(served: Served, read: ReadFile) -> Scorer:
    if _GRAPH_FILE not in served.files:
        raise DataError(f"manifest.json: files names no {_GRAPH_FILE}; register the version again")
    content = read_file(_GRAPH_FILE, served.files[_GRAPH_FILE], read)
    from perennial.serving.artifact import graph_scorer  # late: onnxruntime

    return graph_scorer(served, content)
