"""Ports in which steps work as in the run of long ago, and of which nothing is left when they are done."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from perennial.definitions.files import Definitions
from perennial.ports import Catalog, ObjectStore, Ports
from perennial.records import Made, Run, StepRecord


def scratch_ports(ports: Ports, definitions: Definitions, train_run: Run, folder: Path) -> Ports:
    """Return ports that read what is there and keep what is written in a folder and in memory.

    Parameters
    ----------
    definitions : Definitions
        As the run found them.
    train_run : Run
        The run whose steps are done again, under its own id. It is made to ask for all work to be done anew.
    folder : Path
        Where objects are kept that are written.
    """
    anew = train_run.trigger.model_copy(update={"no_cache": True})
    same = {"trigger": anew, "definition_hash": definitions.fingerprint(train_run.subject), "status": "running"}
    # They lack what no step that makes a training set or trains may call: it would change the real stores.
    catalog = cast(Catalog, ScratchCatalog(ports.catalog, train_run.model_copy(update=same)))
    return replace(
        ports,
        catalog=catalog,
        artifacts=cast(ObjectStore, ScratchStore(ports.artifacts, folder)),
        definitions=definitions,
    )


@dataclass
class ScratchCatalog:
    """A catalog in which one run is under way again: it knows its steps of then, and keeps those of now in memory."""

    catalog: Catalog
    now: Run
    _steps: dict[str, StepRecord] = field(default_factory=dict)

    def run(self, run_id: str) -> Run:
        """Return the run."""
        return self.now if run_id == self.now.run_id else self.catalog.run(run_id)

    def record_step(self, step: StepRecord) -> None:
        """Keep a step's record in memory."""
        self._steps[step.step] = step

    def step(self, run_id: str, step: str) -> StepRecord:
        """Return a step as it was done now or, if it was not, as it was done then."""
        return self._steps.get(step) or self.catalog.step(run_id, step)

    def steps(self, run_id: str) -> list[StepRecord]:
        """Return all steps, each as `step` does."""
        return [self._steps.get(step.step, step) for step in self.catalog.steps(run_id)]

    def remember(self, made: Made) -> None:
        """Do nothing: what is made here is made to be compared."""

    def remembered(self, subject: str, step: str, key: str | None = None) -> Made | None:
        """Return None: nothing is taken over."""


class ScratchStore:
    """A bucket as it is, under which new objects lie in a folder.

    Parameters
    ----------
    store : ObjectStore
        Where objects are read that were not written here.
    folder : Path
        Where objects are kept that are.
    """

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self.bucket = store.bucket
        self._store = store
        self._folder = folder

    def get(self, key: str) -> bytes:
        """Return an object's bytes, or raise NotFoundError."""
        own = self._own(key)
        return own.read_bytes() if own.exists() else self._store.get(key)

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return some bytes of an object that was not written here, or raise NotFoundError."""
        return self._store.read_range(key, start, length)

    def download(self, key: str, path: Path, version: str | None = None) -> None:
        """Copy an object into a file, or raise NotFoundError."""
        own = self._own(key)
        if version is None and own.exists():
            shutil.copyfile(own, path)
        else:
            self._store.download(key, path, version)

    def exists(self, key: str) -> bool:
        """Tell whether there is such an object."""
        return self._own(key).exists() or self._store.exists(key)

    def put(self, key: str, content: bytes, content_type: str = "application/octet-stream") -> None:
        """Keep an object in the folder."""
        self._own(key).write_bytes(content)

    def upload(self, path: Path, key: str) -> None:
        """Copy a file into the folder."""
        shutil.copyfile(path, self._own(key))

    def _own(self, key: str) -> Path:
        return self._folder / hashlib.sha256(key.encode()).hexdigest()
