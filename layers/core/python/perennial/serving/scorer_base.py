"""What every scorer does alike: from raw sums to answers, and one row or many.

A row is scored in plain Python, many rows with numpy, and both give the same bits: each scorer has one order of
additions, and the last step, from raw sums to an answer, is the same Python function in both (numpy's ``exp`` and
`math.exp` differ in the last bit).
"""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from perennial.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Matrix = npt.NDArray[np.float64]

Scale = Literal["target", "log", "log_odds", "probability"]
Link = Literal["identity", "exp", "sigmoid", "softmax"]
_BULK = {True: 1_000, False: 100_000}
"""Rows times trees, or times columns, from which on numpy scores: if it is imported already, where it is faster; if
not, where the import (about 100 ms) has paid after some five calls of that size."""


class Contributions(NamedTuple):
    """How a row's raw score comes about: ``base`` plus the values of all features is the raw score.

    Of several classes, the raw score of each has a base and values of its own, in the order of ``classes``.
    """

    scale: Scale
    """What the raw score is: the target, its logarithm, log-odds (of several classes: what softmax takes), or a
    probability."""
    base: tuple[float, ...]
    """The raw score that is expected of a row of which nothing is known: one number, or one for each class."""
    values: tuple[tuple[float, ...], ...]
    """For each base, a value for each feature."""
    classes: tuple[int, ...] = ()
    """Of the task ``multiclass``: places of the classes that base and values belong to. A class that was not seen in
    training has none; if two alone were seen, there is one raw score, that of the second."""


class Form(NamedTuple):
    """What a scorer reads and answers."""

    features: int
    outputs: int
    """1 of a regression and of a binary task, else the number of classes."""
    seen: tuple[int, ...]
    """Places of the classes that the training rows had; none of a regression."""
    link: Link
    scale: Scale

    @classmethod
    def read(cls, header: Mapping[str, Any]) -> Form:
        """Return the form that a header says, or raise DataError if it makes no sense."""
        said: list[Any] = [header.get(name) for name in ("link", "scale", "seen")]
        link, scale, seen = said
        known = link in list(_LINKS) and scale in ("target", "log", "log_odds", "probability")
        if not known or not isinstance(seen, list) or any(type(place) is not int for place in seen):
            raise unreadable("link, scale or classes make no sense")
        form = cls(whole(header, "features", 1), whole(header, "outputs", 1), tuple(seen), link, scale)
        if seen != sorted(set(seen)) or (form.outputs > 1 and not seen):
            raise unreadable("its classes make no sense")
        if form.outputs > 1 and (form.seen[0] < 0 or form.seen[-1] >= form.outputs):
            raise unreadable(f"it has a class that is none of {form.outputs}")
        return form

    @property
    def raws(self) -> int:
        """How many raw sums a row has."""
        return len(self.seen) if self.outputs > 1 and len(self.seen) > 2 else 1


