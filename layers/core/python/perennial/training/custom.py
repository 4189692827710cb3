"""Estimators that a definition names by import path."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from perennial.definitions.files import ESTIMATORS
from perennial.errors import DefinitionError


def estimator_class(path: str, folder: Path | None) -> type[Any]:
    """Import the class that ``package.module:Class`` names.

    Parameters
    ----------
    path : str
        Of an installed package, or ``estimators.module:Class`` for ``estimators/module.py`` in ``folder``.
    folder : Path or None
        The definitions folder.

    Raises
    ------
    DefinitionError
        There is no such module or class, or importing it fails.
    """
    module_name, _, class_name = path.partition(":")
    place = f"estimator {path!r}"
    with _importable(folder):
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            # Where the folder is missing altogether, Python names that.
            missing = module_name if module_name.startswith(f"{error.name}.") else error.name
            raise DefinitionError(
                f"{place}: there is no module {missing!r}; put it into the definitions as {ESTIMATORS}/<name>.py "
                "or name one of the packages that the container has"
            ) from error
        except (*FAULTS, SystemExit) as error:
            raise DefinitionError(f"{place}: importing it raises {said(error)}") from error
    found = getattr(module, class_name, None)
    if not isinstance(found, type):
        raise DefinitionError(f"{place}: module {module_name} has no class {class_name}")
    for method in ("fit", "predict", "get_params"):
        if not hasattr(found, method):
            raise DefinitionError(
                f"{place}: has no method {method}; derive it from sklearn.base.BaseEstimator and add it"
            )
    return found


FAULTS = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, OSError, RuntimeError,
    SyntaxError, TypeError, ValueError,
)  # fmt: skip
"""What code that somebody else wrote may raise because it is wrong."""


def said(error: BaseException) -> str:
    """Return an error as the end of a sentence: its type and its first line."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


@contextmanager
def _importable(folder: Path | None) -> Iterator[None]:
    """Let ``estimators`` be the package in ``folder`` while something is imported."""
    if folder is None:
        yield
        return
    home = str((folder / ESTIMATORS).resolve())
    for name, module in list(sys.modules.items()):
        # Another folder's files of the same name are not these.
        if name.split(".", 1)[0] == ESTIMATORS and home not in {str(Path(p).resolve()) for p in _paths(module)}:
            del sys.modules[name]
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _paths(module: Any) -> list[str]:
    file = getattr(module, "__file__", None)
    return [str(Path(file).parent)] if file else list(getattr(module, "__path__", []))
