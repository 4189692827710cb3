"""A synthesised stack, read as a reviewer would read it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Properties = dict[str, Any]


@dataclass(frozen=True)
class Synthesised:
    """One stack of a cloud assembly."""

    folder: Path
    name: str
    template: dict[str, Any]

    @classmethod
    def read(cls, folder: Path, name: str) -> Synthesised:
        """Read the stack's template from an assembly."""
        return cls(folder, name, json.loads((folder / f"{name}.template.json").read_text()))

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the resources of a type, by logical id."""
        return {id: found for id, found in self.template["Resources"].items() if found["Type"] == kind}

    def properties(self, kind: str) -> dict[str, Properties]:
        """Return the properties of the resources of a type, by logical id."""
        return {id: found.get("Properties", {}) for id, found in self.resources(kind).items()}

    def functions(self) -> dict[str, Properties]:
        """Return our functions, by verb; the one with which the CDK empties buckets is not ours."""
        functions = self.properties("AWS::Lambda::Function").values()
        ours = [found for found in functions if found["Handler"] != "index.handler"]
        return {str(found["Handler"]).removesuffix(".handler"): found for found in ours}

    def statements(self) -> Iterator[tuple[str, Properties]]:
        """Yield every statement that is given to a role, with the logical id of where it stands."""
        for id, found in self.properties("AWS::IAM::Role").items():
            for policy in found.get("Policies", []):
                yield from ((id, statement) for statement in policy["PolicyDocument"]["Statement"])
        for id, found in self.properties("AWS::IAM::Policy").items():
            yield from ((id, statement) for statement in found["PolicyDocument"]["Statement"])

    def machines(self) -> dict[str, dict[str, Any]]:
        """Return the definition of each state machine, by the verb in its comment."""
        found = {}
        for properties in self.properties("AWS::StepFunctions::StateMachine").values():
            text = properties["DefinitionString"]
            parts = text["Fn::Join"][1] if isinstance(text, dict) else [text]
            # A reference becomes a text, which is all that matters here.
            texts = (part if isinstance(part, str) else json.dumps(part).replace('"', "'") for part in parts)
            definition = json.loads("".join(texts))
            found[definition["Comment"].rpartition(" ")[2]] = definition
        return found

    def assets(self) -> dict[str, Any]:
        """Return the manifest of what is published before the stack is deployed."""
        manifest: dict[str, Any] = json.loads((self.folder / f"{self.name}.assets.json").read_text())
        return manifest

    def asset_folder(self, kind: str, display_name: str) -> Path:
        """Return the folder of an asset; ``kind`` is ``files`` or ``dockerImages``."""
        (source,) = [found["source"] for found in self.assets()[kind].values() if found["displayName"] == display_name]
        return self.folder / str(source.get("path") or source["directory"])


Synthesise = Callable[..., Synthesised]
"""Synthesises the app with a context."""


def states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every state of a machine, those inside maps too."""
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


def as_list(value: Any) -> list[Any]:
    """Return what IAM allows to be one value or many as a list."""
    return value if isinstance(value, list) else [value]
