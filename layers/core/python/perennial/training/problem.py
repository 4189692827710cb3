"""What is to be learnt: the task, and what each feature and the target are. Without scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from perennial.definitions import Model, Task
from perennial.definitions.files import Definitions
from perennial.manifest import feature_column
from perennial.records import TrainingSet


@dataclass(frozen=True)
class Problem:
    """What an estimator has to know of a training set beside its rows. Features are named by their places."""

    task: Task = "regression"
    categorical: Mapping[int, int] = field(default_factory=dict)
    """Place of each categorical feature to the number of its categories; its values are 0 to that number less 1, NaN
    for any other (`perennial.encoding`)."""
    boolean: frozenset[int] = frozenset()
    """Places of the features that are 0 or 1. All others are numbers."""
    classes: int = 0
    """Of the task ``multiclass``: how many there are; the target is a place among them."""
    estimators: Path | None = None
    """The definitions folder, from which custom estimators are imported."""


def problem_of(model: Model, training_set: TrainingSet, definitions: Definitions) -> Problem:
    """Return the problem that a model and the rows for it pose.

    A feature that has categories is categorical; of the others, `Model.preprocessing` says which are boolean.
    """
    said = {feature_column(*name.split(".", 1)): kind for name, kind in model.preprocessing.items()}
    places = list(enumerate(training_set.features))
    return Problem(
        task=model.task,
        categorical={place: len(training_set.categories[name]) for place, name in places
                     if training_set.categories.get(name)},
        boolean=frozenset(place for place, name in places
                          if said.get(name) == "boolean" and name not in training_set.categories),
        classes=len(training_set.classes) if model.task == "multiclass" else 0,
        estimators=definitions.estimators.folder,
    )  # fmt: skip
