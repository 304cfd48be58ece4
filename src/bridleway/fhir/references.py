"""References between resources: normalised, and replaced by pseudonyms of what they point to.

FHIR R4, sections 2.3.0 (references) and 2.36.4 (resolving in Bundles).
"""

from __future__ import annotations

import re
from typing import Any

from bridleway.fhir import r4, resources
from bridleway.fhir.resources import Wrong
from bridleway.fhir.walks import Job, Tools, Walk

_LITERAL = re.compile(
    r"(?:https?://[^\s?]*/)?([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})"
    r"(?:/_history/[A-Za-z0-9\-.]{1,64})?"
)
ABSENT: dict[str, Any] = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": "masked",
        }
    ]
}
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
    """Pseudonyms by `Type/id`, remembered: what is referred to has a line of its own, too."""

    def __init__(self, tools: Tools) -> None:
        self._pseudonym = tools.keys.pseudonym
        self._known: dict[str, str] = {}

    def of(self, type_name: str, identifier: str) -> str:
        """Return a resource's pseudonym as 32 hexadecimal digits."""
        told = f"{type_name}/{identifier}"
        found = self._known.get(told)
        if found is None:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            found = self._known[told] = self._pseudonym(type_name, identifier).hex()
        return found


def own_reference(tools: Tools, names: Names) -> Walk:
    """Return the walk that replaces a reference and leaves out display, identifier and type.

    A reference to a resource that does not leave is left out and counted.
    """
    known: dict[str, dict[str, str] | None] = {}

    def walk(value: Any, job: Job) -> Any:
        try:
            return known[value["reference"]]
        except (KeyError, TypeError, IndexError):
            return first(value, job)

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

    return walk
