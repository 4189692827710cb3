"""An experiment: a run of kind ``experiment`` that a person's own program writes down as it goes."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from perennial import keys
from perennial.client.comparing import outputs
from perennial.client.program import program
from perennial.errors import ConflictError, DataError, PerennialError
from perennial.ports import Ports
from perennial.records import ExperimentLog, LoggedFile, Run, Submitted, Trigger

if TYPE_CHECKING:
    import pandas as pd

    from perennial.client.submitting import Outcome

POINTS_PER_CHUNK = 10_000
"""Values of metrics that are kept in memory at most."""
LOG_BYTES = 100_000
"""Most bytes of what an experiment logs, series of metrics and files apart: a record holds 400 KB at most."""
_SHORTEST, _LONGEST = 1.0, 60.0
"""Seconds between two writes of what was logged: a hundredth of the run's age, within these."""
_ERROR = 500
"""Characters of an error that are kept."""


class Operator(Protocol):
    """Who runs the experiment, and how a state machine is started for them."""

    @property
    def person(self) -> str:
        """ARN of the caller."""

    def start(self, verb: str, about: Mapping[str, Any], reason: str) -> str:
        """Start a state machine for this person; return the id of the run that it will record."""


class Experiment:
    """What a person tries: parameters, metrics and files, in the same catalog as all other runs.

    As a context it ends with its block: ``succeeded``, or ``failed`` with the error. What is logged is written at once
    when it is the first for a second (later on: for a hundredth of the run's age, a minute at most), so a process that
    is killed leaves all but the last of it, and a run that stays ``running`` until `Client.close_experiment`.

    Attributes
    ----------
    run_id : str
        The run's id, for ``perennial runs ID``.
    """

    def __init__(self, ports: Ports, operator: Operator, model: str, name: str) -> None:
        fingerprint = ports.definitions.fingerprint(ports.definitions.model(model).name)
        self.run_id, self.model = str(uuid.uuid4()), model
        self._ports, self._operator = ports, operator
        self._lock = threading.RLock()
        self._log = ExperimentLog(run_id=self.run_id, model=model)
        self._points: list[str] = []
        self._started = self._written = ports.clock.now()
        self._open = True
        code = program()
        commit = str(code.get("commit", ""))
        ports.catalog.record_experiment(self._log)
        ports.catalog.start_run(
            Run(
                run_id=self.run_id,
                kind="experiment",
                subject=model,
                status="running",
                trigger=Trigger(kind="person", source=operator.person, reason=name),
                started_at=self._started,
                definition_hash=fingerprint,
                code_version=f"{commit}+dirty" if code.get("dirty") else commit,
                inputs={"name": name, "code": code},
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.close(error=str(error) if isinstance(error, PerennialError) else f"{kind.__name__}: {error}")

    def __repr__(self) -> str:
        return f"<Experiment {self.run_id} on {self.model}{'' if self._open else ', closed'}>"

    def log_params(self, parameters: Mapping[str, Any]) -> None:
        """Log parameters by name: numbers, truth values and texts; anything else as the text that Python shows.

        Raises
        ------
        ConflictError
            One has another value already: a run has one of each. Or the run is closed.
        DataError
            They are too many or too long.
        """
        plain = {name: _plain(value) for name, value in parameters.items()}
        with self._lock:
            for name, value in plain.items():
                if name in self._log.parameters and self._log.parameters[name] != value:
                    raise ConflictError(
                        f"parameter {name} is {self._log.parameters[name]!r} in this run, not {value!r}; "
                        "begin another experiment"
                    )
            self._change(parameters={**self._log.parameters, **plain})

    def log_param(self, name: str, value: Any) -> None:
        """Log one parameter; see `log_params`."""
        self.log_params({name: value})

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log values of metrics, each the next of its series.

        Parameters
        ----------
        metrics : mapping of str to float
            Such as ``{"mae": 1.4}``; NaN and infinities are kept as they are.
        step : int or None
            Where in the training it was measured; by default how many values the metric has had before.
        """
        values = {name: float(value) for name, value in metrics.items()}
        at = keys.moment(self._ports.clock.now())
        with self._lock:
            points = dict(self._log.points)
            lines = []
            for name, value in values.items():
                place = points.get(name, 0) if step is None else int(step)
                lines.append(json.dumps({"metric": name, "step": place, "value": value, "at": at}))
                points[name] = points.get(name, 0) + 1
            self._change(lines, metrics={**self._log.metrics, **values}, points=points)

    def log_metric(self, name: str, value: float, step: int | None = None) -> None:
        """Log one value of a metric; see `log_metrics`."""
        self.log_metrics({name: value}, step)

    def log_artifact(self, path: Path | str, name: str | None = None) -> None:
        """Keep a file with the run, under its own name or another; a file of the same name takes the place of it.

        Raises
        ------
        DataError
            There is no such file.
        """
        file = Path(path)
        called = name or file.name
        if not file.is_file():
            raise DataError(f"log_artifact: {file} is no file; log the files of a folder one by one")
        with file.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        key = keys.experiment_file(self.model, self.run_id, sha256, called)
        self._require_open()
        self._ports.artifacts.upload(file, key)
        logged = LoggedFile(name=called, key=key, sha256=sha256, size=file.stat().st_size)
        with self._lock:
            others = [each for each in self._log.artifacts if each.name != called]
            self._change(artifacts=(*others, logged))

    def register(
        self,
        estimator: Any = None,
        *,
        onnx: bytes | Path | str | None = None,
        frame: pd.DataFrame | None = None,
        features: Sequence[str] | None = None,
        categories: Mapping[str, Sequence[str]] | None = None,
        classes: Sequence[str] = (),
        output: str = "",
        reason: str = "",
        seconds: float = 3600.0,
        quiet: bool = False,
    ) -> Outcome:
        """Put a model before the same gate that the model's own candidates pass, and wait for what it says.

        It is judged on held-out rows against the champion; if it passes it is registered and deployed like any other.

        Parameters
        ----------
        estimator : object
            A fitted scikit-learn estimator of a kind that the system trains itself, or anything with ``to_onnx()``.
        onnx : bytes, Path or str
            Instead of it, an ONNX file or its bytes: one input, a matrix of float or double.
        frame : DataFrame
            The rows that it learnt from, such as ``client.training_frame(model)``; of rows with a column ``part`` those
            of ``train``. By them its baseline is counted, an estimator compared with its ONNX file, and it is made sure
            that it did not learn from what judges it. An estimator needs them.
        features : sequence of str
            Names of the columns that it reads, in its order, such as ``flat__area``; by default those that an estimator
            was fitted with, else all of the model's.
        categories : mapping
            Of categorical features, the values whose places it was given (`perennial.encoding.encode`).
        classes : sequence of str
            Of a model of several classes, what its columns of probabilities stand for.
        output : str
            Which output of the ONNX file is meant, if it has several.
        reason : str
            Why, for the record.
        seconds : float
            How long to wait.
        quiet : bool
            Whether to tell of no step on standard error.

        Raises
        ------
        DataError
            The model cannot be judged; the message says why.
        TransientError
            The gate did not speak in time; the run goes on.
        """
        from perennial.client.submitting import follow, prepared, submitted

        definition = self._ports.definitions.model(self.model)
        submission, artifact = prepared(
            definition,
            self._log,
            estimator,
            onnx,
            frame=frame,
            features=features,
            categories=categories or {},
            classes=tuple(classes),
            output=output,
        )
        made = submitted(self._ports, self._operator, submission, artifact, reason)
        self._submitted(made.submission, made.run_id)
        outcome = follow(self._ports.catalog, made.run_id, seconds, quiet)
        self._submitted(made.submission, made.run_id, outcome.version, outcome.passed)
        return outcome

    def close(self, error: str | None = None) -> None:
        """End the run: as failed if there is an error. What is closed already stays as it is."""
        with self._lock:
            if not self._open:
                return
            self._write()
            self._open = False
            status = "succeeded" if error is None else "failed"
            self._ports.catalog.finish_run(
                self.run_id,
                status,
                self._ports.clock.now(),
                None if error is None else error[:_ERROR],
                outputs(self._log),
            )

    def _submitted(self, submission: str, run_id: str, version: int | None = None, passed: bool | None = None) -> None:
        entry = Submitted(submission=submission, run_id=run_id, version=version, passed=passed)
        with self._lock:
            others = [each for each in self._log.submitted if each.run_id != run_id]
            self._log = self._log.model_copy(update={"submitted": (*others, entry)})
            self._write()

    def _require_open(self) -> None:
        if not self._open:
            raise ConflictError(f"experiment {self.run_id} is closed; log within its block, or begin another one")

    def _change(self, lines: Sequence[str] = (), **changes: Any) -> None:
        """Take in what was logged, and write it down if it is time."""
        self._require_open()
        log = self._log.model_copy(update=changes)
        size = len(log.model_dump_json().encode())
        if size > LOG_BYTES:
            raise DataError(
                f"experiment {self.run_id}: parameters, names of metrics and of files take {size:,} bytes, and "
                f"{LOG_BYTES:,} are kept; log what is long as a file"
            )
        self._log = log
        self._points.extend(lines)
        now = self._ports.clock.now()
        if len(self._points) >= POINTS_PER_CHUNK or _is_time(self._started, self._written, now):
            self._write()

    def _write(self) -> None:
        """Write the points, then the record that says how many objects of them there are."""
        if self._points:
            key = keys.experiment_points(self.model, self.run_id, self._log.chunks)
            self._ports.artifacts.put(key, "".join(f"{line}\n" for line in self._points).encode())
            self._log = self._log.model_copy(update={"chunks": self._log.chunks + 1})
            self._points = []
        self._ports.catalog.record_experiment(self._log)
        self._written = self._ports.clock.now()


def _is_time(started: datetime, written: datetime, now: datetime) -> bool:
    pause = min(max((now - started).total_seconds() / 100, _SHORTEST), _LONGEST)
    return (now - written).total_seconds() >= pause


def _plain(value: Any) -> bool | int | float | str | None:
    """Return a parameter as it is kept: a number of numpy's as Python's, what JSON has no type for as text."""
    if hasattr(value, "item") and getattr(value, "size", 1) == 1:
        value = value.item()
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)
