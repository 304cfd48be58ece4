"""References between resources: normalised, and replaced by pseudonyms of what they point to.

FHIR R4, sections 2.3.0 (references) and 2.36.4 (resolving in Bundles).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bridleway.fhir import r4, resources
from bridleway.fhir.forms import Job, Walk
from bridleway.fhir.keyed import Keys
from bridleway.fhir.resources import Wrong
from bridleway.fhir.walks import Tools

_LITERAL = re.compile(
    r"(?:https?://[^\s?]*/)?([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})"
    r"(?:/_history/[A-Za-z0-9\-.]{1,64})?"
)
_RESOURCES = frozenset(r4.resource_types())
_MOST_LETTERS = 64
_MOST_KEPT = 50_000


def is_id(value: object) -> bool:
    """Tell whether a value is an id as FHIR R4 has it: 1 to 64 of A-Z, a-z, 0-9, - and ."""
    if type(value) is not str or not 0 < len(value) <= _MOST_LETTERS or not value.isascii():
        return False
    if value.isalnum():
        return True
    rest = value.replace("-", "").replace(".", "")
    return rest.isalnum() or not rest


def target(reference: object) -> tuple[str, str] | None:
    """Return type and id of what a literal reference points to, whatever its server and version.

    None for what points to nothing that can be known: conditional references, other addresses.
    """
    if type(reference) is not str:
        return None
    kind, _, identifier = reference.partition("/")
    if kind in _RESOURCES and is_id(identifier):
        return kind, identifier
    found = _LITERAL.fullmatch(reference)
    if found is None or found[1] not in _RESOURCES:
        return None
    return found[1], found[2]


class Names:
    """Pseudonyms as 32 hexadecimal digits, remembered: what is referred to has a line of its own,
    too."""

    def __init__(self, keys: Keys) -> None:
        self._naming = keys.naming
        self._types: dict[str, tuple[dict[str, str], Callable[[str], str]]] = {}
        self._count = 0

    def of_type(self, type_name: str) -> tuple[dict[str, str], Callable[[Any], str]]:
        """Return what is known of a type's ids, and what names one that is not. It raises Wrong."""

        def first(identifier: Any) -> str:
            if not is_id(identifier):
                raise Wrong(resources.NO_ID)
            return self.of(type_name, identifier)

        return self._type(type_name)[0], first

    def _type(self, type_name: str) -> tuple[dict[str, str], Callable[[str], str]]:
        found = self._types.get(type_name)
        if found is None:
            found = self._types[type_name] = ({}, self._naming(type_name))
        return found

    def of(self, type_name: str, identifier: str) -> str:
        """Return the pseudonym of a type and id."""
        known, naming = self._type(type_name)
        found = known.get(identifier)
        if found is None:
            if self._count >= _MOST_KEPT:
                self._count = 0
                for some, _ in self._types.values():
                    some.clear()
            self._count += 1
            found = known[identifier] = naming(identifier)
        return found


def own_reference(tools: Tools, names: Names) -> Walk:
    """Return the walk that replaces a reference and leaves out display, identifier and type.

    A reference to a resource that does not leave is left out and counted.
    """
    known: dict[str, dict[str, str] | None] = {}

    def first(value: Any, job: Job) -> Any:
        if type(value) is not dict:
            raise Wrong(resources.SHAPE)
        told = value.get("reference")
        if told is None:
            job.counts["references-without-target"] += 1
            return None
        if type(told) is not str:
            raise Wrong(resources.SHAPE)
        if told in job.local:
            inside = job.local[told]
            if inside is None:
                job.counts["references-removed"] += 1
                return None
            return {"reference": inside}
        found = target(told)
        if found is None:
            job.counts["references-removed"] += 1
            return None
        name = names.of(*found)
        if tools.released is not None and not tools.released(bytes.fromhex(name)):
            job.counts["references-removed"] += 1
            return None
        if len(known) >= _MOST_KEPT:
            known.clear()
        known[told] = {"reference": f"{found[0]}/{name}"}
        return known[told]

    return tools.forms.reference(known, first)
