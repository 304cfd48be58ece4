"""Three real policies do on the shared sample what the oracle does, element by element."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from bridleway.fhir.policy import KEEPS_ALL
from bridleway.fhir.reading import read_policy, without_comments
from tests.fhir.imported.oracle import Oracle, compare
from tests.fhir.imported.support import (
    AS_OF,
    KEYS,
    POLICIES,
    engine,
    labels,
    leaves,
    policy_file,
    stratified,
)

TYPES = (
    "AllergyIntolerance", "CarePlan", "CareTeam", "Claim", "Condition", "Device",
    "DiagnosticReport", "Encounter", "ExplanationOfBenefit", "ImagingStudy", "Immunization",
    "MedicationRequest", "Observation", "Organization", "Patient", "Practitioner", "Procedure",
)  # fmt: skip
NEVER = "No element of FHIR R4 is at 'HealthcareService.notAvaliable.description'."
RULES = {POLICIES[0]: 193, POLICIES[1]: 406, POLICIES[2]: 193}


def document(name: str) -> dict[str, Any]:
    """Return a policy's document, not read by Bridleway where it can be."""
    text = policy_file(name)
    told = yaml.safe_load(text) if name.endswith(".yaml") else json.loads(without_comments(text))
    return dict(told)


@pytest.mark.parametrize("name", POLICIES)
def test_policies_of_others_load_unchanged_and_say_what_they_do_not(name: str) -> None:
    policy = read_policy(policy_file(name), name)
    assert (policy.language, policy.default) == ("microsoft", "keep")
    assert len(policy.rules) == RULES[name] == len(document(name)["fhirPathRules"])
    never = [one for one in policy.warnings if "never matches" in one]
    assert policy.warnings[0] == KEEPS_ALL
    assert [one.partition(" The rule")[0] for one in never] == (
        [] if name == POLICIES[1] else [NEVER]
    )


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", POLICIES)
def test_each_element_is_treated_as_the_documentation_says(name: str, kind: str) -> None:
    told = document(name)
    ours = engine(read_policy(policy_file(name), name))
    oracle = Oracle(told, KEYS.hashes, AS_OF)
    for resource in stratified(kind):
        expected, marks = oracle.anonymise(resource)
        made = ours.anonymise(resource)
        wrong, shifts = compare(leaves(expected), leaves(made))
        assert not wrong, sorted(set(wrong))
        assert all(-50 <= days <= 50 for days in shifts)
        assert len(set(shifts)) <= 1, "dates of one resource move together"
        before = {one["code"] for one in resource.get("meta", {}).get("security", [])}
        assert {code for _, code in labels(made)} - before == marks
