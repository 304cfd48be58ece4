"""Whose resource it is, and what happened to them when: by the elements of each type.

The elements are those of FHIR R4's patient compartment that name one patient.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from bridleway.fhir import r4
from bridleway.fhir.dates import day_of
from bridleway.fhir.references import target
from bridleway.fhir.resources import is_id

_NAMES = ("patient", "subject", "beneficiary", "for", "individual", "subscriber")


class Event(NamedTuple):
    """Where a type of resource says what happened (codes) and when, first date found."""

    codes: tuple[str, ...]
    dates: tuple[str, ...]


# What somebody may know of a patient: diagnoses, treatments, visits, measurements.
EVENTS: Mapping[str, Event] = {
    "AllergyIntolerance": Event(("code",), ("onsetDateTime", "recordedDate")),
    "CarePlan": Event(("category",), ("period.start",)),
    "Condition": Event(("code",), ("onsetDateTime", "onsetPeriod.start", "recordedDate")),
    "DiagnosticReport": Event(("code",), ("effectiveDateTime", "effectivePeriod.start")),
    "Encounter": Event(("type",), ("period.start",)),
    "Immunization": Event(("vaccineCode",), ("occurrenceDateTime",)),
    "MedicationAdministration": Event(
        ("medicationCodeableConcept",), ("effectiveDateTime", "effectivePeriod.start")
    ),
    "MedicationRequest": Event(("medicationCodeableConcept",), ("authoredOn",)),
    "MedicationStatement": Event(
        ("medicationCodeableConcept",), ("effectiveDateTime", "effectivePeriod.start")
    ),
    "Observation": Event(("code",), ("effectiveDateTime", "effectivePeriod.start")),
    "Procedure": Event(("code",), ("performedDateTime", "performedPeriod.start")),
    "ServiceRequest": Event(("code",), ("authoredOn",)),
}


@cache
def subjects_of(type_name: str) -> tuple[str, ...]:
    """Return the elements by which a type of resource names its patient, the first that counts."""
    known = r4.elements(type_name)
    return tuple(name for name in _NAMES if name in known and known[name].type == "Reference")


def patient_of(resource: Mapping[str, Any]) -> str | None:
    """Return the id of the patient whom a resource is about, as it says itself."""
    type_name = resource.get("resourceType")
    if type_name == "Patient":
        found = resource.get("id")
        return found if type(found) is str else None
    if type(type_name) is not str:
        return None
    for name in subjects_of(type_name):
        one = resource.get(name)
        told = one.get("reference") if type(one) is dict else None
        if type(told) is str and told.startswith("Patient/") and is_id(told[8:]):
            return told[8:]  # nearly always
        if one is not None:
            found = _pointed(one)
            if found is not None:
                return found
    return None


def _pointed(one: Any) -> str | None:
    for each in one if type(one) is list else [one]:
        pointed = target(each.get("reference")) if type(each) is dict else None
        if pointed and pointed[0] == "Patient":
            return pointed[1]
    return None


def references_in(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield every literal reference in a resource."""
    if type(value) is dict:
        told = value.get("reference")
        if type(told) is str:
            yield told
        for item in value.values():
            if type(item) in (dict, list) and depth < 64:
                yield from references_in(item, depth + 1)
    elif type(value) is list:
        for item in value:
            if type(item) in (dict, list) and depth < 64:
                yield from references_in(item, depth + 1)


def at(resource: Any, path: str) -> Iterator[Any]:
    """Yield what stands at a path of element names with dots between."""
    waiting = [resource]
    for name in path.split("."):
        found: list[Any] = []
        for one in waiting:
            item = one.get(name) if type(one) is dict else None
            if type(item) is list:
                found += item
            elif item is not None:
                found.append(item)
        waiting = found
    yield from waiting


def codes_in(concept: Any) -> Iterator[tuple[str, str]]:
    """Yield system and code of a Coding or of each coding of a CodeableConcept."""
    if type(concept) is not dict:
        return
    codings = concept.get("coding", [concept])
    for one in codings if type(codings) is list else ():
        if type(one) is dict:
            system, code = one.get("system"), one.get("code")
            if type(system) is str and type(code) is str:
                yield system, code


def day_in(resource: Mapping[str, Any], dates: tuple[str, ...]) -> int:
    """Return the day of the first date that a resource gives, 0 for none.

    A year alone comes as its number, which is no day of the last two thousand years.
    """
    for path in dates:
        for value in at(resource, path):
            day = day_of(value) or (int(value) if _is_year(value) else 0)
            if day:
                return day
    return 0


def _is_year(value: Any) -> bool:
    return type(value) is str and len(value) == 4 and value.isascii() and value.isdigit()
