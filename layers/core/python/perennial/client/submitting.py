"""Putting a model that was trained in a notebook before the gate, and hearing what it says."""

from __future__ import annotations

import copy
import hashlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from perennial import keys
from perennial.errors import DataError, NotFoundError, PerennialError, TransientError
from perennial.manifest import feature_column
from perennial.monitoring.histograms import make_histogram
from perennial.records import ExperimentLog, Run, Submitted, Verdict
from perennial.training.evaluation import parity_error
from perennial.training.scoring import score
from perennial.training.submission import SUBMITTED, Submission, most_bytes
from perennial.training.untrusted import checked, conforming
from perennial.utc import naive_utc

if TYPE_CHECKING:
    import pandas as pd

    from perennial.client.experiments import Operator
    from perennial.definitions import Model
    from perennial.ports import Catalog, Ports
    from perennial.training.evaluation import Matrix

POLL_SECONDS = 0.5
COMPARED_ROWS = 10_000
"""Rows on which an estimator is compared with its ONNX file, spread evenly over those that it learnt from."""
_LIBRARIES = ("numpy", "onnx", "scikit-learn")


@dataclass(frozen=True)
class Outcome:
    """What became of a model that was put before the gate."""

    run_id: str
    """The training run that judged it."""
    version: int | None
    """Its version; None if it was not judged."""
    passed: bool
    """Whether it passed, so that it is deployed."""
    reason: str
    """Why not, in sentences; empty if it passed."""
    verdict: Verdict | None = None
    """All rules with their figures; None if it was not judged."""


def prepared(
    model: Model,
    log: ExperimentLog,
    estimator: Any,
    onnx: bytes | Path | str | None,
    *,
    frame: pd.DataFrame | None,
    features: Sequence[str] | None,
    categories: Mapping[str, Sequence[str]],
    classes: tuple[str, ...],
    output: str,
) -> tuple[Submission, bytes]:
    """Make an ONNX file that we read of what is given, and describe it; see `Experiment.register`.

    Raises
    ------
    DataError
        It cannot be made, or what is given does not fit the model.
    """
    if (estimator is None) == (onnx is None):
        raise DataError("register: give an estimator or onnx=, one of them")
    wanted = tuple(feature_column(view, column) for view, columns in model.features.items() for column in columns)
    own = _own_features(model, estimator, features, wanted)
    learnt = None if frame is None else _learnt(frame, wanted, categories)
    if onnx is None:
        content = _exported(model, estimator, len(own), classes)
    else:
        content = onnx if isinstance(onnx, bytes) else Path(onnx).read_bytes()
    columns = len(classes) if model.task == "multiclass" else 1
    artifact = conforming(checked(content, most_bytes(model)), own, wanted, columns, output)
    checked(artifact, most_bytes(model))
    submission = Submission(
        model=model.name,
        experiment=log.run_id,
        parameters=dict(log.parameters),
        features=wanted,
        categories={name: tuple(values) for name, values in categories.items()},
        classes=classes,
        onnx_sha256=hashlib.sha256(artifact).hexdigest(),
        rows=0 if learnt is None else len(learnt.matrix),
        learnt_until=None if learnt is None else learnt.until,
        baseline={}
        if learnt is None
        else {name: make_histogram(learnt.matrix[:, place]) for place, name in enumerate(wanted)},
        parity_error=0.0 if estimator is None else _parity(model, estimator, artifact, learnt, own, wanted),
        libraries={name: version(name) for name in _LIBRARIES},
    )
    return submission, artifact


def submitted(ports: Ports, operator: Operator, submission: Submission, artifact: bytes, reason: str) -> Submitted:
    """Upload a submission, by its hash, and start the run that judges it."""
    content = submission.model_dump_json(indent=2).encode()
    submission_id = hashlib.sha256(content).hexdigest()
    for file, body in (("model.onnx", artifact), ("candidate.json", content)):
        ports.artifacts.put(keys.submission(submission.model, submission_id, file), body)
    about = {"model": submission.model, "submission": submission_id}
    return Submitted(submission=submission_id, run_id=operator.start("train", about, reason))


def follow(catalog: Catalog, run_id: str, seconds: float, quiet: bool) -> Outcome:
    """Wait until a training run is closed, and return what came of its submission.

    Raises
    ------
    TransientError
        It was not closed within ``seconds``.
    """
    deadline = time.monotonic() + seconds
    heard: set[str] = set()
    while (run := _known(catalog, run_id)) is None or run.status == "running":
        if time.monotonic() > deadline:
            raise TransientError(f"run {run_id} was not over within {seconds:.0f} s; see `perennial runs {run_id}`")
        if not quiet:
            _tell(catalog, run_id, heard)
        time.sleep(POLL_SECONDS)
    if not quiet:
        _tell(catalog, run_id, heard)
    if run.status != "succeeded":
        return Outcome(run_id, None, False, run.error or f"run {run_id} {run.status}")
    made = catalog.version(run.subject, int(run.outputs["version"]))
    return Outcome(run_id, made.version, made.verdict.passed, made.reason, made.verdict)


@dataclass(frozen=True)
class _Learnt:
    """Rows that a model learnt from: features as the ONNX input has them, and their latest event time."""

    matrix: Matrix
    until: datetime | None


