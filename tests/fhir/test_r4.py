"""The map of FHIR R4 is what two independent libraries say of it."""

from __future__ import annotations

import json
from importlib.resources import files

from bridleway.fhir import r4
from tests.fhir import definitions


def test_the_map_is_made_from_the_definitions() -> None:
    """Whoever rebuilds it from fhirclient and fhirpathpy gets the same file."""
    shipped = (files("bridleway.fhir") / "data" / "r4.json").read_text(encoding="utf-8")
    assert definitions.build() == json.loads(shipped)


def test_types_and_what_they_specialise() -> None:
    """146 types of resource; types know what they specialise, elements their type and number."""
    assert len(r4.resource_types()) == 146
    assert r4.kinds("Age") == ("Age", "Quantity", "Element")
    assert r4.kinds("Patient") == ("Patient", "DomainResource", "Resource")
    assert r4.kinds("positiveInt") == ("positiveInt", "integer", "Element")
    told = r4.elements("MedicationRequest")["medicationCodeableConcept"]
    assert told == ("medicationCodeableConcept", "CodeableConcept", False, True, "medication")
    assert r4.elements("Patient.contact")["telecom"].many
    assert not r4.is_resource("Address") and r4.is_type("Address") and not r4.is_type("Adress")
