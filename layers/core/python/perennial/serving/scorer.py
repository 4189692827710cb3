"""Which of a version's files is served, and what scores with it.

A version that was trained here has a flat file, which the standard library reads and scores with. Others (custom
estimators, models that were trained elsewhere, versions from before) are served by onnxruntime.
"""

from __future__ import annotations

from collections.abc import Mapping

from perennial.errors import DataError
from perennial.flat_file import unpack
from perennial.serving.scorer_base import Contributions, FlatScorer, Scorer, Served, unreadable

__all__ = ["FLAT_FILE", "Contributions", "Scorer", "Served", "read_scorer", "scorer_of", "served_file"]

FLAT_FILE = "model.flat"
"""Name of the flat file among a manifest's files."""
_GRAPH_FILE = "model.onnx"


def read_scorer(content: bytes) -> FlatScorer:
    """Return what scores with a flat file.

    Raises
    ------
    DataError
        It is no flat file, or one in which a row could come to nowhere.
    """
    header, arrays = unpack(content)
    reader = _reader(header.get("kind"))
    if header.get("format") != 1 or reader is None:
        raise unreadable(f"it is of the kind {header.get('kind')!r}, format {header.get('format')!r}")
    return reader(header, arrays)


def served_file(files: Mapping[str, str]) -> str:
    """Return the name of the one file, of those that a manifest names, that a version is served from."""
    for name in (FLAT_FILE, _GRAPH_FILE):
        if name in files:
            return name
    raise DataError(f"manifest.json: files names neither {FLAT_FILE} nor {_GRAPH_FILE}; register the version again")


def scorer_of(manifest: Served, content: bytes) -> Scorer:
    """Return what scores a version.

    Parameters
    ----------
    manifest
        The version's.
    content : bytes
        Of its `served_file`, which the caller has compared with the SHA-256 that the manifest says.

    Raises
    ------
    DataError
        The file is not what the manifest says of it.
    """
    if served_file(manifest.files) == _GRAPH_FILE:
        from perennial.serving.artifact import graph_scorer

        return graph_scorer(manifest, content)
    scorer = read_scorer(content)
    outputs = len(manifest.classes) if manifest.task == "multiclass" else 1
    if (scorer.form.features, scorer.form.outputs) != (len(manifest.features), outputs):
        raise unreadable(
            f"it reads {scorer.form.features} features and answers {scorer.form.outputs} numbers, but its manifest "
            f"says {len(manifest.features)} and {outputs}"
        )
    return scorer


def _reader(kind: object) -> type[FlatScorer] | None:
    """Return the class of a kind, and load no other."""
    if kind == "trees":
        from perennial.serving.scorer_trees import TreesScorer

        return TreesScorer
    if kind == "linear":
        from perennial.serving.scorer_linear import LinearScorer

        return LinearScorer
    return None