def _own_features(
    model: Model, estimator: Any, features: Sequence[str] | None, wanted: tuple[str, ...]
) -> tuple[str, ...]:
    named = getattr(estimator, "feature_names_in_", None) if features is None else features
    own = wanted if named is None else tuple(str(name) for name in named)
    strange = [name for name in own if name not in wanted]
    if strange or len(set(own)) < len(own) or not own:
        what = f"{strange[0]!r} is none" if strange else "name each once"
        raise DataError(f"register: features: {what} of the features of {model.name}, which are {', '.join(wanted)}")
    count = getattr(estimator, "n_features_in_", len(own))
    if count != len(own):
        raise DataError(
            f"register: it was fitted on {count} columns, but {len(own)} features are named; give features="
        )
    return own


def _learnt(frame: pd.DataFrame, wanted: tuple[str, ...], categories: Mapping[str, Sequence[str]]) -> _Learnt:
    from perennial.encoding import encode

    rows = frame[frame["part"] == "train"] if "part" in frame else frame
    if missing := [name for name in wanted if name not in rows]:
        raise DataError(f"register: frame has no column {missing[0]!r}; client.training_frame(…) gives all")
    matrix = np.empty((len(rows), len(wanted)), dtype=np.float64)
    for place, name in enumerate(wanted):
        column = rows[name]
        try:
            values = encode(column.where(column.notna(), None), categories[name]) if name in categories else None
            matrix[:, place] = column.to_numpy(np.float64, na_value=np.nan) if values is None else values
        except (ValueError, TypeError):
            raise DataError(
                f"register: column {name!r} of frame holds no numbers; name its values in categories="
            ) from None
    until = rows["event_time"].max() if "event_time" in rows and len(rows) else None
    return _Learnt(matrix, None if until is None else naive_utc(until.to_pydatetime(warn=False)))


def _exported(model: Model, estimator: Any, features: int, classes: tuple[str, ...]) -> bytes:
    """Return the ONNX file of an estimator: by its own method if it has one, else as of a custom candidate."""
    if hasattr(estimator, "to_onnx"):
        made = estimator.to_onnx()
        return bytes(made.SerializeToString() if hasattr(made, "SerializeToString") else made)
    from perennial.definitions import Candidate
    from perennial.training.candidates import Fitted
    from perennial.training.export import export
    from perennial.training.problem import Problem

    path = f"{type(estimator).__module__}:{type(estimator).__name__}"
    candidate = Candidate(name=SUBMITTED, algorithm="custom", estimator=path)
    problem = Problem(task=model.task, classes=len(classes) if model.task == "multiclass" else 0)
    try:
        return export(Fitted(_with_places(model, estimator, classes), problem, candidate, features))
    except (TypeError, KeyError, AttributeError, ValueError, PerennialError) as error:
        raise DataError(
            f"register: there is no ONNX export of this {type(estimator).__name__} ({error}); convert it, such as with "
            "skl2onnx, and give onnx="
        ) from error


def _with_places(model: Model, estimator: Any, classes: tuple[str, ...]) -> Any:
    """Return an estimator that knows classes by their places, as our candidates do; a notebook's knows their names."""
    known = getattr(estimator, "classes_", None)
    if model.task != "multiclass" or known is None or not all(isinstance(name, str) for name in known):
        return estimator
    twin = copy.copy(estimator)
    if strange := [name for name in known if name not in classes]:
        raise DataError(f"register: it tells {strange[0]!r} apart, which is none of {', '.join(classes)}")
    twin.classes_ = np.array([classes.index(name) for name in known])
    return twin


def _parity(
    model: Model, estimator: Any, artifact: bytes, learnt: _Learnt | None, own: tuple[str, ...], wanted: tuple[str, ...]
) -> float:
    """Return the largest relative difference between an estimator and its ONNX file on rows that it learnt from."""
    if learnt is None:
        raise DataError(
            "register: give frame=, the rows that the estimator learnt from, on which it is compared with its ONNX file"
        )
    chosen = np.unique(np.linspace(0, max(len(learnt.matrix) - 1, 0), COMPARED_ROWS).astype(int))
    rows = learnt.matrix[chosen]
    given: Any = rows[:, [wanted.index(name) for name in own]]
    if hasattr(estimator, "feature_names_in_"):
        import pandas as pd

        given = pd.DataFrame(given, columns=list(own))
    if model.task == "regression":
        said = estimator.predict(given)
    else:
        said = estimator.predict_proba(given)
        said = said[:, 1] if model.task == "binary" else said
    actual = score(artifact, rows)
    return parity_error(np.asarray(said, dtype=np.float64).reshape(actual.shape), actual)


def _known(catalog: Catalog, run_id: str) -> Run | None:
    try:
        return catalog.run(run_id)
    except NotFoundError:
        return None


def _tell(catalog: Catalog, run_id: str, heard: set[str]) -> None:
    for step in catalog.steps(run_id):
        if step.status != "running" and step.step not in heard:
            heard.add(step.step)
            name = "take_submission" if step.step == f"train#{SUBMITTED}" else step.step
            sys.stderr.write(f"{name}: {step.error or step.status}\n")
