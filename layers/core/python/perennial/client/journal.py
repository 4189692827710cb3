"""The part of the client that keeps experiments: beginning one, and comparing those that there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from perennial.client import comparing
from perennial.client.experiments import Experiment, Operator
from perennial.errors import NotFoundError
from perennial.ports import Ports
from perennial.records import ExperimentLog

if TYPE_CHECKING:  # loaded by the first frame
    import pandas as pd


class Journal:
    """A deployment's experiments.

    Parameters
    ----------
    ports : Ports
        The deployment's stores.
    operator : Operator or None
        Who uses it; without one nothing is begun.
    """

    def __init__(self, ports: Ports, operator: Operator | None = None) -> None:
        self._ports = ports
        self._operator = operator

    def experiment(self, model: str, name: str = "") -> Experiment:
        """Begin an experiment on a model: a run of its own, which ends with the block or with ``close()``.

        Parameters
        ----------
        model : str
            What it is about; the model must be defined, not trained.
        name : str
            In words, what is tried.

        Raises
        ------
        NotFoundError
            There is no such model.

        >>> with client.experiment("fare", name="a constant") as run:
        ...     run.log_params({"guess": 20})
        ...     run.log_metrics({"mae": 7.5})
        >>> client.experiments("fare")[["name", "status", "params.guess", "metrics.mae"]]
                 name     status  params.guess  metrics.mae
        0  a constant  succeeded            20          7.5
        """
        return Experiment(self._ports, self._who(), model, name)

    def experiments(self, model: str) -> pd.DataFrame:
        """Return a model's experiments, the newest first, to compare.

        A line has ``run_id``, ``name``, ``status`` (``running`` also if its process died), ``person``, ``started_at``,
        ``seconds``, ``commit``, ``dirty``, the ``version`` that came of it, and a column for each parameter
        (``params.rate``) and the latest value of each metric (``metrics.mae``) of any of them.
        """
        import pandas as pd

        self._ports.definitions.model(model)
        rows = [comparing.row(run, log) for run, log in comparing.experiments(self._ports, model)]
        return pd.DataFrame(rows, columns=None if rows else list(comparing.COLUMNS))

    def champion(self, model: str) -> int | None:
        """Return the version of a model that serves; None if there is none."""
        champion = self._ports.catalog.champion(model)
        return None if champion is None else champion.version

    def metrics(self, run_id: str) -> pd.DataFrame:
        """Return all values of an experiment's metrics as they were logged: metric, step, value and at."""
        import pandas as pd

        found = pd.DataFrame(
            comparing.points(self._ports, self._logged(run_id)), columns=["metric", "step", "value", "at"]
        )
        return found.assign(at=pd.to_datetime(found["at"]))

    def artifact(self, run_id: str, name: str, path: Path | str | None = None) -> Path:
        """Copy a file that an experiment logged to a path, by default its name in this folder; return the path."""
        return comparing.fetch(self._ports, self._logged(run_id), name, Path(path or Path(name).name))

    def close_experiment(self, run_id: str, reason: str = "its process ended without a word") -> None:
        """Close an experiment whose process died, as failed; a closed one stays as it is."""
        log, sentence = self._logged(run_id), f"{reason} (closed by {self._who().person})"
        self._ports.catalog.finish_run(run_id, "failed", self._ports.clock.now(), sentence, comparing.outputs(log))

    def _who(self) -> Operator:
        if self._operator is None:
            raise NotFoundError("this client knows nobody to log for; make it with perennial.client.connect()")
        return self._operator

    def _logged(self, run_id: str) -> ExperimentLog:
        run = self._ports.catalog.run(run_id)
        if run.kind != "experiment":
            raise NotFoundError(f"run {run_id} is no experiment, but of kind {run.kind}")
        return self._ports.catalog.experiment(run.subject, run_id)
