"""The definitions of a model as they were when a run began: an object that the run's record names."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from perennial import keys
from perennial.definitions import Dataset, FeatureView, Model
from perennial.definitions.base import Definition
from perennial.definitions.files import ESTIMATORS, Definitions, Estimators, read_estimators
from perennial.errors import DataError, NotFoundError
from perennial.ports import Ports
from perennial.records import Run
from perennial.steps.verified import read_verified


def as_json(definitions: Definitions, model: str) -> dict[str, dict[str, Any]]:
    """Return a model with all views and datasets that it depends on, as JSON values by kind and name."""
    found = definitions.model(model)
    views: dict[str, Definition] = {}
    datasets: dict[str, Definition] = {found.dataset: definitions.dataset(found.dataset)}
    waiting = list(found.features)
    while waiting:
        view = definitions.view(waiting.pop())
        views[view.name] = view
        datasets.update({dataset.name: dataset for dataset in definitions.datasets_of(view.name)})
        waiting += [read.name for read in definitions.reads(view.name)[1]]
    kinds: dict[str, dict[str, Definition]] = {"datasets": datasets, "views": views, "models": {found.name: found}}
    written = {
        kind: {name: table[name].model_dump(mode="json") for name in sorted(table)} for kind, table in kinds.items()
    }
    modules = _estimators(definitions, found)
    return {**written, "estimators": modules} if modules else written


def _estimators(definitions: Definitions, model: Model) -> dict[str, str]:
    """Return the modules of custom estimators with their text, if the model uses any of them."""
    folder = definitions.estimators.folder
    own = any((candidate.estimator or "").startswith(f"{ESTIMATORS}.") for candidate in model.candidates)
    if folder is None or not own:
        return {}
    return {name: (folder / ESTIMATORS / name).read_bytes().decode() for name in definitions.estimators.sha256}


def keep(ports: Ports, model: str) -> dict[str, str]:
    """Write a model's definitions down, unless they are there; return the object's key and SHA-256."""
    # In the order in which they were written: that of a model's features is the order of its columns. (A fingerprint
    # does not know of it, so it is no name for this content.)
    content = json.dumps(as_json(ports.definitions, model), separators=(",", ":")).encode()
    sha256 = hashlib.sha256(content).hexdigest()
    key = keys.definitions(sha256)
    if not ports.artifacts.exists(key):
        ports.artifacts.put(key, content, "application/json")
    return {"key": key, "sha256": sha256}


def kept(ports: Ports, run: Run, folder: Path) -> Definitions:
    """Return a model's definitions as a training run found them.

    Parameters
    ----------
    folder : Path
        Where the modules of its custom estimators are written; made if there are any.

    Raises
    ------
    DataError
        The run is from before they were kept, or the object is another one, or this code reads it in another sense.
    """
    place = run.inputs.get("definitions")
    if not isinstance(place, dict):
        raise DataError(f"run {run.run_id} began before definitions were kept; train the model again")
    try:
        content = json.loads(read_verified(ports.artifacts, place["key"], place["sha256"]))
    except NotFoundError:
        raise DataError(f"s3://{ports.artifacts.bucket}/{place['key']} is gone: nobody knows what run {run.run_id} "
                        "was told to learn") from None  # fmt: skip
    try:
        found = Definitions(
            {name: Dataset.model_validate(value) for name, value in content["datasets"].items()},
            {name: FeatureView.model_validate(value) for name, value in content["views"].items()},
            {name: Model.model_validate(value) for name, value in content["models"].items()},
            _written(content.get("estimators", {}), folder),
        )
    except ValidationError as error:
        raise DataError(
            f"the definitions of run {run.run_id} are none that this code takes: {error.errors()[0]['msg']}; deploy "
            f"the code of version {run.code_version} to make it again"
        ) from None
    return found


def _written(modules: dict[str, str], folder: Path) -> Estimators:
    """Write the modules of custom estimators where they are imported from."""
    if not modules:
        return Estimators()
    home = folder / ESTIMATORS
    home.mkdir(parents=True)
    for name, text in modules.items():
        (home / name).write_bytes(text.encode())
    return read_estimators(folder)


def differences(before: Any, after: Any, place: str = "") -> list[str]:
    """Return the places where two JSON values differ, such as ``models.fare.seed``; features also by their order."""
    if isinstance(before, dict) and isinstance(after, dict):
        if place.endswith(".features") and list(before) != list(after):
            return [place]
        names = sorted(before.keys() | after.keys())
        found = [differences(before.get(name), after.get(name), f"{place}.{name}".lstrip(".")) for name in names]
        return [one for each in found for one in each]
    return [] if before == after else [place]
