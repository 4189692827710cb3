"""What the prediction log may keep of a version's requests, from the tags of the dataset's columns."""

from __future__ import annotations

from perennial.data.views.copied_columns import copied_columns
from perennial.definitions.files import Definitions
from perennial.manifest import Kept, feature_column


def kept_of(definitions: Definitions, model: str) -> Kept:
    """Derive what is kept: all inputs but those with a tag that the model masks, and no feature that is one of them.

    A feature that is computed from a masked column otherwise is kept, for drift is seen by it alone.
    """
    definition = definitions.model(model)
    columns = definitions.dataset(definition.dataset).columns
    masked = {name for name, column in columns.items() if set(column.tags) & set(definition.log.mask)}
    features = []
    for name, chosen in definition.features.items():
        view = definitions.view(name)
        if masked and view.kind == "request":
            copies = {copy.lower(): column for copy, column in copied_columns(view, columns).items()}
            features += [feature_column(name, column) for column in chosen if copies.get(column.lower()) in masked]
    return Kept(
        sample=definition.log.sample,
        masked_inputs=tuple(name for name in columns if name in masked),
        masked_features=tuple(features),
    )
