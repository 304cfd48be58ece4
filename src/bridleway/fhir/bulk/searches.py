"""Searches over R4 resources that `_typeFilter` may ask for: `Condition?code=44054006`.

A documented subset of FHIR's search (R4, section 3.1.1): tokens, dates and numbers with prefixes,
references, strings and quantities, the modifiers `:not` (token), `:exact` and `:contains` (string)
and `:missing`. What is not in the table, chains, `_sort`, `_include` and other result parameters
are refused by name, never guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from bridleway.errors import UsageError, nearest
from bridleway.fhir import r4
from bridleway.fhir.bulk.compartments import relative, values
from bridleway.fhir.bulk.moments import span

Matches = Callable[[Mapping[str, Any]], bool]

MOST_LENGTH: Final = 20_000


class Parameter(NamedTuple):
    """A search parameter: its kind, and the elements it looks at."""

    kind: str
    paths: tuple[str, ...]


# name: kind element [element …], as R4 defines each type's search parameters.
_COMMON: Final = "_id: token id; _lastUpdated: date meta.lastUpdated; identifier: token identifier"
_TABLE: Final[Mapping[str, str]] = {
    "AllergyIntolerance": "clinical-status: token clinicalStatus; code: token code "
    "reaction.substance; criticality: token criticality; category: token category; type: token "
    "type; verification-status: token verificationStatus; date: date recordedDate; onset: date "
    "reaction.onset; last-date: date lastOccurrence; patient: reference patient; recorder: "
    "reference recorder; asserter: reference asserter",
    "CarePlan": "status: token status; intent: token intent; category: token category; date: date "
    "period; patient: reference subject; subject: reference subject; encounter: reference "
    "encounter; condition: reference addresses; care-team: reference careTeam",
    "CareTeam": "status: token status; category: token category; date: date period; patient: "
    "reference subject; subject: reference subject; encounter: reference encounter; participant: "
    "reference participant.member",
    "Claim": "status: token status; use: token use; created: date created; priority: token "
    "priority; patient: reference patient; provider: reference provider; insurer: reference "
    "insurer; encounter: reference item.encounter",
    "Condition": "code: token code; clinical-status: token clinicalStatus; verification-status: "
    "token verificationStatus; category: token category; severity: token severity; body-site: "
    "token bodySite; onset-date: date onsetDateTime onsetPeriod; abatement-date: date "
    "abatementDateTime abatementPeriod; recorded-date: date recordedDate; onset-info: string "
    "onsetString; patient: reference subject; subject: reference subject; encounter: reference "
    "encounter; asserter: reference asserter",
    "Coverage": "status: token status; type: token type; patient: reference beneficiary; "
    "beneficiary: reference beneficiary; payor: reference payor; subscriber: reference subscriber",
    "Device": "status: token status; type: token type; patient: reference patient; organization: "
    "reference owner; manufacturer: string manufacturer; model: string modelNumber",
    "DiagnosticReport": "status: token status; code: token code; category: token category; "
    "conclusion: token conclusionCode; date: date effectiveDateTime effectivePeriod; issued: date "
    "issued; patient: reference subject; subject: reference subject; encounter: reference "
    "encounter; result: reference result; performer: reference performer",
    "DocumentReference": "status: token status; type: token type; category: token category; date: "
    "date date; patient: reference subject; subject: reference subject; author: reference author; "
    "encounter: reference context.encounter; period: date context.period; description: string "
    "description",
    "Encounter": "status: token status; class: token class; type: token type; reason-code: token "
    "reasonCode; date: date period; length: quantity length; patient: reference subject; subject: "
    "reference subject; service-provider: reference serviceProvider; participant: reference "
    "participant.individual; location: reference location.location",
    "ExplanationOfBenefit": "status: token status; created: date created; disposition: string "
    "disposition; patient: reference patient; provider: reference provider; claim: reference "
    "claim; encounter: reference item.encounter",
    "Goal": "lifecycle-status: token lifecycleStatus; achievement-status: token "
    "achievementStatus; category: token category; start-date: date startDate; target-date: date "
    "target.dueDate; patient: reference subject; subject: reference subject",
    "Group": "actual: token actual; type: token type; code: token code; member: reference "
    "member.entity; managing-entity: reference managingEntity",
    "ImagingStudy": "status: token status; modality: token series.modality; started: date started; "
    "reason: token reasonCode; patient: reference subject; subject: reference subject; encounter: "
    "reference encounter; bodysite: token series.bodySite",
    "Immunization": "status: token status; vaccine-code: token vaccineCode; status-reason: token "
    "statusReason; reason-code: token reasonCode; date: date occurrenceDateTime; lot-number: "
    "string lotNumber; patient: reference patient; location: reference location; performer: "
    "reference performer.actor",
    "Location": "status: token status; type: token type; name: string name alias; address: string "
    "address; address-city: string address.city; address-state: string address.state; "
    "organization: reference managingOrganization; partof: reference partOf",
    "MedicationAdministration": "status: token status; code: token medicationCodeableConcept; "
    "effective-time: date effectiveDateTime effectivePeriod; patient: reference subject; subject: "
    "reference subject; medication: reference medicationReference; context: reference context; "
    "request: reference request",
    "MedicationDispense": "status: token status; code: token medicationCodeableConcept; type: "
    "token type; whenhandedover: date whenHandedOver; whenprepared: date whenPrepared; patient: "
    "reference subject; subject: reference subject; medication: reference medicationReference; "
    "prescription: reference authorizingPrescription",
    "MedicationRequest": "status: token status; intent: token intent; priority: token priority; "
    "category: token category; code: token medicationCodeableConcept; authoredon: date authoredOn; "
    "patient: reference subject; subject: reference subject; encounter: reference encounter; "
    "medication: reference medicationReference; requester: reference requester",
    "MedicationStatement": "status: token status; category: token category; code: token "
    "medicationCodeableConcept; effective: date effectiveDateTime effectivePeriod; patient: "
    "reference subject; subject: reference subject; medication: reference medicationReference",
    "Observation": "status: token status; code: token code; category: token category; date: date "
    "effectiveDateTime effectivePeriod effectiveInstant; patient: reference subject; subject: "
    "reference subject; encounter: reference encounter; performer: reference performer; "
    "value-concept: token valueCodeableConcept; value-quantity: quantity valueQuantity; "
    "value-date: date valueDateTime valuePeriod; value-string: string valueString; "
    "component-code: token component.code; component-value-quantity: quantity "
    "component.valueQuantity; combo-code: token code component.code; data-absent-reason: token "
    "dataAbsentReason; method: token method; specimen: reference specimen; device: reference "
    "device; has-member: reference hasMember; derived-from: reference derivedFrom",
    "Organization": "active: token active; type: token type; name: string name alias; address: "
    "string address; address-city: string address.city; address-state: string address.state; "
    "partof: reference partOf",
    "Patient": "active: token active; gender: token gender; birthdate: date birthDate; death-date: "
    "date deceasedDateTime; name: string name; family: string name.family; given: string "
    "name.given; address: string address; address-city: string address.city; address-state: "
    "string address.state; address-postalcode: string address.postalCode; address-country: string "
    "address.country; language: token communication.language; general-practitioner: reference "
    "generalPractitioner; organization: reference managingOrganization",
    "Practitioner": "active: token active; gender: token gender; name: string name; family: string "
    "name.family; given: string name.given; address-city: string address.city",
    "Procedure": "status: token status; code: token code; category: token category; date: date "
    "performedDateTime performedPeriod; reason-code: token reasonCode; patient: reference subject; "
    "subject: reference subject; encounter: reference encounter; performer: reference "
    "performer.actor; location: reference location; based-on: reference basedOn",
    "Provenance": "recorded: date recorded; when: date occurredDateTime; target: reference target; "
    "patient: reference target; agent: reference agent.who",
    "QuestionnaireResponse": "status: token status; authored: date authored; patient: reference "
    "subject; subject: reference subject; encounter: reference encounter; author: reference author",
    "RiskAssessment": "method: token method; date: date occurrenceDateTime occurrencePeriod; "
    "probability: number prediction.probabilityDecimal; patient: reference subject; subject: "
    "reference subject; encounter: reference encounter; condition: reference condition",
    "ServiceRequest": "status: token status; intent: token intent; priority: token priority; code: "
    "token code; category: token category; authored: date authoredOn; occurrence: date "
    "occurrenceDateTime occurrencePeriod; patient: reference subject; subject: reference subject; "
    "encounter: reference encounter; requester: reference requester; performer: reference "
    "performer",
    "Specimen": "status: token status; type: token type; collected: date "
    "collection.collectedDateTime collection.collectedPeriod; patient: reference subject; subject: "
    "reference subject; bodysite: token collection.bodySite",
}  # fmt: skip


@cache
def parameters(type_name: str) -> Mapping[str, Parameter]:
    """Return the search parameters that a type is filtered by, by name."""
    text = f"{_COMMON}; {_TABLE.get(type_name, '')}"
    found = {}
    for entry in filter(None, (one.strip() for one in text.split(";"))):
        name, _, rest = entry.partition(":")
        kind, *paths = rest.split()
        if paths == ["identifier"] and "identifier" not in r4.elements(type_name):
            continue
        found[name] = Parameter(kind, tuple(paths))
    return found


def variants(type_name: str, element: str) -> tuple[str, ...]:
    """Return the JSON names of a root element: `onset` has five, `status` one, an unknown none."""
    return tuple(
        one.name
        for one in r4.elements(type_name).values()
        if element in (one.name, one.choice, f"{one.choice}[x]" if one.choice else one.name)
    )


def compile_query(query: str, bases: tuple[str, ...] = ()) -> Matches:
    """Return what tells whether a resource of the query's type meets the query.

    `Type?name=value&name=value`: all have to hold; values with commas between are alternatives.
    Raises UsageError that names what is not supported.
    """
    kind, mark, rest = query.partition("?")
    if not mark or not r4.is_resource(kind) or len(query) > MOST_LENGTH:
        raise UsageError(
            "A '_typeFilter' is no query about one type.", "Write Type?parameter=value."
        )
    try:
        pairs = parse_qsl(rest, keep_blank_values=True, strict_parsing=True, errors="strict")
        if not pairs:
            raise ValueError
    except ValueError:
        raise UsageError(
            f"A '_typeFilter' about '{kind}' cannot be read.", "Write Type?parameter=value."
        ) from None
    tests = [_condition(kind, name, value, bases) for name, value in pairs]
    return lambda resource: all(test(resource) for test in tests)


def _condition(kind: str, told: str, value: str, bases: tuple[str, ...]) -> Matches:
    name, _, modifier = told.partition(":")
    parameter = parameters(kind).get(name)
    if parameter is None:
        raise UsageError(
            f"'_typeFilter' does not know '{name}' of '{kind}'.{nearest(name, parameters(kind))}",
            f"Supported: {', '.join(parameters(kind))}.",
        )
    paths = parameter.paths
    if modifier == "missing" and value in ("true", "false"):
        absent = value == "true"
        return lambda resource: (
            absent is not any(True for path in paths for _ in values(resource, path))
        )
    if modifier not in _MODIFIERS[parameter.kind]:
        raise UsageError(
            f"'_typeFilter' does not know the modifier of '{name}'.",
            f"Supported: {', '.join(filter(None, _MODIFIERS[parameter.kind])) or 'none'}, missing.",
        )
    parts = [_unescaped(part) for part in re.split(r"(?<!\\),", value)]
    if not all(parts):
        raise UsageError(f"'_typeFilter' has no value for '{name}'.", "Give it one.")
    if parameter.kind == "token" and any("|" in part for part in parts):
        _refuse_system_of_code(kind, name, paths)
    if parameter.kind == "reference":
        tests = [_reference(part, name, bases) for part in parts]
    else:
        tests = [_KINDS[parameter.kind](part, name, modifier) for part in parts]

    def holds(resource: Mapping[str, Any]) -> bool:
        return any(
            test(found) for path in paths for found in values(resource, path) for test in tests
        )

    if modifier == "not":
        return lambda resource: not holds(resource)
    return holds


def _refuse_system_of_code(kind: str, name: str, paths: tuple[str, ...]) -> None:
    """Refuse `system|code` where data holds a bare code, whose system is not to be seen."""
    for path in paths:
        at = kind
        for step in path.split("."):
            found = r4.elements(at).get(step)
            at = found.type if found else ""
        if at in r4.PRIMITIVES:
            raise UsageError(f"'{name}' of '{kind}' holds bare codes.", "Write the code alone.")


def _unescaped(text: str) -> str:
    return text.replace("\\,", ",").replace("\\\\", "\\")


Test = Callable[[Any], bool]


def _token(text: str, name: str, modifier: str) -> Test:
    system, bar, code = text.rpartition("|") if "|" in text else ("", "", text)

    def same(found_system: Any, found_code: Any) -> bool:
        if bar and (found_system or "") != system:
            return False
        return bool(found_code == code) if code else bool(bar)

    def test(found: Any) -> bool:
        if isinstance(found, bool):
            return ("true" if found else "false") == text
        if isinstance(found, str):
            return found == code and not system
        if not isinstance(found, Mapping):
            return False
        if isinstance(found.get("coding"), list):
            return any(
                same(one.get("system"), one.get("code"))
                for one in found["coding"]
                if isinstance(one, Mapping)
            )
        return same(found.get("system"), found.get("code", found.get("value")))

    return test


_PREFIX: Final = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb)?(.*)", re.DOTALL)


def _compare(prefix: str, low: Any, high: Any, begin: Any, end: Any) -> bool:
    """Tell whether the span [begin, end) of data stands in a relation to [low, high) asked for."""
    within = bool(low <= begin and end <= high)
    told: dict[str, bool] = {
        "eq": within, "ne": not within,
        "gt": end > high, "lt": begin < low,
        "ge": end > high or within, "le": begin < low or within,
        "sa": begin >= high, "eb": end <= low,
    }  # fmt: skip
    return told[prefix]


_ALWAYS: Final = datetime.min, datetime.max


def _date(text: str, name: str, modifier: str) -> Test:
    found = _PREFIX.fullmatch(text)
    prefix, rest = found.groups() if found else ("", text)
    asked = span(rest)
    if asked is None:
        raise UsageError(
            f"'_typeFilter' has a date of '{name}' that cannot be read.",
            "Write a FHIR date, with a prefix such as ge if needed.",
        )
    low, high = asked

    def test(value: Any) -> bool:
        if isinstance(value, Mapping):
            begin, end = span(value.get("start")), span(value.get("end"))
            if not begin and not end:
                return False
            return _compare(
                prefix or "eq", low, high,
                begin[0] if begin else _ALWAYS[0].replace(tzinfo=low.tzinfo),
                end[1] if end else _ALWAYS[1].replace(tzinfo=low.tzinfo),
            )  # fmt: skip
        held = span(value)
        return held is not None and _compare(prefix or "eq", low, high, *held)

    return test


def _reference(text: str, name: str, bases: tuple[str, ...]) -> Test:
    asked = relative(text, bases)
    if not asked:
        raise UsageError(f"'_typeFilter' has no reference for '{name}'.", "Write Type/id.")
    end = f"/{asked}" if "/" not in asked else None
    person = name == "patient"

    def test(value: Any) -> bool:
        told = relative(value.get("reference"), bases) if isinstance(value, Mapping) else ""
        if person and not told.startswith("Patient/"):
            return False
        return told == asked or (end is not None and told.endswith(end))

    return test


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFD", text.casefold())
    return "".join(letter for letter in folded if not unicodedata.combining(letter))


_WORDS: Final = (
    "text", "family", "given", "prefix", "suffix", "line", "city", "district", "state",
    "postalCode", "country",
)  # fmt: skip


def _string(text: str, name: str, modifier: str) -> Test:
    asked = _plain(text)

    def test(value: Any) -> bool:
        if isinstance(value, Mapping):  # a name or an address: any of its parts
            return any(test(part) for word in _WORDS for part in values(value, word))
        if not isinstance(value, str):
            return False
        if modifier == "exact":
            return value == text
        return asked in _plain(value) if modifier == "contains" else _plain(value).startswith(asked)

    return test


def _range(text: str, name: str) -> tuple[str, Decimal, Decimal]:
    found = _PREFIX.fullmatch(text)
    prefix, rest = found.groups() if found else ("", text)
    try:
        number = Decimal(rest)
        exponent = number.as_tuple().exponent
        if not isinstance(exponent, int) or abs(exponent) > 30 or len(rest) > 40:
            raise InvalidOperation
    except InvalidOperation:
        raise UsageError(
            f"'_typeFilter' has a number of '{name}' that cannot be read.",
            "Write a decimal number, with a prefix such as gt if needed.",
        ) from None
    if prefix in (None, "eq", "ne"):  # 100 means 99.5 to 100.5
        half = Decimal(5).scaleb(exponent - 1)
        return prefix or "eq", number - half, number + half
    return prefix, number, number


def _within(prefix: str, low: Decimal, high: Decimal, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    try:
        held = Decimal(str(value))
    except InvalidOperation:
        return False
    inside = low <= held < high
    return {
        "eq": inside, "ne": not inside, "gt": held > high, "ge": held >= high,
        "lt": held < low, "le": held <= low, "sa": held > high, "eb": held < low,
    }[prefix]  # fmt: skip


def _number(text: str, name: str, modifier: str) -> Test:
    asked = _range(text, name)
    return lambda value: _within(*asked, value)


def _quantity(text: str, name: str, modifier: str) -> Test:
    number, *unit = text.split("|")
    if len(unit) not in (0, 2):
        raise UsageError(
            f"'_typeFilter' has a quantity of '{name}' that cannot be read.",
            "Write number, or number|system|code.",
        )
    asked = _range(number, name)
    system, code = unit or ("", "")

    def test(value: Any) -> bool:
        if not isinstance(value, Mapping) or not _within(*asked, value.get("value")):
            return False
        if system and value.get("system") != system:
            return False
        return not code or code in (value.get("code"), value.get("unit"))

    return test


_KINDS: Final[Mapping[str, Callable[[str, str, str], Test]]] = {
    "token": _token, "date": _date, "string": _string, "number": _number, "quantity": _quantity,
}  # fmt: skip
_MODIFIERS: Final[Mapping[str, tuple[str, ...]]] = {
    "token": ("", "not"), "string": ("", "exact", "contains"),
    "date": ("",), "reference": ("",), "number": ("",), "quantity": ("",),
}  # fmt: skip


def searchable() -> frozenset[str]:
    """Return the types that have search parameters of their own."""
    return frozenset(_TABLE)
