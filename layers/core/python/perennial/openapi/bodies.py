"""What a caller sends and gets where bodies are read and written without pydantic: the same formats, as models.

`perennial.serving.payload` reads them; that it takes what these take, and nothing else, is tested over both.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, RootModel

from perennial.serving.logged import Route
from perennial.serving.payload import MAX_ROWS
from perennial.serving.tensors import DATATYPES, OUTPUTS

Scalar = bool | int | float | str | None
Row = Annotated[dict[str, Scalar], Field(description="Column to value: a number, a text, true, false or null.")]
Rows = Annotated[list[Row], Field(min_length=1, max_length=MAX_ROWS)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Instances(_Body):
    """Rows to predict."""

    instances: Rows
    explain: bool = Field(
        default=False, description="Whether it is said how each prediction came about; of 100 rows at most."
    )


class Records(_Body):
    """Rows to predict, as MLflow takes them."""

    dataframe_records: Rows
    explain: bool = False


class Split(_Body):
    """Column names once, then the values of each row."""

    columns: list[str] = Field(min_length=1)
    data: list[list[Scalar]] = Field(min_length=1, max_length=MAX_ROWS)
    index: list[Any] | None = Field(default=None, description="Of a pandas frame, an entry a row; not looked at.")


class SplitFrame(_Body):
    """Rows to predict, as MLflow takes them from ``DataFrame.to_dict("split")``."""

    dataframe_split: Split
    explain: bool = False


class PredictRequest(RootModel[Instances | Records | SplitFrame]):
    """Rows to predict, in one of three formats."""


class Explanation(BaseModel):
    """How a prediction came about: ``base`` and all contributions add up to the model's raw score of the row."""

    scale: str = Field(description="What the raw score is: target, log (of the target), log_odds or probability.")
    base: float | dict[str, float] = Field(description="The raw score of a row of which nothing is known.")
    contributions: dict[str, float] | dict[str, dict[str, float]] = Field(
        description="Feature to what its value adds; of several classes, class to its own."
    )


class Prediction(BaseModel):
    """The answer for one row."""

    prediction_id: str = Field(description="What feedback is given under.")
    value: float = Field(description="In the target's unit; of a classifier the probability of true, or of label.")
    label: bool | str | None = Field(default=None, description="What a classifier says.")
    probabilities: dict[str, float] | None = Field(default=None, description="Of several classes.")
    missing: list[str] | None = Field(default=None, description="Features that the model has no value of.")
    explanation: Explanation | None = Field(default=None, description="If it was asked for.")


class Answer(BaseModel):
    """The answer for a request."""

    model: str
    version: int = Field(description="The version that answered.")
    route: Route = Field(description="Why: it serves; it serves a share; the caller named it.")
    predictions: list[Prediction]


class FrameAnswer(BaseModel):
    """The answer for a request in a format of MLflow: a list for each column."""

    model: str
    version: int
    route: Route
    predictions: list[float | bool | str] = Field(description="The values, of a classifier the labels.")
    prediction_ids: list[str] = Field(description="What feedback is given under.")
    probabilities: list[float | dict[str, float]] | None = Field(default=None, description="Of a classifier.")
    missing: list[list[str]] | None = Field(default=None, description="Features that the model has no value of.")
    explanations: list[Explanation] | None = Field(default=None, description="If they were asked for.")


class PredictAnswer(RootModel[Answer | FrameAnswer]):
    """The answer for a request, in the shape in which it was asked."""


class Label(_Body):
    """What turned out to be true of one prediction."""

    prediction_id: str
    label: bool | float | str


class FeedbackRequest(_Body):
    """What turned out to be true."""

    labels: list[Label] = Field(min_length=1, max_length=MAX_ROWS)


class InferTensor(_Body):
    """A column of the rows."""

    name: str
    shape: list[Annotated[int, Field(ge=1)]] = Field(
        min_length=1, max_length=2, description="[rows] or [rows, 1], the same for every tensor."
    )
    datatype: str = Field(json_schema_extra={"enum": list(DATATYPES)})
    parameters: dict[str, Any] | None = None
    data: list[Scalar | Annotated[list[Scalar], Field(min_length=1, max_length=1)]] = Field(
        min_length=1, max_length=MAX_ROWS, description="A value for each row, null for a missing one."
    )


class InferOutputAsked(_Body):
    """A tensor that is asked for."""

    name: str = Field(json_schema_extra={"enum": list(OUTPUTS)})
    parameters: dict[str, Any] | None = None


class InferRequest(_Body):
    """Rows to predict, as tensors: one for each column."""

    id: str | None = None
    parameters: dict[str, Any] | None = None
    inputs: list[InferTensor] = Field(min_length=1)
    outputs: list[InferOutputAsked] | None = None


class InferOutput(BaseModel):
    """A tensor of the answer."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]
    parameters: dict[str, Any] | None = None


class InferAnswer(BaseModel):
    """The answer for a request of tensors."""

    id: str | None = None
    model_name: str
    model_version: str
    outputs: list[InferOutput]
    parameters: dict[str, Any] | None = None


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="about:blank: the title says all.")
    title: str
    status: int | None = None
    detail: str = Field(description="One sentence: what is wrong and how to mend it.")
    field: str | None = Field(default=None, description="Where in the request the fault stands.")
