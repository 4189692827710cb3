"""What a version needs of a request and of the online store, from the definitions that it was trained by."""

from __future__ import annotations

from dataclasses import dataclass

from perennial.data.views.columns_read import columns_read
from perennial.definitions import Column, Dataset, FeatureView
from perennial.definitions.files import Definitions
from perennial.manifest import RequestView, StoredView


@dataclass(frozen=True)
class Signature:
    """The part of a manifest that says where feature values come from."""

    request: RequestView | None
    stored: tuple[StoredView, ...]
    inputs: dict[str, Column]
    ignored: tuple[str, ...]
    event_time: str | None
    null: tuple[str, ...]


def signature(definitions: Definitions, model: str) -> Signature:
    """Derive a model's signature; inputs stand in the order of the dataset's columns."""
    definition = definitions.model(model)
    dataset = definitions.dataset(definition.dataset)
    views = [(definitions.view(name), columns) for name, columns in definition.features.items()]
    request = next((_request(view, columns, dataset) for view, columns in views if view.kind == "request"), None)
    stored = tuple(
        _stored(view, columns, definitions.view_version(view.name)) for view, columns in views if view.kind == "stored"
    )
    needed = _needed([view for view, _ in views], dataset)
    optional = {dataset.event_time} - needed if stored else set()
    inputs = {name: column for name, column in dataset.columns.items() if name in needed | optional}
    # Stored values are looked up as of a row's event time; a request that does not say it means now.
    inputs |= {name: inputs[name].model_copy(update={"nullable": True}) for name in optional}
    return Signature(
        request=request,
        stored=stored,
        inputs=inputs,
        ignored=tuple(name for name in dataset.columns if name not in inputs),
        event_time=dataset.event_time if dataset.event_time in inputs else None,
        null=dataset.null,
    )


def _needed(views: list[FeatureView], dataset: Dataset) -> set[str]:
    needed: set[str] = set()
    for view in views:
        needed.update(columns_read(view, dataset.columns) if view.kind == "request" else view.entity)
    return needed


def _request(view: FeatureView, columns: tuple[str, ...], dataset: Dataset) -> RequestView:
    read = tuple(columns_read(view, dataset.columns))
    return RequestView(name=view.name, table=dataset.name, sql=view.sql, columns=columns, reads=read)


def _stored(view: FeatureView, columns: tuple[str, ...], version: str) -> StoredView:
    return StoredView(
        name=view.name,
        version=version,
        entity=view.entity,
        columns=columns,
        ttl_seconds=view.ttl.total_seconds() if view.ttl else None,
    )
