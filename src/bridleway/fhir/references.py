"""References between resources: normalised, and replaced by pseudonyms of what they point to.

FHIR R4, sections 2.3.0 (references) and 2.36.4 (resolving in Bundles).
"""

from __future__ import annotations

import re
from typing import Any

from bridleway.fhir import resources
from bridleway.fhir.forms import REMOVED, WITHOUT_TARGET, Forms, Job, Named, Walk
from bridleway.fhir.keyed import Keys
from bridleway.fhir.resources import KNOWN, Wrong, is_id
from bridleway.fhir.walks import Tools

_LITERAL = re.compile(
    r"(?:https?://[^\s?]*/)?([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})"
    r"(?:/_history/[A-Za-z0-9\-.]{1,64})?"
)
_MOST_KEPT = 50_000


def target(reference: object) -> tuple[str, str] | None:
    """Return type and id of what a literal reference points to, whatever its server and version.

    None for what points to nothing that can be known: conditional references, other addresses.
    """
    if type(reference) is not str:
        return None
    kind, _, identifier = reference.partition("/")
    if kind in KNOWN and is_id(identifier):
        return kind, identifier
    found = _LITERAL.fullmatch(reference)
    if found is None or found[1] not in KNOWN:
        return None
    return found[1], found[2]


class Names:
    """Pseudonyms as 32 hexadecimal digits, of each type of resource by a namer of its own."""

    def __init__(self, keys: Keys, forms: Forms) -> None:
        self._pads = keys.pads
        self._namer = forms.namer
        self._types: dict[str, Named] = {}

    def of_type(self, type_name: str) -> Named:
        """Return a type's namer."""
        found = self._types.get(type_name)
        if found is None:
            found = self._types[type_name] = self._namer(*self._pads(type_name))
        return found

    def of(self, type_name: str, identifier: str) -> str | None:
        """Return the pseudonym of a type and id, None for what is no id."""
        known, name = self.of_type(type_name)
        return known.get(identifier) or name(identifier)


def own_reference(tools: Tools, names: Names) -> Walk:
    """Return the walk that replaces a reference and leaves out display, identifier and type.

    A reference to a resource that does not leave is left out and counted.
    """
    known: dict[str, dict[str, str] | None] = {}
    released = tools.released

    def first(value: Any, job: Job) -> Any:
        if type(value) is not dict:
            raise Wrong(resources.SHAPE)
        told = value.get("reference")
        if told is None:
            job.counts[WITHOUT_TARGET] += 1
            return None
        if type(told) is not str:
            raise Wrong(resources.SHAPE)
        if told in job.local:
            inside = job.local[told]
            if inside is None:
                job.counts[REMOVED] += 1
                return None
            return {"reference": inside}
        kind, _, identifier = told.partition("/")
        name = names.of(kind, identifier) if kind in KNOWN else None
        if name is None:
            found = target(told)
            kind, name = (found[0], names.of(*found)) if found else ("", None)
        if name is None or not (released is None or released(bytes.fromhex(name))):
            job.counts[REMOVED] += 1
            return None
        if len(known) >= _MOST_KEPT:
            known.clear()
        known[told] = {"reference": f"{kind}/{name}"}
        return known[told]

    return tools.forms.reference(known, first)
