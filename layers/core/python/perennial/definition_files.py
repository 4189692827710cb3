"""Reading a folder of definitions: ``datasets/*.toml``, ``features/*.sql`` and ``models/*.toml``."""

from __future__ import annotations

import hashlib
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from perennial.definitions import NAME, Dataset, FeatureView, Model
from perennial.errors import DefinitionError, NotFoundError

PACKAGE = "perennial_definitions"
"""Folder under which the definitions layer puts its files on ``sys.path``."""

_HEADER = re.compile(r"^--\s*([a-z_]+)\s*:\s*(.*?)\s*$")
_LISTS = ("entity",)
Kind = TypeVar("Kind", bound=BaseModel)


@dataclass(frozen=True)
class Definitions:
    """All definitions of one folder, by name."""

    datasets: dict[str, Dataset]
    views: dict[str, FeatureView]
    models: dict[str, Model]

    def dataset(self, name: str) -> Dataset:
        """Return a dataset, or raise NotFoundError that lists those there are."""
        return _known(self.datasets, name, "dataset")

    def view(self, name: str) -> FeatureView:
        """Return a feature view, or raise NotFoundError that lists those there are."""
        return _known(self.views, name, "feature view")

    def model(self, name: str) -> Model:
        """Return a model, or raise NotFoundError that lists those there are."""
        return _known(self.models, name, "model")

    def views_of(self, dataset: str) -> list[FeatureView]:
        """Return the views that read a dataset, in the order of their names."""
        return [view for _, view in sorted(self.views.items()) if view.dataset == dataset]

    def fingerprint(self, model: str) -> str:
        """Return the SHA-256 of all that a model means: its definition, its dataset's and its views'.

        It is the ``definition_hash`` of training runs and of versions.
        """
        definition = self.model(model)
        parts = [definition, self.dataset(definition.dataset), *(self.view(name) for name in sorted(definition.features))]
        return hashlib.sha256("".join(part.fingerprint for part in parts).encode()).hexdigest()


def find_definitions(folder: Path | None = None) -> Path:
    """Return the folder of the definitions: the one given, or the one on ``sys.path``.

    Raises
    ------
    DefinitionError
        There is no such folder.
    """
    candidates = [folder] if folder is not None else [Path(entry) / PACKAGE for entry in sys.path]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    where = str(folder) if folder is not None else f"{PACKAGE} on sys.path"
    raise DefinitionError(f"{where}: no such folder; it should hold datasets/, features/ and models/")


def load_definitions(folder: Path) -> Definitions:
    """Read and check every definition of a folder, and that the names in them exist.

    What needs the SQL engine (columns, types, expressions) is checked by ``perennial.data.check``.

    Raises
    ------
    DefinitionError
        The first thing that is wrong: file, key and mend in one sentence.
    """
    datasets = dict(_load(folder, "datasets", "toml", _read_toml(Dataset)))
    views = dict(_load(folder, "features", "sql", _read_view))
    models = dict(_load(folder, "models", "toml", _read_toml(Model)))
    definitions = Definitions(datasets, views, models)
    for view in views.values():
        _require(datasets, view.dataset, f"features/{view.name}.sql: dataset")
    for model in models.values():
        place = f"models/{model.name}.toml"
        _require(datasets, model.dataset, f"{place}: dataset")
        requests = [name for name in model.features if _require(views, name, f"{place}: features").kind == "request"]
        if len(requests) > 1:
            raise DefinitionError(f"{place}: features: at most one request view, not {', '.join(requests)}")
        for name in model.features:
            if views[name].dataset != model.dataset:
                raise DefinitionError(
                    f"{place}: features: view {name!r} reads dataset {views[name].dataset!r}, "
                    f"but the model is about {model.dataset!r}"
                )
    return definitions


def _known(table: dict[str, Kind], name: str, what: str) -> Kind:
    try:
        return table[name]
    except KeyError:
        raise NotFoundError(f"no {what} {name!r}; there is {', '.join(sorted(table)) or 'none'}") from None


def _require(table: dict[str, Kind], name: str, place: str) -> Kind:
    try:
        return table[name]
    except KeyError:
        raise DefinitionError(f"{place}: {name!r} is not defined; there is {', '.join(sorted(table)) or 'none'}") from None


def _load(
    folder: Path, subfolder: str, suffix: str, read: Callable[[str, str, str], Kind]
) -> Iterator[tuple[str, Kind]]:
    for path in sorted((folder / subfolder).glob(f"*.{suffix}")):
        place = f"{subfolder}/{path.name}"
        if not NAME.match(path.stem):
            raise DefinitionError(f"{place}: a file's name is lower-case letters, digits and _, beginning with a letter")
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise DefinitionError(f"{place}: is not UTF-8 text; save it as UTF-8") from None
        yield path.stem, read(path.stem, text, place)


def _read_toml(kind: type[Kind]) -> Callable[[str, str, str], Kind]:
    def read(name: str, text: str, place: str) -> Kind:
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise DefinitionError(f"{place}: is not TOML: {error}") from None
        if "name" in content:
            raise DefinitionError(f"{place}: name: is the file's name; take the key out")
        return _validate(kind, {**content, "name": name}, place)

    return read


def _read_view(name: str, text: str, place: str) -> FeatureView:
    fields: dict[str, object] = {"name": name}
    lines = text.splitlines()
    while lines and (not lines[0].strip() or lines[0].startswith("--")):
        match = _HEADER.match(lines.pop(0))
        if match:
            value = match[2]
            fields[match[1]] = [part.strip() for part in value.split(",")] if match[1] in _LISTS else value
    fields["sql"] = "\n".join(lines).strip().rstrip(";")
    return _validate(FeatureView, fields, place)


def _validate(kind: type[Kind], content: dict[str, object], place: str) -> Kind:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise DefinitionError(_sentence(error, kind, place)) from None


def _sentence(error: ValidationError, kind: type[BaseModel], place: str) -> str:
    """Say the first fault of a definition as file, key and mend."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    where = f"{place}: {key}: " if key else f"{place}: "
    if first["type"] == "extra_forbidden":
        siblings = _fields_at(kind, first["loc"][:-1])
        known = f"; the keys here are {', '.join(siblings)}" if siblings else ""
        return f"{where}is not a key that perennial knows{known}"
    if first["type"] == "missing":
        return f"{where}is missing; add it"
    message = first["msg"].removeprefix("Value error, ")
    got = "" if first["type"] == "value_error" else f", not {first['input']!r}"
    return f"{where}{message[0].lower()}{message[1:]}{got}"


def _fields_at(kind: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Return the known keys of the table at ``path`` below ``kind``; empty when it is not a plain table."""
    for part in path:
        if isinstance(part, int):
            continue
        annotation = kind.model_fields[part].annotation if part in kind.model_fields else None
        nested = [arg for arg in (annotation, *getattr(annotation, "__args__", ())) if isinstance(arg, type)]
        models = [arg for arg in nested if issubclass(arg, BaseModel)]
        if models:
            kind = models[0]
    return [name for name in kind.model_fields if name != "name" or kind.__name__ not in ("Dataset", "Model", "FeatureView")]
