"""Bahmni's configuration does what Bahmni's classes do, and says what its words hide."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridleway.errors import UsageError
from bridleway.fhir.bahmni import CORRELATE, FIRST_OF_YEAR, RANDOM
from bridleway.fhir.policy import KEEPS_ALL, Policy
from bridleway.fhir.reading import read_policy
from tests.fhir.imported.support import engine, leaves

URL = "http://fhir.openmrs.org/ext/address"
PATIENT: dict[str, Any] = {
    "resourceType": "Patient", "id": "p1", "identifier": [{"value": "GAN203006"}],
    "name": [{"family": "F"}], "birthDate": "1987-05-06",
    "deceasedDateTime": "2020-05-06T10:00:00Z", "telecom": [{"system": "phone", "value": "98765"}],
    "address": [{"line": ["1 Road"], "district": "Dist", "city": "City", "state": "St",
                 "country": "India", "postalCode": "12345",
                 "extension": [{"url": URL, "extension": [
                     {"url": f"{URL}#address1", "valueString": "House 7"}]},
                     {"url": "geo", "valueDecimal": 1.5}]}],
}  # fmt: skip
REDACTED = {
    "patient": ("identifier", "address", "name", "telecom"),
    "condition": ("encounter", "recorder", "recordedDate"),
    "medicationRequest": ("priority", "authoredOn", "requester", "dosageInstruction", "encounter"),
    "serviceRequest": ("encounter",),
    "procedure": ("encounter",),
}
TYPES = {
    "patient": "Patient", "condition": "Condition", "medicationRequest": "MedicationRequest",
    "serviceRequest": "ServiceRequest", "procedure": "Procedure",
}  # fmt: skip
HELD = {
    "identifier": [{"value": "1"}], "address": [{"city": "1"}], "name": [{"family": "1"}],
    "telecom": [{"value": "1"}], "encounter": {"reference": "Encounter/1"},
    "recorder": {"reference": "Practitioner/1"}, "recordedDate": "2001-02-03",
    "priority": "urgent", "authoredOn": "2001-02-03", "requester": {"reference": "Practitioner/1"},
    "dosageInstruction": [{"text": "1"}],
}  # fmt: skip


def policy(salt: str = "", **resources: list[tuple[str, ...]]) -> Policy:
    """Return the policy of a configuration."""
    told = {
        name: [dict(zip(("fieldName", "method", "value"), one, strict=False)) for one in listed]
        for name, listed in resources.items()
    }
    body = {"resources": told, "parameters": {"oneWayHashSalt": salt} if salt else {}}
    return read_policy(json.dumps(body), "bahmni.json")


@pytest.mark.parametrize(("name", "field"), [(n, f) for n in REDACTED for f in REDACTED[n]])
@pytest.mark.parametrize("method", ["redact", "Redact"])
def test_redact_empties_the_element(name: str, field: str, method: str) -> None:
    told = {"resourceType": TYPES[name], "id": "1", "language": "en", field: HELD[field]}
    made = engine(policy(**{name: [(field, method)]})).anonymise(told)
    assert leaves(made) == {"resourceType": TYPES[name], "id": "1", "language": "en"}


@pytest.mark.parametrize("method", ["firstOfMonth", "random", "fixed"])
def test_dates_become_the_first_of_their_year(method: str) -> None:
    found = policy(patient=[("birthDate", method), ("deceasedDateTime", method)])
    made = engine(found).anonymise(PATIENT)
    assert made["birthDate"] == "1987-01-01"
    assert made["deceasedDateTime"] == "2020-01-01"
    assert FIRST_OF_YEAR in found.warnings


def test_random_replaces_what_bahmni_replaces_and_nothing_more() -> None:
    found = policy(patient=[("address", "random"), ("telecom", "random")])
    made = engine(found).anonymise(PATIENT)
    (before,), (after,) = PATIENT["address"], made["address"]
    for part in ("district", "city", "state", "country"):
        assert after[part].isalpha()
        assert len(after[part]) == len(before[part])
    assert after["country"] != "India"
    assert (after["line"], after["postalCode"]) == (["1 Road"], "12345")
    (inner,) = after["extension"][0]["extension"]
    assert inner["url"].endswith("#address1")
    assert inner["valueString"].isalnum()
    assert len(inner["valueString"]) == 7
    assert after["extension"][1] == {"url": "geo"}
    assert made["telecom"][0]["value"].isdigit()
    assert made["telecom"][0]["system"] == "phone"
    assert made["name"] == PATIENT["name"]
    assert RANDOM in found.warnings


@pytest.mark.parametrize("method", ["fixed", "random"])
def test_a_value_is_put_wherever_one_is_given(method: str) -> None:
    found = policy(patient=[("address", method, "XX"), ("telecom", method, "000")])
    (after,) = engine(found).anonymise(PATIENT)["address"]
    assert {after[part] for part in ("district", "city", "state", "country")} == {"XX"}
    assert after["extension"][0]["extension"][0]["valueString"] == "XX"
    assert after["line"] == ["1 Road"]
    assert engine(found).anonymise(PATIENT)["telecom"] == [{"system": "phone", "value": "000"}]


def test_correlate_joins_patients_with_their_records() -> None:
    found = policy(
        "salt", patient=[("id", "correlate")], condition=[("subject", "correlate")],
        medicationRequest=[("subject", "correlate")], serviceRequest=[("subject", "correlate")],
    )  # fmt: skip
    made = engine(found)
    name = made.anonymise(PATIENT)["id"]
    assert len(name) == 64
    for kind in ("Condition", "MedicationRequest", "ServiceRequest"):
        told = {"resourceType": kind, "id": "c",
                "subject": {"reference": "Patient/p1", "display": "F (GAN203006)"}}  # fmt: skip
        assert leaves(made.anonymise(told)) == {
            "resourceType": kind, "id": "c", "subject": {"reference": f"Patient/{name}"},
        }  # fmt: skip
    assert CORRELATE in found.warnings


def test_what_no_rule_names_leaves_and_is_said() -> None:
    found = policy(patient=[("name", "redact")], condition=[])
    assert found.language == "bahmni"
    assert found.warnings == (
        KEEPS_ALL,
        "No rule speaks of MedicationRequest, Procedure, ServiceRequest: they leave unchanged.",
    )
    told = {"resourceType": "Procedure", "id": "1", "note": [{"text": "x"}]}
    assert engine(found).anonymise(told) == told


@pytest.mark.parametrize(
    ("name", "field", "method"),
    [
        ("patient", "name", "erase"), ("patient", "name", "random"), ("patient", "photo", "redact"),
        ("patient", "birthDate", "redact"), ("condition", "name", "redact"),
        ("procedure", "subject", "correlate"), ("condition", "onset", "firstOfMonth"),
        ("observation", "subject", "correlate"),
    ],
)  # fmt: skip
def test_what_bahmni_ignores_or_fails_on_is_refused(name: str, field: str, method: str) -> None:
    with pytest.raises(UsageError):
        policy(**{name: [(field, method)]})


def test_a_field_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="two methods"):
        policy(patient=[("address", "random"), ("address", "redact")])


@pytest.mark.parametrize(
    "body",
    [{"resources": []}, {"resources": {}, "rules": []}, {"resources": {"patient": "x"}},
     {"resources": {"patient": [{"fieldName": "name", "method": "redact", "salt": 1}]}}],
)  # fmt: skip
def test_other_shapes_are_refused(body: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        read_policy(json.dumps(body), "bahmni.json")
