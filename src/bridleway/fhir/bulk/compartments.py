"""Which patients a resource belongs to: FHIR R4's patient compartment.

The table names, for each type, the elements whose reference to a Patient puts a resource into that
patient's compartment (CompartmentDefinition/patient, 4.0.1, its search parameters written as the
elements they look at). A type that is not in the table is in nobody's compartment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from bridleway.fhir.bulk.moments import span

PATIENT: Final[Mapping[str, tuple[str, ...]]] = {
    name: tuple(paths.split())
    for name, paths in {
        "Account": "subject",
        "AdverseEvent": "subject",
        "AllergyIntolerance": "patient recorder asserter",
        "Appointment": "participant.actor",
        "AppointmentResponse": "actor",
        "AuditEvent": "agent.who entity.what",
        "Basic": "subject author",
        "BodyStructure": "patient",
        "CarePlan": "subject activity.detail.performer",
        "CareTeam": "subject participant.member",
        "ChargeItem": "subject",
        "Claim": "patient payee.party",
        "ClaimResponse": "patient",
        "ClinicalImpression": "subject",
        "Communication": "subject sender recipient",
        "CommunicationRequest": "subject sender recipient requester",
        "Composition": "subject author attester.party",
        "Condition": "subject asserter",
        "Consent": "patient",
        "Coverage": "policyHolder subscriber beneficiary payor",
        "CoverageEligibilityRequest": "patient",
        "CoverageEligibilityResponse": "patient",
        "DetectedIssue": "patient",
        "DeviceRequest": "subject performer",
        "DeviceUseStatement": "subject",
        "DiagnosticReport": "subject",
        "DocumentManifest": "subject author recipient",
        "DocumentReference": "subject author",
        "Encounter": "subject",
        "EnrollmentRequest": "candidate",
        "EpisodeOfCare": "patient",
        "ExplanationOfBenefit": "patient payee.party",
        "FamilyMemberHistory": "patient",
        "Flag": "subject",
        "Goal": "subject",
        "Group": "member.entity",
        "ImagingStudy": "subject",
        "Immunization": "patient",
        "ImmunizationEvaluation": "patient",
        "ImmunizationRecommendation": "patient",
        "Invoice": "subject recipient",
        "List": "subject source",
        "MeasureReport": "subject",
        "Media": "subject",
        "MedicationAdministration": "subject performer.actor",
        "MedicationDispense": "subject receiver",
        "MedicationRequest": "subject",
        "MedicationStatement": "subject",
        "MolecularSequence": "patient",
        "NutritionOrder": "patient",
        "Observation": "subject performer",
        "Patient": "",
        "Person": "link.target",
        "Procedure": "subject performer.actor",
        "Provenance": "target",
        "QuestionnaireResponse": "subject author",
        "RelatedPerson": "patient",
        "RequestGroup": "subject action.participant",
        "ResearchSubject": "individual",
        "RiskAssessment": "subject",
        "Schedule": "actor",
        "ServiceRequest": "subject performer",
        "Specimen": "subject",
        "SupplyDelivery": "patient",
        "SupplyRequest": "deliverTo",
        "VisionPrescription": "patient",
    }.items()
}


def values(node: Any, path: str) -> Iterator[Any]:
    """Yield what stands at a dotted path below a node, through lists; nothing if it is not there.

    A shape that FHIR does not allow is passed over.
    """
    first, _, rest = path.partition(".")
    if not isinstance(node, Mapping):
        return
    found = node.get(first)
    for value in found if isinstance(found, list) else [found]:
        if value is None:
            continue
        if rest:
            yield from values(value, rest)
        else:
            yield value


def relative(reference: Any, bases: tuple[str, ...] = ()) -> str:
    """Return `Type/id` of a reference's text; an address of another server stays whole.

    A version (`/_history/2`) is cut off. Bases are addresses of servers whose absolute references
    count as this data's own. Whatever is no text is ''.
    """
    if not isinstance(reference, str):
        return ""
    text = reference.partition("/_history/")[0]
    for base in bases:
        if text.startswith(f"{base.rstrip('/')}/"):
            return text[len(base.rstrip("/")) + 1 :]
    return text


def patients(resource: Mapping[str, Any], bases: tuple[str, ...] = ()) -> frozenset[str]:
    """Return the patients, `Patient/id`, in whose compartments a resource is.

    A Patient is in its own only: one that another patient links to stays that person's. A
    reference by another server's address or by urn:uuid counts as it is written.
    """
    kind = resource.get("resourceType")
    if kind == "Patient":
        own = resource.get("id")
        return frozenset({f"Patient/{own}"} if isinstance(own, str) else ())
    found = set()
    for path in PATIENT.get(kind, ()) if isinstance(kind, str) else ():
        for reference in values(resource, path):
            told = relative(_text(reference), bases)
            if _is_patient(told, reference):
                found.add(told)
    return frozenset(found)


def mentioned(node: Any, bases: tuple[str, ...] = ()) -> frozenset[str]:
    """Return every patient that is referred to anywhere in a resource, at any depth."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, Mapping):
            told = relative(_text(one), bases)
            if told and _is_patient(told, one):
                found.add(told)
            waiting += one.values()
    return frozenset(found)


def _text(reference: Any) -> Any:
    return reference.get("reference") if isinstance(reference, Mapping) else None


def _is_patient(told: str, reference: Any) -> bool:
    return (
        told.startswith("Patient/")
        or "/Patient/" in told
        or (told.startswith("urn:") and reference.get("type", "Patient") == "Patient")
    )


def members(group: Mapping[str, Any], at: datetime, bases: tuple[str, ...] = ()) -> frozenset[str]:
    """Return the patients, `Patient/id`, who are in a Group at a moment.

    Whoever is inactive is out, and whoever's period is over or has not begun.
    """
    found = set()
    for member in values(group, "member"):
        if not isinstance(member, Mapping) or member.get("inactive") is True:
            continue
        period = member.get("period")
        if isinstance(period, Mapping):
            start, end = span(period.get("start")), span(period.get("end"))
            if (start and at < start[0]) or (end and at >= end[1]):
                continue
        told = relative(_text(member.get("entity")), bases)
        if told.startswith("Patient/"):
            found.add(told)
    return frozenset(found)
