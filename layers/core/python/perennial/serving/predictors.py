"""What a serving process keeps between requests: pointers for a while, versions for good."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from perennial import keys
from perennial.errors import DataError, NotFoundError, TransientError
from perennial.serving import served
from perennial.serving.engine import Engine
from perennial.serving.lines import say
from perennial.serving.loading import load_predictor
from perennial.serving.ports import Pointer, Registered, ServingPorts
from perennial.serving.predictor import Predictor

GRACE = timedelta(minutes=5)
"""How long a pointer that was read goes on counting while the catalog cannot be reached: a rollback is not heard of
meanwhile, but neither is anybody turned away."""


@dataclass
class _Known:
    """A pointer that was read."""

    pointer: Pointer
    read_at: datetime
    tried_at: datetime
    """When it was last tried to be read."""
    stand_in: Registered | None = None
    """What serves in the champion's place until the pointer is read again."""


class Predictors:
    """The versions that a process has loaded, and which of them serve.

    Parameters
    ----------
    pointer_ttl : timedelta
        How long a champion pointer, or an alias, that was read is trusted.
    keep : int
        How many versions stay loaded; the one that was used longest ago goes first.
    """

    def __init__(self, pointer_ttl: timedelta = timedelta(seconds=5), keep: int = 4) -> None:
        self._pointer_ttl = pointer_ttl
        self._keep = keep
        self._pointers: dict[str, _Known] = {}
        self._aliases: dict[tuple[str, str], tuple[datetime, int]] = {}
        self._loaded: dict[tuple[str, int, str], Predictor] = {}
        self._engine = Engine()

    def pointer(self, ports: ServingPorts, model: str, now: datetime) -> Pointer:
        """Return which versions serve.

        Raises
        ------
        NotFoundError
            The model has no champion.
        TransientError
            The catalog cannot be reached, and no pointer is known that was read within ``GRACE``.
        """
        return self._known(ports, model, now).pointer

    def champion(self, ports: ServingPorts, model: str, now: datetime) -> Predictor:
        """Return the predictor of the champion.

        While the champion's files are not the registered ones, the version that served before it stands in, and an
        error is logged (``stand_in``), each time that the champion was tried: whenever the pointer is read again.

        Raises
        ------
        NotFoundError
            There is no such model, or it has no champion.
        DataError
            Neither loads.
        """
        known = self._known(ports, model, now)
        if known.stand_in is not None:
            return self._predictor(ports, model, known.stand_in)
        try:
            return self._predictor(ports, model, known.pointer)
        except DataError as error:
            return self._stand_in(ports, model, known, error)

    def named(self, ports: ServingPorts, model: str, version: int | str, now: datetime) -> Predictor:
        """Return the predictor of a version, or of what an alias stands for; it has no stand-in.

        Raises
        ------
        NotFoundError
            There is no such model, version or alias.
        DataError
            The version's files are not the registered ones.
        """
        return self._predictor(ports, model, self._version(ports, model, self._number(ports, model, version, now)))

    def registered(self, ports: ServingPorts, model: str, registered: Registered) -> Predictor:
        """Return the predictor of a version that a pointer names; errors as of :meth:`named`."""
        return self._predictor(ports, model, registered)

    def _known(self, ports: ServingPorts, model: str, now: datetime) -> _Known:
        known = self._pointers.get(model)
        if known is not None and self._trusted(known.tried_at, now):
            return known
        try:
            pointer = ports.catalog.champion(model)
        except TransientError as error:
            if known is None or now - known.read_at >= GRACE:
                raise
            say("WARNING", "pointer_kept", model=model, version=known.pointer.version, sentence=str(error))
            known.tried_at = now
            return known
        if pointer is None:
            raise NotFoundError(f"model {model!r} has no champion; train it, or name a version", "model")
        known = self._pointers[model] = _Known(pointer, now, now)
        return known

    def _predictor(self, ports: ServingPorts, model: str, registered: Registered) -> Predictor:
        identity = (model, registered.version, registered.manifest_sha256)
        predictor = self._loaded.pop(identity, None) or self._load(ports, model, registered)
        self._loaded[identity] = predictor
        while len(self._loaded) > self._keep:
            del self._loaded[next(iter(self._loaded))]
        return predictor

    def _stand_in(self, ports: ServingPorts, model: str, known: _Known, error: DataError) -> Predictor:
        """Return the predictor of the version that served before a champion that does not load, or raise its error."""
        previous = known.pointer.previous
        if previous is None:
            raise error
        facts = {"model": model, "version": known.pointer.version, "sentence": str(error), "previous": previous}
        registered = self._version(ports, model, previous)
        try:
            predictor = self._predictor(ports, model, registered)
        except DataError as other:
            say("ERROR", "stand_in", **facts, serves=None, previous_sentence=str(other))
            raise error from None
        say("ERROR", "stand_in", **facts, serves=previous)
        known.stand_in = registered
        return predictor

    def _number(self, ports: ServingPorts, model: str, version: int | str, now: datetime) -> int:
        if isinstance(version, int):
            return version
        known = self._aliases.get((model, version))
        if known is None or not self._trusted(known[0], now):
            known = self._aliases[model, version] = (now, ports.catalog.alias(model, version).version)
        return known[1]

    def _trusted(self, read_at: datetime, now: datetime) -> bool:
        return timedelta(0) <= now - read_at < self._pointer_ttl

    def _version(self, ports: ServingPorts, model: str, version: int) -> Registered:
        for name, number, sha256 in self._loaded:
            if (name, number) == (model, version):  # a registered version never changes
                return served.Registered(number, keys.artifact(model, number, "manifest.json"), sha256)
        return ports.catalog.version(model, version)

    def _load(self, ports: ServingPorts, model: str, registered: Registered) -> Predictor:
        try:
            manifest = ports.artifacts.get(registered.manifest_key)
        except NotFoundError:
            raise DataError(f"{registered.manifest_key}: is missing; restore it or train again") from None
        return load_predictor(
            manifest,
            registered.manifest_sha256,
            lambda name: ports.artifacts.get(keys.artifact(model, registered.version, name)),
            self._engine,
        )
