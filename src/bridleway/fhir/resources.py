"""What is wrong with a resource, in words that tell nothing of its values."""

from __future__ import annotations

import re

from bridleway.fhir import r4

MOST_DEEP = 100
MAX_TEXT = 1 << 20  # FHIR R4, section 2.24.0.1: strings shall not exceed 1 MB
MAX_LINE = 16 << 20
TINY = 1e-290
KNOWN = frozenset(r4.resource_types())


def known(kind: str) -> bool:
    """Tell whether FHIR R4 has a type of resource."""
    return kind in KNOWN


_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}").fullmatch


def is_id(value: object) -> bool:
    """Tell whether a value is an id as FHIR R4 has it: 1 to 64 of A-Z, a-z, 0-9, - and ."""
    return type(value) is str and _ID(value) is not None


class Wrong(Exception):
    """This resource is rejected whole. The reason is one of a fixed few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


UNREADABLE = "not-readable"  # no JSON, or no UTF-8
NUMBERS = "number-too-large"  # beyond double precision
TOO_LONG = "line-too-long"
TOO_DEEP = "nested-too-deep"
NO_RESOURCE = "no-resource"
NO_ID = "no-valid-id"
SHAPE = "wrong-type-of-value"
UNKNOWN = "unknown-element"
MODIFIER = "unknown-modifier-extension"
NOT_RELEASED = "type-not-in-policy"
PATIENT_HELD = "patient-held-back"
PATIENT_ABSENT = "patient-not-in-source"
DATE = "wrong-date"
SAME_ID = "same-id-twice"

REASONS = {
    UNREADABLE: "The line is no JSON in UTF-8.",
    NUMBERS: "A number has more digits or a larger exponent than double precision holds.",
    TOO_LONG: "The line, or a value that would be kept, is longer than FHIR allows.",
    TOO_DEEP: "Elements are nested too deeply.",
    NO_RESOURCE: "The line is no resource of FHIR R4.",
    NO_ID: "The resource has no valid id.",
    SHAPE: "An element holds another kind of value than its type.",
    UNKNOWN: "The resource has an element that FHIR R4 does not know.",
    MODIFIER: "A modifier extension, or implicitRules, changes what the resource means.",
    NOT_RELEASED: "The policy releases no resource of this type.",
    PATIENT_HELD: "The resource is about a patient who is held back.",
    PATIENT_ABSENT: "The resource is about a patient whom the source does not hold.",
    DATE: "A date is none.",
    SAME_ID: "Another resource of its type and id was rejected, or says something else.",
}
