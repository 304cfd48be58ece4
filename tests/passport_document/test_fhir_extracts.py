"""FHIR extracts in passports under check, and in drafts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from worked import FULL, FULL_FACTS, FULL_FILL, TODAY, column

from bridleway.documents import Document
from bridleway.model.catalogue import EntityKey, TableFacts
from bridleway.passport.document import path_key, read_passport
from bridleway.passport.gaps import check
from bridleway.passport.new import NewQuestion, new, put
from bridleway.passport.writing import to_yaml

TEXT = "SELECT resource FROM fhir"
PLACE = "clinic.ehr.fhir"
TYPES = ("Patient", "Condition", None)


def ehr(*, types: tuple[str | None, ...] | None = TYPES) -> TableFacts:
    """Return the one table of a FHIR source, as its catalogue declares it."""
    held = {c.name: c for c in (
        column("patient", "identifier"),
        replace(column("type", "plain"), domain=types),
        column("resource", "sensitive"),
    )}  # fmt: skip
    return TableFacts(
        "clinic", "ehr", "fhir", held, {"person": EntityKey("person", "patient", "reference")}
    )


FACTS = {**FULL_FACTS, PLACE: ehr()}
ASKED = replace(
    FULL,
    tables={**FULL.tables, "fhir": (PLACE,)},
    questions=(*FULL.questions, NewQuestion("cohort", TEXT, "extract")),
    controllers={**FULL.controllers, "clinic": "Clinic"},
)


def draft(facts: dict[str, TableFacts] = FACTS, fill: dict[str, Any] | None = None) -> Any:
    """Return the drafted passport as data."""
    return read_passport(new(ASKED, facts, (), fill or FULL_FILL)).value


def found(**changes: Any) -> list[tuple[str, str, str]]:
    """Return path, sentence and remedy of what is found about the extract, one thing changed."""
    body = draft()
    for path, value in changes.items():
        put(body, path_key(path.replace("__", ".").replace("_1_", "[1].")), value)
    told = check(Document("p.yaml", body), FACTS, None, TODAY)
    paths = ("extracts", "questions[1]", "technique.cohort")
    return [(f.path, f.sentence, f.remedy) for f in told if f.path.startswith(paths)]


def test_a_draft_names_a_policy_and_the_declared_types() -> None:
    """With a k that the passport's own smallest group allows; records are the output."""
    body = draft()
    assert body["extracts"]["cohort"] == {
        "fhir": {"policy": "analytics", "types": ["Condition", "Patient"], "k": 10}
    }
    assert body["technique"]["cohort"]["use"] == "local"
    assert body["outputs"]["form"] == "records"
    assert found() == []


def test_a_draft_opens_resources_and_the_key_that_is_counted() -> None:
    """Resources as held, for the policy to work on; patients as a key that never leaves."""
    fields = {s["id"]: s["fields"] for s in draft()["data"]["sources"]}["clinic.ehr"]
    assert {f["name"]: f["form"] for f in fields} == {"patient": "key-only", "resource": "raw"}


def test_a_draft_opens_the_key_of_people_and_no_other_that_nobody_named() -> None:
    """k counts people by their key; other entities' keys stay closed unless the text names them."""
    table = ehr()
    held = {**table.columns, "visit": column("visit", "identifier")}
    keys = {**table.entities, "visit": EntityKey("visit", "visit", "reference")}
    facts = {**FACTS, PLACE: replace(table, columns=held, entities=keys)}
    fields = {s["id"]: s["fields"] for s in draft(facts)["data"]["sources"]}["clinic.ehr"]
    assert {f["name"] for f in fields} == {"patient", "resource"}


def test_a_draft_is_as_strict_as_its_smallest_group() -> None:
    """The larger of the two."""
    template = {**FULL_FILL, "disclosure": {"smallest_group": 25}}
    assert draft(fill=template)["extracts"]["cohort"]["fhir"]["k"] == 10
    assert found(disclosure__smallest_group=25) == [
        ("extracts.cohort", "The policy has k = 10, and disclosure.smallest_group is 25.",
         "Write k: 25 beside policy.")
    ]  # fmt: skip


def test_without_declared_types_a_draft_lists_patients() -> None:
    """The writer adds what the purpose needs."""
    body = draft({**FULL_FACTS, PLACE: ehr(types=None)})
    assert body["extracts"]["cohort"]["fhir"]["types"] == ["Patient"]


