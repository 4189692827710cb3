"""Taking over what an earlier run made of the very same inputs, and saying what was not the same where it cannot be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from perennial.definitions import Candidate, Model
from perennial.errors import DataError, NotFoundError
from perennial.ports import Ports
from perennial.records import Made, Run, TrainingSet
from perennial.steps.recording import StepOutput

_NOT_FOR_TRAINING = {
    "name", "description", "candidates", "search", "gate", "approval", "approval_timeout", "intended_use",
    "limitations", "monitor", "retrain",
}  # fmt: skip
"""Keys of a model's definition that nothing that is trained depends on; a key that is not named here counts."""
_NOT_FOR_ROWS = {*_NOT_FOR_TRAINING, "metric", "seed"}
_OF_ROWS = {"training_set_id", "train_key", "holdout_key", "features", "categories", "classes", "slices", "split_at"}
"""What a candidate sees of a training set; the keys bear the files' SHA-256."""
_OF_CANDIDATE = "candidate."
_OF_MODEL = "model."
_WORDS = {
    "code": "the code was deployed anew",
    "estimators": "the code of custom estimators changed",
    "libraries": "versions of libraries changed",
    "snapshots": "the snapshots changed",
    "reach": "how far candidates look back changed",
    "contract": "the dataset's contract changed",
    "views": "the definition of a feature view changed",
    "tables": "the tables of stored views changed",
    "training_set": "the training set changed",
}


@dataclass(frozen=True)
class Work:
    """A step with everything that its output depends on."""

    run: Run
    step: str
    """As in `StepRecord`."""
    depends_on: Mapping[str, Any]
    """Name to JSON value."""

    @cached_property
    def inputs(self) -> dict[str, str]:
        """Name to the SHA-256 of its value."""
        return {name: _digest(value) for name, value in sorted(self.depends_on.items())}

    @cached_property
    def key(self) -> str:
        """SHA-256 of the step's name and all inputs."""
        return _digest([self.step, self.inputs])


def training_set_depends_on(
    model: Model, contract: str, snapshots: list[list[str]], views: Mapping[str, str], tables: Mapping[str, str]
) -> dict[str, Any]:
    """Return what the rows of a training set depend on, the code apart.

    Parameters
    ----------
    contract : str
        Fingerprint of the dataset.
    snapshots : list of [id, SHA-256 of the manifest]
        What is read.
    views : mapping
        Each view that the model reads to its version.
    tables : mapping
        Stored view to its table's manifest.
    """
    return {
        **{f"{_OF_MODEL}{name}": value for name, value in _keys(model, _NOT_FOR_ROWS).items()},
        "reach": None if model.reach is None else model.reach.total_seconds(),
        "contract": contract,
        "snapshots": sorted(snapshots),
        "views": dict(views),
        "tables": dict(tables),
    }


def training_depends_on(
    model: Model, candidate: Candidate, training_set: TrainingSet, libraries: Mapping[str, str]
) -> dict[str, Any]:
    """Return what a trained candidate depends on, the code apart.

    Parameters
    ----------
    candidate : Candidate
        As it is trained: with the parameters that a search chose, if there was one.
    training_set : TrainingSet
        Of which only the rows count, and what their columns mean: what they were made from does not.
    libraries : mapping
        Library to version.
    """
    return {
        **{f"{_OF_MODEL}{name}": value for name, value in _keys(model, _NOT_FOR_TRAINING).items()},
        **{f"{_OF_CANDIDATE}{name}": value for name, value in _keys(candidate, {"space"}).items()},
        "training_set": training_set.model_dump(mode="json", include=_OF_ROWS),
        "libraries": dict(libraries),
    }


def reuse(ports: Ports, work: Work, output: StepOutput, take: Callable[[Made], None]) -> bool:
    """Fill a step's output with what an earlier run made of the same inputs; say why if there is none; tell which.

    A repeated step finds what it made itself before it was killed.

    Parameters
    ----------
    take : callable
        Makes sure that the files of what was made are there and unaltered, and brings them where they belong.
        A NotFoundError or DataError of it means that the work is done again.
    """
    if work.run.trigger.no_cache:
        output.why = "ran: it was asked to do all work anew"
        return False
    made = ports.catalog.remembered(work.run.subject, work.step, work.key)
    if made is None:
        output.why = _difference(work, ports.catalog.remembered(work.run.subject, work.step))
        return False
    own = made.run_id == work.run.run_id
    try:
        take(made)
    except NotFoundError:
        output.why = made.why if own else f"ran: run {made.run_id} did the same, but a file of it is gone"
        return False
    except DataError as error:
        output.why = made.why if own else f"ran: run {made.run_id} did the same, but {error}"
        return False
    output.update(made.output)
    output.reused_from = None if own else made.run_id
    output.why = made.why if own else f"reused from run {made.run_id}: same inputs, definition and code"
    return True


def remember(ports: Ports, work: Work, output: StepOutput) -> None:
    """Write down what a step made, for the runs after this one."""
    ports.catalog.remember(
        Made(
            subject=work.run.subject,
            step=work.step,
            key=work.key,
            inputs=work.inputs,
            run_id=work.run.run_id,
            why=output.why,
            output=dict(output),
            at=ports.clock.now(),
        )
    )


def _difference(work: Work, last: Made | None) -> str:
    """Say why a step has to run: what is not as it was when its work was last done."""
    if last is None:
        return "ran: no earlier run had these inputs"
    names = sorted(work.inputs.keys() | last.inputs.keys())
    changed = [_words(name) for name in names if work.inputs.get(name) != last.inputs.get(name)]
    return f"ran: {', '.join(dict.fromkeys(changed))} since run {last.run_id}"


def _words(name: str) -> str:
    if name in _WORDS:
        return _WORDS[name]
    owner, _, key = name.partition(".")
    return f"the {owner}'s {key} changed"


def _keys(definition: Model | Candidate, without: set[str]) -> dict[str, Any]:
    values = definition.model_dump(mode="json", exclude=without)
    # Of all mappings of a definition this one has an order that counts: that of the columns.
    return {name: list(value.items()) if name == "features" else value for name, value in values.items()}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
