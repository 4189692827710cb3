"""Reading a folder of definitions: ``datasets/*.toml``, ``features/*.sql``, ``models/*.toml``, ``estimators/*.py``."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from perennial import keys
from perennial.definitions import NAME, Dataset, FeatureView, Model
from perennial.definitions.faults import first_fault
from perennial.errors import DefinitionError, NotFoundError

PACKAGE = "perennial_definitions"
"""Folder under which the definitions layer puts its files on ``sys.path``."""
ESTIMATORS = "estimators"
"""Folder of the definitions, and package, of the Python modules that hold custom estimators."""

_HEADER = re.compile(r"^--\s*([a-z_]+)\s*:\s*(.*?)\s*$")
_LISTS = ("entity", "reads")
Kind = TypeVar("Kind", bound=BaseModel)


@dataclass(frozen=True)
class Estimators:
    """The Python modules of custom estimators; nothing here imports them."""

    folder: Path | None = None
    """The definitions folder, from which they are imported as ``estimators.<name>``."""
    sha256: Mapping[str, str] = field(default_factory=dict)
    """File name to the SHA-256 of its content."""


@dataclass(frozen=True)
class Definitions:
    """All definitions of one folder, by name."""

    datasets: dict[str, Dataset]
    views: dict[str, FeatureView]
    models: dict[str, Model]
    estimators: Estimators = field(default_factory=Estimators)

    def dataset(self, name: str) -> Dataset:
        """Return a dataset, or raise NotFoundError that lists those there are."""
        return _known(self.datasets, name, "dataset")

    def view(self, name: str) -> FeatureView:
        """Return a feature view, or raise NotFoundError that lists those there are."""
        return _known(self.views, name, "feature view")

    def model(self, name: str) -> Model:
        """Return a model, or raise NotFoundError that lists those there are."""
        return _known(self.models, name, "model")

    def reads(self, view: str) -> tuple[list[Dataset], list[FeatureView]]:
        """Return the datasets (the view's own first) and the stored views that a view's SELECT reads itself."""
        definition = self.view(view)
        names = (definition.dataset, *definition.reads)
        return (
            [self.datasets[name] for name in names if name in self.datasets],
            [self.views[name] for name in names[1:] if name not in self.datasets],
        )

    def datasets_of(self, view: str) -> list[Dataset]:
        """Return every dataset that a view depends on, also by way of other views; the view's own is the first."""
        datasets, views = self.reads(view)
        for read in views:
            datasets += self.datasets_of(read.name)
        return list({dataset.name: dataset for dataset in datasets}.values())

    def views_of(self, dataset: str) -> list[FeatureView]:
        """Return the stored views that depend on a dataset, each after those that it reads itself."""
        ordered: dict[str, FeatureView] = {}

        def add(view: FeatureView) -> None:
            for read in self.reads(view.name)[1]:
                add(read)
            if any(read.name == dataset for read in self.datasets_of(view.name)):
                ordered.setdefault(view.name, view)

        for _, view in sorted(self.views.items()):
            if view.kind == "stored":
                add(view)
        return list(ordered.values())

    def request_views_of(self, dataset: str) -> list[FeatureView]:
        """Return the request views over a dataset, in the order of their names."""
        return [view for _, view in sorted(self.views.items()) if view.kind == "request" and view.dataset == dataset]

    def view_version(self, view: str) -> str:
        """Return the version of a view: the SHA-256 (64 hex digits) of all that its values are a matter of but rows.

        That is its own definition, the columns of the datasets that it reads, and the versions of the views that it
        reads. Tables, online rows and models are kept by it: a changed SQL is a new version beside the old one.
        """
        datasets, views = self.reads(view)
        meaning = [
            self.view(view).fingerprint,
            {dataset.name: _columns(dataset) for dataset in datasets},
            {read.name: self.view_version(read.name) for read in views},
        ]
        return hashlib.sha256(json.dumps(meaning, separators=(",", ":")).encode()).hexdigest()

    def fingerprint(self, model: str) -> str:
        """Return the SHA-256 of all that a model means: its definition, and all views and datasets it depends on.

        A model with a custom estimator of the folder depends on all of ``estimators/``: they may import one another.

        It is the ``definition_hash`` of training runs and of versions.
        """
        definition = self.model(model)
        views = sorted(definition.features)
        datasets = {dataset.name: dataset for view in views for dataset in self.datasets_of(view)}
        datasets[definition.dataset] = self.dataset(definition.dataset)
        parts = [
            definition.fingerprint,
            *(datasets[name].fingerprint for name in sorted(datasets)),
            *(self.view_version(view) for view in views),
        ]
        if any((candidate.estimator or "").startswith(f"{ESTIMATORS}.") for candidate in definition.candidates):
            parts.append(json.dumps(dict(self.estimators.sha256), sort_keys=True, separators=(",", ":")))
        return hashlib.sha256("".join(parts).encode()).hexdigest()


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
    if not any((folder / subfolder).is_dir() for subfolder in ("datasets", "features", "models")):
        raise DefinitionError(
            f"{folder}: holds none of the folders datasets, features and models; name the right folder"
        )
    datasets = dict(_load(folder, "datasets", "toml", _read_toml(Dataset)))
    views = dict(_load(folder, "features", "sql", _read_view))
    models = dict(_load(folder, "models", "toml", _read_toml(Model)))
    definitions = Definitions(datasets, views, models, read_estimators(folder))
    if keys.PREDICT in datasets:
        raise DefinitionError(
            f"datasets/{keys.PREDICT}.toml: what is uploaded below {keys.PREDICT}/ is predicted; give the dataset "
            "another name"
        )
    for view in views.values():
        _check_reads(definitions, view)
    for name in views:
        _refuse_cycles(views, [name])
    for model in models.values():
        _check_features(definitions, model)
    return definitions


def read_estimators(folder: Path) -> Estimators:
    """Return the files of custom estimators below a definitions folder; DefinitionError if one is no module."""
    home = folder / ESTIMATORS
    found: dict[str, str] = {}
    for path in sorted(home.glob("*")):
        if path.name == "__pycache__" or path.name.startswith(".") or path.suffix == ".md":
            continue
        if path.suffix != ".py" or not path.is_file() or not path.stem.isidentifier():
            raise DefinitionError(
                f"{ESTIMATORS}/{path.name}: is not a Python module, a .py file whose name is letters, digits and _; "
                "rename it or take it out"
            )
        found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return Estimators(folder, found)


def _columns(dataset: Dataset) -> list[object]:
    """Return what of a dataset's contract a SELECT over it can tell: its columns' names and types."""
    columns = [[name, column.type, column.precision, column.scale] for name, column in dataset.columns.items()]
    return [dataset.event_time, columns]


def _check_reads(definitions: Definitions, view: FeatureView) -> None:
    """Make sure that each table that a view names in its header is a dataset or a stored view."""
    place = f"features/{view.name}.sql"
    _require(definitions.datasets, view.dataset, f"{place}: dataset")
    for name in view.reads:
        if name == view.dataset:
            raise DefinitionError(f"{place}: reads: {name!r} is its dataset, which it reads anyway; take it out")
        if name in definitions.datasets and name in definitions.views:
            raise DefinitionError(f"{place}: reads: {name!r} is a dataset and a view as well; rename one of them")
        if name not in definitions.datasets:
            read = _require({**definitions.views, **definitions.datasets}, name, f"{place}: reads")
            if isinstance(read, FeatureView) and read.kind == "request":
                raise DefinitionError(
                    f"{place}: reads: {name!r} is a request view; only datasets and stored views are read"
                )


def _refuse_cycles(views: dict[str, FeatureView], path: list[str]) -> None:
    """Make sure that a view does not come back to itself by what it reads."""
    for name in views[path[-1]].reads:
        if name == path[0]:
            chain = " reads ".join([*path, name])
            raise DefinitionError(f"features/{name}.sql: reads: {chain}: views must not read in a circle; break it up")
        if name in views and name not in path:
            _refuse_cycles(views, [*path, name])


def _check_features(definitions: Definitions, model: Model) -> None:
    """Make sure that a model's views exist and can be joined to its dataset's rows."""
    place = f"models/{model.name}.toml"
    dataset = _require(definitions.datasets, model.dataset, f"{place}: dataset")
    views = [_require(definitions.views, name, f"{place}: features") for name in model.features]
    requests = [view.name for view in views if view.kind == "request"]
    if len(requests) > 1:
        raise DefinitionError(f"{place}: features: at most one request view, not {', '.join(requests)}")
    for view in views:
        if view.kind == "request" and view.dataset != dataset.name:
            raise DefinitionError(
                f"{place}: features: request view {view.name!r} reads dataset {view.dataset!r}, "
                f"but the model is about {dataset.name!r}"
            )
        absent = [column for column in view.entity if column not in dataset.columns]
        if absent:
            raise DefinitionError(
                f"{place}: features: view {view.name!r} is kept by {absent[0]!r}, "
                f"but datasets/{dataset.name}.toml has no column of that name to look it up by"
            )


def _known(table: dict[str, Kind], name: str, what: str) -> Kind:
    try:
        return table[name]
    except KeyError:
        raise NotFoundError(f"no {what} {name!r}; there is {', '.join(sorted(table)) or 'none'}") from None


def _require(table: Mapping[str, Kind], name: str, place: str) -> Kind:
    try:
        return table[name]
    except KeyError:
        raise DefinitionError(
            f"{place}: {name!r} is not defined; there is {', '.join(sorted(table)) or 'none'}"
        ) from None


def _load(
    folder: Path, subfolder: str, suffix: str, read: Callable[[str, str, str], Kind]
) -> Iterator[tuple[str, Kind]]:
    for path in sorted((folder / subfolder).glob("*")):
        place = f"{subfolder}/{path.name}"
        if path.name.startswith((".", "_")) or path.suffix == ".md":
            continue
        if path.suffix != f".{suffix}" or not path.is_file():
            raise DefinitionError(f"{place}: is not a .{suffix} file; rename it or take it out")
        if not NAME.fullmatch(path.stem):
            raise DefinitionError(
                f"{place}: a file's name is lower-case letters, digits and _, beginning with a letter"
            )
        try:
            text = path.read_text(encoding="utf-8-sig")  # an editor may have begun the file with a byte order mark
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
    fields: dict[str, object] = {}
    lines = text.splitlines()
    while lines and (not lines[0].strip() or lines[0].startswith("--")):
        match = _HEADER.match(lines.pop(0))
        if match is None:
            continue
        key, value = match.groups()
        if key in ("name", "sql"):
            meant = "the file's name" if key == "name" else "what follows the header"
            raise DefinitionError(f"{place}: {key}: is {meant}; take the line out")
        if key in fields:
            raise DefinitionError(f"{place}: {key}: stands twice in the header; keep one of the lines")
        if not value:
            raise DefinitionError(f"{place}: {key}: has no value; write one after the colon or take the line out")
        fields[key] = _parts(value, f"{place}: {key}") if key in _LISTS else value
    sql = "\n".join(lines).strip().rstrip("; \n")
    if not sql:
        raise DefinitionError(f"{place}: holds no SELECT; write one below the header")
    return _validate(FeatureView, {"name": name, **fields, "sql": sql}, place)


def _parts(value: str, where: str) -> list[str]:
    parts = [part.strip() for part in value.split(",")]
    if "" in parts or len(set(parts)) < len(parts):
        raise DefinitionError(f"{where}: should be different columns with commas between them, not {value!r}")
    return parts


def _validate(kind: type[Kind], content: dict[str, object], place: str) -> Kind:
    try:
        # Strict, so that "5" is no number; by way of JSON, for TOML's lists are then taken as tuples.
        return kind.model_validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError as error:
        raise DefinitionError(first_fault(error, kind, place)) from None