class Served(Protocol):
    """What scorers read of a manifest."""

    @property
    def model(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def task(self) -> str: ...
    @property
    def features(self) -> Sequence[str]: ...
    @property
    def classes(self) -> Sequence[str]: ...
    @property
    def files(self) -> Mapping[str, str]: ...
    @property
    def onnx_input(self) -> str: ...
    @property
    def onnx_output(self) -> str: ...


class Scorer(Protocol):
    """What predicts rows of a version."""

    def score(self, rows: Sequence[Sequence[float]]) -> list[float] | list[list[float]]:
        """Predict each row.

        Parameters
        ----------
        rows : sequence of sequences
            Features in the manifest's order; of a categorical one its place; NaN stands for a missing value.

        Returns
        -------
        list
            Of a regression numbers in the target's unit, of a binary task probabilities of ``true``; of several
            classes a list of probabilities for each row.

        Raises
        ------
        DataError
            A row has another number of features than the model reads.
        """

    def score_matrix(self, matrix: Matrix) -> Matrix:
        """Predict each row of a float64 matrix (n, features): shape (n,), of several classes (n, classes).

        The numbers are those of `score`, bit for bit.
        """

    def contributions(self, row: Sequence[float]) -> Contributions:
        """Return how much each feature's value adds to the raw score of a row.

        Raises
        ------
        NotFoundError
            The version has no flat file.
        """


class FlatScorer(ABC):
    """What predicts by a flat file: one row in microseconds, many with numpy, the same bits in both."""

    form: Form
    steps: int
    """How much a row costs: trees, or columns."""

    @abstractmethod
    def __init__(self, header: Mapping[str, Any], arrays: Mapping[str, array[Any]]) -> None: ...

    def score(self, rows: Sequence[Sequence[float]]) -> list[float] | list[list[float]]:
        """Predict each row, with numpy if they are many."""
        for row in rows:
            self._require_width(row)
        if len(rows) * self.steps >= _BULK["numpy" in sys.modules]:
            import numpy as np

            found: list[Any] = self.score_matrix(np.array(rows, dtype=np.float64)).tolist()
            return found
        answer = answering(self.form)
        return [answer(self.raw(row)) for row in rows]

    def score_matrix(self, matrix: Matrix) -> Matrix:
        """Predict each row of a matrix; the numbers are those of `score`, bit for bit."""
        import numpy as np

        if matrix.ndim != 2 or matrix.shape[1] != self.form.features:
            raise DataError(f"a matrix has the shape {matrix.shape}, but the model reads {self.form.features} features")
        # What overflows is infinite or NaN in Python too, where nobody warns.
        with np.errstate(over="ignore", invalid="ignore"):
            raw = self.raw_matrix(np.ascontiguousarray(matrix, dtype=np.float64))
        if self.form.link == "identity" and self.form.outputs == 1:
            return raw[:, 0]
        answer = answering(self.form)
        shape = (len(raw), self.form.outputs) if self.form.outputs > 1 else (len(raw),)
        return np.array([answer(each) for each in raw.tolist()], dtype=np.float64).reshape(shape)

    @abstractmethod
    def raw(self, row: Sequence[float]) -> list[float]:
        """Return the raw sums of a row."""

    @abstractmethod
    def raw_matrix(self, matrix: Matrix) -> Matrix:
        """Return the raw sums of rows, shape (n, `Form.raws`)."""

    def contributions(self, row: Sequence[float]) -> Contributions:
        """Return how much each feature's value adds to the raw score of a row."""
        self._require_width(row)
        base, values = self.explained(row)
        # Of two classes, the one raw score is that of the second.
        classes = self.form.seen[-len(base) :] if self.form.outputs > 1 else ()
        return Contributions(self.form.scale, base, values, classes)

    @abstractmethod
    def explained(self, row: Sequence[float]) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
        """Return ``base`` and ``values`` of a row's `Contributions`."""

    def _require_width(self, row: Sequence[float]) -> None:
        if len(row) != self.form.features:
            raise DataError(f"a row has {len(row)} features, but the model reads {self.form.features}")


def unreadable(why: str) -> DataError:
    """Return the error of a flat file that cannot be used."""
    return DataError(f"model.flat: {why}; train and register again")


def whole(header: Mapping[str, Any], name: str, least: int) -> int:
    """Return a whole number of a header, or raise DataError if there is none or it is too small."""
    value = header.get(name)
    if type(value) is not int or value < least:
        raise unreadable(f"its {name} is {value!r}")
    return value


def answering(form: Form) -> Callable[[list[float]], Any]:
    """Return the function from the raw sums of a row to its answer: a number, or a list with one for each class."""
    link = _LINKS[form.link]
    if form.outputs == 1:
        return lambda raw: link(raw)[0]
    if form.raws == 1:
        return lambda raw: _placed(_both(link(raw)[0]), form)
    return lambda raw: _placed(link(raw), form)


def _both(probability: float) -> list[float]:
    return [1.0 - probability, probability]


def _placed(probabilities: list[float], form: Form) -> list[float]:
    if len(form.seen) == form.outputs:
        return probabilities
    placed = [0.0] * form.outputs
    for place, probability in zip(form.seen, probabilities, strict=True):
        placed[place] = probability
    return placed


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _identity(raw: list[float]) -> list[float]:
    return raw


def _exponential(raw: list[float]) -> list[float]:
    return [_exp(raw[0])]


def _sigmoid(raw: list[float]) -> list[float]:
    return [1.0 / (1.0 + _exp(-raw[0]))]


def _softmax(raw: list[float]) -> list[float]:
    largest = max(raw)
    powers = [_exp(each - largest) for each in raw]
    # Not sum(): it compensates for rounding in some versions of Python and not in others.
    total = 0.0
    for power in powers:
        total += power
    return [power / total for power in powers]


_LINKS: dict[str, Callable[[list[float]], list[float]]] = {
    "identity": _identity,
    "exp": _exponential,
    "sigmoid": _sigmoid,
    "softmax": _softmax,
}
