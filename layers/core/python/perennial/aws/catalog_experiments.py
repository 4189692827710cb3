"""What experiments have logged, on DynamoDB."""

from __future__ import annotations

from perennial import keys
from perennial.aws.table import Table, item
from perennial.errors import NotFoundError
from perennial.records import ExperimentLog


class Experiments:
    """The part of the catalog that remembers what people tried; all of a model's stand in one partition."""

    _table: Table

    def record_experiment(self, log: ExperimentLog) -> None:
        """Remember what an experiment has logged so far (the latest write stands)."""
        self._table.put(item(keys.experiment(log.model, log.run_id), log))

    def experiment(self, model: str, run_id: str) -> ExperimentLog:
        """Return what an experiment has logged, or raise NotFoundError."""
        found = self._table.get(keys.experiment(model, run_id))
        if found is None:
            raise NotFoundError(f"model {model!r} has no experiment {run_id!r}")
        return ExperimentLog.model_validate_json(found["body"]["S"])

    def experiments(self, model: str) -> list[ExperimentLog]:
        """Return what each experiment on a model has logged, in the order of their ids."""
        found = self._table.query(keys.experiment(model))
        return [ExperimentLog.model_validate_json(entry["body"]["S"]) for entry in found]