UNREADABLE = [
    ({"policy": "analytic", "types": ["Patient"]}, "There is no policy 'analytic'."),
    ({"policy": "analytics", "types": ["Patients"]}, "FHIR R4 has no resource 'Patients'."),
    ({"policy": "analytics"}, "The recipe does not list types of resource"),
    ({"types": ["Patient"]}, "The recipe says neither a policy nor plain: true"),
    ({"policy": "analytics", "types": ["Patient"], "k": 1}, "k is no number of 2 or more."),
]


@pytest.mark.parametrize(("told", "words"), UNREADABLE)
def test_a_recipe_that_cannot_be_read_is_found_once(told: dict[str, Any], words: str) -> None:
    """By its shape, at its place; nothing else is said of it."""
    ((path, sentence, remedy),) = found(extracts__cohort={"fhir": told})
    assert path == "extracts.cohort" and sentence.startswith(words) and remedy


def test_a_looser_policy_is_found_before_anybody_signs() -> None:
    """Both that its k is small and that it keeps what no rule names."""
    policy = {"fhirPathRules": [{"path": "Patient.name", "method": "redact"}]}
    told = found(extracts__cohort={"fhir": {"policy": policy, "types": ["Patient"]}})
    assert told == [
        ("extracts.cohort", "The policy has k = 0, and disclosure.smallest_group is 10.",
         "Write k: 10 beside policy."),
        ("extracts.cohort", "The policy lets out what no rule names.",
         "Write a policy of your own with default: redact."),
    ]  # fmt: skip


def test_resources_as_they_are_are_a_choice_of_the_passport() -> None:
    """Who approves reads it in the recipe."""
    assert found(extracts__cohort={"fhir": {"plain": True, "types": ["Patient"]}}) == []


def test_an_extract_of_several_organisations_is_found() -> None:
    """Also where its recipe is one of FHIR."""
    told = found(data__tables__fhir__at=[PLACE, "health.ehr.fhir"])
    assert (
        "questions[1].text",
        "Extract 'cohort' reads a table that stands for several organisations.",
        "Write an extract for each of them.",
    ) in told


def test_an_extract_is_made_at_one_source() -> None:
    """As any other."""
    told = found(technique__cohort__use="linked")
    assert ("technique.cohort.use", "Extract 'cohort' is linked, and an extract is made at one "
            "source.", "Write use: local.") in told  # fmt: skip


@pytest.mark.parametrize("written", ["0.05", '"0.05"'])
def test_fractions_of_a_policy_are_written_in_quotes(written: str) -> None:
    """A fraction that YAML reads as a number is found at its own place, whatever reads it."""
    body = draft()
    body["extracts"]["cohort"]["fhir"]["policy"] = {
        "default": "redact",
        "patients": {"k": 10, "heldBack": "SHARE"},
        "fhirPathRules": [{"path": "Patient.gender", "method": "keep"}],
    }
    text = to_yaml(body)
    assert text.count("SHARE") == 1
    document = read_passport(text.replace("SHARE", written))
    told = [f for f in check(document, FACTS, None, TODAY) if f.path.startswith("extracts")]
    if written == "0.05":
        ((path, sentence),) = [(f.path, f.sentence) for f in told]
        assert path == "extracts.cohort.fhir.policy.patients.heldBack"
        assert sentence.endswith("is a number with a fraction, which is not signed as it stands.")
    else:
        assert told == []


KEY_WARNS = "The name 'patient' suggests health, and its category does not say so."
LISTING_WARNS = (
    "'resource' holds FHIR resources, which is health data, and its category does not say so."
)


@pytest.mark.parametrize(
    ("category", "more", "told"),
    [
        ("user.health_and_medical", {}, []),
        ("uk.health.hospital", {}, []),
        ("user", {}, [KEY_WARNS, LISTING_WARNS]),
        ("user.demographic.race_ethnicity", {}, [KEY_WARNS]),
        ("user", {"lawfulness.article6": "trial-no-real-people"}, []),
    ],
)
def test_the_key_of_patients_is_no_finding_where_the_passport_says_health(
    category: str, more: dict[str, Any], told: list[str]
) -> None:
    """Its name adds nothing to it; where the passport says less than health, both are found."""
    body = draft()
    fields = body["data"]["sources"][2]["fields"]
    assert [one["name"] for one in fields] == ["patient", "resource"]
    assert fields[1]["category"] == "user.health_and_medical"
    fields[0]["category"], fields[1]["category"] = "user.unique_id", category
    for path, value in more.items():
        put(body, path_key(path), value)
    findings = check(Document("p.yaml", body), FACTS, None, TODAY)
    assert [
        f.sentence
        for f in findings
        if f.severity == "warning" and f.path.startswith("data.sources[2]")
    ] == told
