"""How policies of others are written, and which elements their paths select."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridleway.errors import UsageError
from bridleway.fhir.policy import KEEPS_ALL
from bridleway.fhir.reading import ERRORS, SHIFT_KEY, read_policy
from bridleway.fhir.resources import UNKNOWN, Wrong
from tests.fhir.imported.support import engine, labels, leaves, microsoft, policy_text, rule

COMMENTED = """\ufeff
// made by hand: "quoted"
{
  /* two
     lines */
  "fhirVersion": "r4", // the version
  "processingErrors": "Skip",
  "fhirPathRules": [
    {"path": "nodesByName('note') /* inside */", "method": "REDACT",},
    {"path": "Patient.name.where(text = 'http://x // y')", "method": "redact"}, // "last"
  ],
  "parameters": { "enablePartialDatesForRedact": false, },
}
"""


def test_comments_and_trailing_commas() -> None:
    policy = read_policy(COMMENTED, "test.json")
    assert [one.method for one in policy.rules] == ["redact", "redact"]
    assert "http://x // y" in policy.rules[1].path.text
    assert policy.warnings == (KEEPS_ALL, ERRORS)


def test_yaml_and_json_are_one_policy() -> None:
    told = policy_text(
        rule("Patient.birthDate", "redact"), rule("Observation.value", "perturb", span=0.5),
        enablePartialDatesForRedact=True, restrictedZipCodeTabulationAreas=["036"],
    )  # fmt: skip
    written = """
    fhirVersion: R4
    fhirPathRules:
      - {path: Patient.birthDate, method: redact}
      - {path: Observation.value, method: perturb, span: 0.5}
    parameters:
      enablePartialDatesForRedact: true
      restrictedZipCodeTabulationAreas: ["036"]
    """
    one, other = read_policy(told, "a.json"), read_policy(written, "a.yaml")
    assert one.digest == other.digest
    assert [(r.method, r.path, dict(r.settings)) for r in one.rules] == [
        (r.method, r.path, dict(r.settings)) for r in other.rules
    ]


@pytest.mark.parametrize("named", ["keep", "KEEP", "Keep", "dateshift", "DateShift", "cryptohash"])
def test_methods_in_any_case(named: str) -> None:
    policy = read_policy(policy_text(rule("Patient.birthDate", named)), "test.json")
    assert policy.rules[0].method.lower() == named.lower()


@pytest.mark.parametrize("version", ["R4", "r4", "", None])
def test_versions_that_are_r4(version: str | None) -> None:
    body = {"fhirVersion": version, "fhirPathRules": [rule("Patient", "keep")]}
    assert read_policy(json.dumps(body), "test.json").language == "microsoft"


BAD: list[tuple[dict[str, Any], str]] = [
    ({"fhirVersion": "Stu3"}, "another version"),
    ({"processingErrors": "explode"}, "neither raise nor skip"),
    ({"processingErors": "skip"}, "has no 'processingErors'.*processingErrors"),
    ({"parameters": {"dateShiftScop": "file"}}, "no parameter 'dateShiftScop'"),
    ({"parameters": {"dateShiftScope": "world"}}, "dateShiftScope"),
    ({"parameters": {"enablePartialDatesForRedact": "false"}}, "neither true nor false"),
    ({"parameters": {"restrictedZipCodeTabulationAreas": [36]}}, "no list of digits"),
    ({"parameters": {"dateShiftFixedOffsetInDays": "5"}}, "is no number"),
    ({"fhirPathRules": []}, "no rules"),
    ({"fhirPathRules": [{"path": "Patient"}]}, "does not say path and method"),
    ({"fhirPathRules": [rule("Patient", "erase")]}, "no method 'erase'"),
    ({"fhirPathRules": [rule("Patient.id", "redact", replaceWith="x")]}, "takes no 'replaceWith'"),
    ({"fhirPathRules": [rule("Patient.name[0]", "redact")]}, "cannot hold"),
    ({"fhirPathRules": [rule("Patiend.name", "redact")]}, "no resource 'Patiend'.*Patient"),
    ({"fhirPathRules": [rule("Patient.name |", "redact")]}, "."),
]


@pytest.mark.parametrize(("more", "said"), BAD)
def test_what_is_unknown_is_refused_at_load(more: dict[str, Any], said: str) -> None:
    body = {"fhirPathRules": [rule("Patient", "keep")], **more}
    with pytest.raises(UsageError, match=said):
        read_policy(json.dumps(body), "test.json")


def test_a_name_twice_is_refused() -> None:
    told = '{"fhirPathRules": [{"path": "Patient", "method": "keep", "method": "redact"}]}'
    with pytest.raises(UsageError, match="stands twice"):
        read_policy(told, "test.json")


def test_warnings_name_what_differs() -> None:
    body = policy_text(
        rule("Patient.nmae", "redact"),
        rule("nodesByType('Observation').ofType(Quantity).value", "redact"),
        dateShiftKey="secret",
    )
    found = read_policy(body, "test.json").warnings
    assert found[:2] == (KEEPS_ALL, SHIFT_KEY)
    assert ["never matches" in one for one in found[2:]] == [True, True]
    assert not any("secret" in one for one in found)


PATIENT = {
    "resourceType": "Patient", "id": "p",
    "name": [{"use": "official", "family": "F", "given": ["A", "B"]}, {"use": "old", "family": "G"}],
    "telecom": [{"use": "home", "value": "1"}, {"use": "work", "value": "2"}],
    "address": [{"country": "US", "state": "MA", "city": "C"}],
    "contact": [{"name": {"family": "H"}}],
}  # fmt: skip


def _without(path: str) -> dict[str, Any]:
    return leaves(microsoft(rule(path, "redact")).anonymise(PATIENT))


def test_paths_select_by_name_by_type_and_by_condition() -> None:
    assert _without("nodesByType('HumanName').family")["name"] == [
        {"use": "official", "given": ["A", "B"]}, {"use": "old"},
    ]  # fmt: skip
    assert "contact" not in _without("nodesByType('HumanName')")
    assert "contact" in _without("Patient.name")
    assert _without("nodesByType('ContactPoint').where(use='home')")["telecom"] == [
        {"use": "work", "value": "2"}
    ]
    assert _without("nodesByName('use')")["telecom"] == [{"value": "1"}, {"value": "2"}]
    assert leaves(microsoft(rule("Condition", "redact")).anonymise(PATIENT)) == PATIENT


def test_paths_joined_by_a_bar() -> None:
    made = microsoft(
        rule("nodesByType('Address').country | nodesByType('Address').state", "keep"),
        rule("nodesByType('Address')", "redact"),
    )
    assert made.anonymise(PATIENT)["address"] == [{"country": "US", "state": "MA"}]
    told = {"resourceType": "Condition", "onsetAge": {"value": 40}, "abatementAge": {"value": 50},
            "subject": {"display": "a | b"}}  # fmt: skip
    noisy = microsoft(rule("Condition.onset | Condition.abatement as Age", "perturb", span=0.01))
    assert labels(noisy.anonymise(told)) == [("", "PERTURBED")]
    barred = microsoft(rule("nodesByType('Reference').where(display = 'a | b')", "redact"))
    assert "subject" not in barred.anonymise(told)


def test_the_first_rule_wins_and_what_none_names_is_kept() -> None:
    first = microsoft(rule("Patient.name.use", "keep"), rule("Patient.name", "redact"))
    assert first.anonymise(PATIENT)["name"] == [{"use": "official"}, {"use": "old"}]
    last = microsoft(rule("Patient.name", "redact"), rule("Patient.name.use", "keep"))
    assert "name" not in last.anonymise(PATIENT)
    assert last.anonymise(PATIENT)["telecom"] == PATIENT["telecom"]


def test_of_two_rules_for_one_element_the_first_wins() -> None:
    paths = ("Patient.name.use", "nodesByName('use')", "nodesByType('HumanName').use")
    for one in paths:
        for other in paths:
            made = microsoft(rule(one, "keep"), rule(other, "redact")).anonymise(PATIENT)
            assert made["name"] == PATIENT["name"]
            made = microsoft(rule(one, "redact"), rule(other, "keep")).anonymise(PATIENT)
            assert "use" not in made["name"][0]


INSIDE = {
    "resourceType": "Patient", "gender": "male", "text": {"status": "empty", "div": "<div/>"},
    "contained": [{"resourceType": "Organization", "id": "o", "name": "N",
                   "telecom": [{"value": "1"}], "address": [{"postalCode": "98052"}]}],
}  # fmt: skip


@pytest.mark.parametrize("partial", [True, False])
def test_resources_inside_others_are_resources_of_their_own(partial: bool) -> None:
    whole = microsoft(
        rule("Organization.name", "keep"), rule("Patient", "redact"),
        rule("Organization", "redact"), enablePartialZipCodesForRedact=partial,
    ).anonymise(INSIDE)  # fmt: skip
    kept = {"resourceType": "Organization", "name": "N"}
    if partial:
        kept["address"] = [{"postalCode": "98000"}]  # type: ignore[assignment]
    assert leaves(whole) == {"resourceType": "Patient", "contained": [kept]}
    alone = microsoft(rule("Patient", "redact"), enablePartialZipCodesForRedact=partial)
    assert leaves(alone.anonymise(INSIDE))["contained"] == INSIDE["contained"]
    named = microsoft(rule("Patient.contained", "redact"), enablePartialDatesForRedact=partial)
    assert "contained" not in named.anonymise(INSIDE)


def test_labels_are_added_to_those_that_are_there() -> None:
    told = {"resourceType": "Patient", "gender": "male", "birthDate": "2000-01-01",
            "meta": {"security": [{"system": "s", "code": "HTEST"}]}}  # fmt: skip
    made = microsoft(rule("Patient.gender", "redact"), rule("Patient.birthDate", "dateShift"))
    assert [code for _, code in labels(made.anonymise(told))] == ["HTEST", "PERTURBED", "REDACTED"]
    untouched = microsoft(rule("Patient.photo", "redact"), rule("Patient.gender", "keep"))
    assert untouched.anonymise(told) == told


def test_extensions_beside_simple_values() -> None:
    told = {"resourceType": "Patient", "birthDate": "2000-01-01",
            "_birthDate": {"extension": [{"url": "u", "valueDateTime": "2000-01-01T05:00:00Z"}]}}  # fmt: skip
    assert leaves(microsoft(rule("Patient.birthDate", "redact")).anonymise(told)) == {
        "resourceType": "Patient"
    }
    by_type = leaves(microsoft(rule("nodesByType('Extension')", "redact")).anonymise(told))
    assert by_type == {"resourceType": "Patient", "birthDate": "2000-01-01"}


@pytest.mark.parametrize("setting", ["raise", "skip"])
def test_what_cannot_be_processed_does_not_leave(setting: str) -> None:
    body = {"processingErrors": setting, "fhirPathRules": [rule("Patient.gender", "redact")]}
    made = engine(read_policy(json.dumps(body), "test.json"))
    with pytest.raises(Wrong, match=UNKNOWN):
        made.anonymise({"resourceType": "Patient", "surname": "X"})
