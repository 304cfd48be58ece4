"""Which resources an export holds, and which of their elements: pure functions over resources.

Choosing looks at resources as the source holds them, before they are anonymised; `narrowed` is for
what leaves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from bridleway.fhir import r4
from bridleway.fhir.bulk.compartments import PATIENT, mentioned, patients, relative, values
from bridleway.fhir.bulk.moments import span
from bridleway.fhir.bulk.request import ExportRequest
from bridleway.fhir.bulk.searches import Matches, compile_query, variants

SUBSETTED: Final[Mapping[str, str]] = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}


Owners = Callable[[str], frozenset[str]]


class Choice(Enum):
    """Whether a resource is in, and if so whether it had a date to judge it by."""

    OUT = "out"
    IN = "in"
    UNDATED = "undated"  # no meta.lastUpdated: in under _since or _until, and to be reported


def chooser(
    request: ExportRequest,
    released: frozenset[str] | None = None,
    bases: tuple[str, ...] = (),
    owners: Owners | None = None,
) -> Callable[[Mapping[str, Any]], Choice]:
    """Return what decides for each resource whether the request's export holds it.

    Released are the patients (`Patient/id`) of the group or of the level; None means all. A
    request's own `patients` narrow them further. A resource is in if it is in the compartment of
    somebody who is released and in nobody else's. A type without compartment (Organization,
    Device) is in if it was asked for and speaks of no patient who is not released. Bases are the
    source's own addresses. Owners tells whose compartments a resource, `Type/id`, is in: without
    it, a Provenance is judged only by the patients that it names itself.
    """
    types = frozenset(request.types)
    filters: dict[str, list[Matches]] = defaultdict(list)
    for query in request.type_filters:
        filters[query.partition("?")[0]].append(compile_query(query, bases))
    people = released
    if request.patients is not None:
        asked = frozenset(request.patients)
        people = asked if released is None else asked & released
    by_patient = request.level != "system"
    timed = request.since is not None or request.until is not None

    def choose(resource: Mapping[str, Any]) -> Choice:
        kind = resource.get("resourceType")
        if not isinstance(kind, str) or kind not in types:
            return Choice.OUT
        if by_patient and not belongs(resource, people, bases, owners):
            return Choice.OUT
        if kind in filters and not any(test(resource) for test in filters[kind]):
            return Choice.OUT
        return _changed(resource, request) if timed else Choice.IN

    return choose


def belongs(
    resource: Mapping[str, Any],
    people: frozenset[str] | None,
    bases: tuple[str, ...] = (),
    owners: Owners | None = None,
) -> bool:
    """Tell whether a resource may leave when only these patients may; None means everybody.

    A Provenance belongs to whoever its targets belong to.
    """
    kind = resource.get("resourceType")
    if kind in PATIENT:
        own = patients(resource, bases)
        if kind == "Provenance" and owners is not None:
            targets = [relative(one.get("reference"), bases) for one in _targets(resource)]
            own = own.union(*map(owners, filter(None, targets)))
        return bool(own) and (people is None or own <= people)
    return people is None or mentioned(resource, bases) <= people


def _targets(resource: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in values(resource, "target") if isinstance(one, Mapping)]


def _changed(resource: Mapping[str, Any], request: ExportRequest) -> Choice:
    meta = resource.get("meta")
    held = span(meta.get("lastUpdated")) if isinstance(meta, Mapping) else None
    if held is None:
        return Choice.UNDATED
    if request.since is not None and held[0] <= request.since:
        return Choice.OUT
    if request.until is not None and held[0] > request.until:
        return Choice.OUT
    return Choice.IN


def narrowed(resource: Mapping[str, Any], elements: tuple[str, ...]) -> Mapping[str, Any]:
    """Return a resource with the elements that `_elements` names, and the mandatory ones.

    Kept as well: id, meta, implicitRules and modifierExtension, without which the rest could be
    misread. What is narrowed carries the tag SUBSETTED; a type that `_elements` says nothing about
    stays whole.
    """
    kind = resource.get("resourceType")
    if not isinstance(kind, str):
        return resource
    kept = _kept(kind, elements)
    if kept is None:
        return resource
    found = {name: value for name, value in resource.items() if name.removeprefix("_") in kept}
    meta = resource.get("meta")
    told = dict(meta) if isinstance(meta, Mapping) else {}
    tags = told.get("tag")
    others = [tag for tag in tags if tag != SUBSETTED] if isinstance(tags, list) else []
    told["tag"] = [*others, dict(SUBSETTED)]
    found["meta"] = told
    return found


@lru_cache(maxsize=1024)
def _kept(kind: str, elements: tuple[str, ...]) -> frozenset[str] | None:
    named = []
    for one in elements:
        type_name, dot, name = one.rpartition(".")
        if not dot or type_name == kind:
            named.append(name)
    if not named:
        return None
    kept = {"resourceType", "id", "meta", "implicitRules", "modifierExtension"}
    kept |= {one.name for one in r4.elements(kind).values() if one.required}
    for name in named:
        kept |= set(variants(kind, name))
    return frozenset(kept)
