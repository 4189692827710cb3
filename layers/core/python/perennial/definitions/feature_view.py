"""A feature view: one SELECT that makes features."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from perennial.definitions.base import Definition, Length, Name


class FeatureView(Definition):
    """One SELECT that makes features (``features/<name>.sql``); its comment header fills the fields."""

    name: Name
    """The file's name."""
    kind: Literal["request", "stored"]
    """``request``: row by row, from the request itself. ``stored``: aggregates over time, kept by entity."""
    dataset: Name
    """The dataset that the SELECT reads; it is the table's name in the SQL."""
    reads: tuple[str, ...] = ()
    """Other datasets and stored views that the SELECT reads, each a table of that name (stored views)."""
    window: Length | None = None
    """How far back the SELECT looks from a feature time; None means to the beginning (stored views)."""
    entity: tuple[str, ...] = ()
    """Columns that identify whose features these are, in the view and in the dataset alike (stored views)."""
    feature_time: str | None = None
    """Column of the view that says when a value became known (stored views)."""
    ttl: Length | None = None
    """Age beyond which a stored value counts as missing; None means never."""
    description: str = ""
    """For people."""
    sql: str = Field(min_length=1)
    """The SELECT, without the comment header."""

    @model_validator(mode="after")
    def _stored_views_say_whose_and_when(self) -> FeatureView:
        if self.kind == "stored" and not (self.entity and self.feature_time):
            raise ValueError("a stored view needs the header lines `-- entity:` and `-- feature_time:`")
        if self.kind == "request" and (self.entity or self.feature_time or self.ttl or self.reads or self.window):
            raise ValueError("entity, feature_time, ttl, reads and window belong to stored views only")
        return self
