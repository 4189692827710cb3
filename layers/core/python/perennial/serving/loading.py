"""A registered version becomes a predictor: its manifest, the one file that it is served from, nothing else is read."""

from __future__ import annotations

from perennial.serving.engine import Engine
from perennial.serving.integrity import ReadFile, read_file
from perennial.serving.predictor import Predictor
from perennial.serving.scorer import scorer_of, served_file
from perennial.serving.served import read_served


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
    name = served_file(served.files)
    return Predictor(served, scorer_of(served, read_file(name, served.files[name], read)), engine)
