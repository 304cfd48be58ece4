"""Recipes of FHIR: each says what leaves, may be stricter than its passport, and never looser."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from bridleway.errors import BridlewayError, Gap, Refused, UsageError
from bridleway.fhir.reading import read_policy, shipped
from bridleway.model.flow import Share
from bridleway.model.policy import Policy, Rules
from bridleway.model.question import Column, Compare, Listing, Literal
from bridleway.passport.draft_extract import draft_recipe
from bridleway.passport.fhir_extracts import (
    COLUMNS,
    PLAIN_EXPORT,
    FhirRecipe,
    draft_fhir,
    fhir_problems,
    is_fhir,
    listing_problems,
    read_fhir,
)
from bridleway.passport.permit import permit
from bridleway.passport.state import state_of
from bridleway.questions.sql import Scope, parse_listing
from tests.support.recorded import error_is_recorded, told_why

from .made import KEY, NOW, SAM, approved, body, column, facts, field, known, passport

TYPES = ["Patient", "Condition"]
RULES = [{"path": "Patient.gender", "method": "keep"}]
OWN: dict[str, Any] = {"default": "redact", "fhirPathRules": RULES}


def recipe(**said: Any) -> dict[str, Any]:
    """Return a recipe, with something said otherwise; None leaves it out."""
    told = {"policy": "analytics", "types": TYPES, **said}
    return {"fhir": {name: value for name, value in told.items() if value is not None}}


# -- reading it


def test_a_recipe_of_fhir_is_told_by_its_key() -> None:
    """Whatever else it says, and whether it can be read or not."""
    assert is_fhir({"fhir": {}}) and is_fhir({"fhir": None, "k": 5})
    assert not is_fhir({"k": 5}) and not is_fhir("fhir") and not is_fhir(None)


def test_a_recipe_names_a_policy_and_types() -> None:
    """The types come in one order, whatever the writer's."""
    told = read_fhir(recipe())
    assert told == FhirRecipe(shipped("analytics"), ("Condition", "Patient"))
    assert not told.plain
    assert read_fhir(recipe(plain=False)) == told
    assert read_fhir(recipe(policy="safe-harbor")).policy == shipped("safe-harbor")


def test_resources_as_they_are_have_no_policy() -> None:
    """Said on purpose only."""
    told = read_fhir(recipe(policy=None, plain=True))
    assert told == FhirRecipe(None, ("Condition", "Patient")) and told.plain
    assert PLAIN_EXPORT == "plain-export"  # the role that certificates name


@pytest.mark.parametrize("k", [2, 3, 1000])
def test_k_of_the_recipe_is_that_of_its_policy(k: int) -> None:
    """Everything else of the policy stays, its other settings of patients too."""
    policy, known_one = read_fhir(recipe(k=k)).policy, shipped("analytics")
    assert policy is not None and policy.people.k == k
    assert policy.people.bands == known_one.people.bands
    assert (policy.digest, policy.rules) == (known_one.digest, known_one.rules)


def test_a_whole_policy_stands_in_the_recipe() -> None:
    """It is the same, by its digest, as in a file of its own."""
    patients = {"k": 7, "heldBack": 0.05}
    told = read_fhir(recipe(policy={**OWN, "patients": patients}), "extracts.cohort").policy
    alone = read_policy(json.dumps({**OWN, "patients": patients}), "alone.json")
    assert told is not None and told.digest == alone.digest
    assert (told.people.k, told.people.held_back) == (7, 0.05)
    assert told.is_own and told.default == "redact" and len(told.rules) == 1


@pytest.mark.parametrize("share", ["0.125", Decimal("0.125"), 0.125])
def test_fractions_of_a_policy_stand_in_quotes(share: Any) -> None:
    """Signed texts hold none; in YAML or JSON that is not signed they may stand as they are."""
    policy = read_fhir(recipe(policy={**OWN, "patients": {"heldBack": share}})).policy
    assert policy is not None and policy.people.held_back == 0.125
    rule = {"path": "Patient.multipleBirth", "method": "perturb", "span": str(share)}
    policy = read_fhir(recipe(policy={**OWN, "fhirPathRules": [rule, *RULES]})).policy
    assert policy is not None and policy.rules[0].settings == {"span": 0.125}


@pytest.mark.parametrize("share", ["0.", ".5", "1e-3", "0,5", "-0.5", "half", " 0.5", "0.5 "])
def test_only_numbers_in_quotes_are_numbers(share: str) -> None:
    """What else stands there is refused by the policy's own reader."""
    with pytest.raises(UsageError, match="heldBack is no share from 0 to 1"):
        read_fhir(recipe(policy={**OWN, "patients": {"heldBack": share}}))


def test_numbers_in_quotes_are_texts_elsewhere() -> None:
    """A constant of digits stays the text that it is."""
    rule = {"path": "Patient.address.postalCode", "method": "substitute", "replaceWith": "0.5"}
    policy = read_fhir(recipe(policy={**OWN, "fhirPathRules": [rule]})).policy
    assert policy is not None and policy.rules[0].settings == {"replaceWith": "0.5"}


@pytest.mark.parametrize(
    "told",
    [
        {"fhir": {"policy": "analytics", "types": TYPES}, "k": 5},
        {"fhir": "analytics"},
        {"fhir": ["policy"]},
        {"fhir": None},
        recipe(polcy="analytics"),
        recipe(columns={}),
        {"fhir": {1: 2}},
        {"fhir": {"types": TYPES}},
        recipe(plain=True),
        recipe(policy=None, plain=False),
        recipe(policy=None, plain=1),
        recipe(policy=None, plain="true"),
        recipe(policy=None, plain=True, k=5),
        recipe(policy=None, plain=True, types=["Patients"]),
        recipe(types=None),
        recipe(types=[]),
        recipe(types="Patient"),
        recipe(types=["Patient", "Patient"]),
        recipe(types=[5]),
        recipe(types=["Patient", "patient"]),
        recipe(types=["Condition", "Resource"]),
        recipe(types=[["Patient"]]),
        recipe(policy="analytic"),
        recipe(policy="analytics.yaml"),
        recipe(policy=5),
        recipe(policy=["analytics"]),
        recipe(k=1),
        recipe(k=0),
        recipe(k=True),
        recipe(k="10"),
        recipe(policy={**OWN, "default": "remove"}),
        recipe(policy={**OWN, "fhirPathRules": []}),
        recipe(policy={**OWN, "fhirPathRules": [{"path": "Patient.gende", "method": "keep"}]}),
    ],
)  # fmt: skip
def test_what_a_recipe_may_not_say(told: dict[str, Any]) -> None:
    """One sentence for each, with its remedy and place."""
    with told_why(UsageError):
        read_fhir(told, "extracts.cohort")


def test_a_policy_without_a_place_is_called_policy() -> None:
    """Where a recipe is read for itself."""
    rules = [{"path": "Patient.gender", "method": "kep"}]
    with told_why(UsageError) as caught:
        read_fhir(recipe(policy={**OWN, "fhirPathRules": rules}))
    assert caught.value.where.startswith("policy")


# -- beside the passport


def problems(told: dict[str, Any], least: object = 10) -> list[tuple[str, str]]:
    """Return what the passport's rules forbid of a recipe."""
    return list(fhir_problems(read_fhir(told), least))


@pytest.mark.parametrize("k", [10, 11, 500])
def test_a_recipe_that_is_strict_enough_has_no_problem(k: int) -> None:
    """Its k may be larger than the passport's smallest group."""
    assert problems(recipe(k=k)) == []


@pytest.mark.parametrize(
    ("told", "k"),
    [(recipe(k=9), 9), (recipe(), 5), (recipe(policy="safe-harbor"), 0), (recipe(policy=OWN), 0)],
)
def test_fewer_than_the_smallest_group_is_a_problem(told: dict[str, Any], k: int) -> None:
    """As is a policy that only measures."""
    assert problems(told) == [
        (f"The policy has k = {k}, and disclosure.smallest_group is 10.",
         "Write k: 10 beside policy.")
    ]  # fmt: skip


@pytest.mark.parametrize("least", [None, "10", True, 9.5])
def test_what_is_no_smallest_group_is_said_elsewhere(least: object) -> None:
    """The passport's own shape names it."""
    assert problems(recipe(policy="safe-harbor"), least) == []


@pytest.mark.parametrize(
    "policy",
    [
        {"default": "keep", "fhirPathRules": RULES},
        {"fhirPathRules": [{"path": "Patient.name", "method": "redact"}]},
        {"resources": {}},
    ],
)
def test_a_policy_that_lets_out_the_rest_is_a_problem(policy: dict[str, Any]) -> None:
    """Bridleway's own that keeps, Microsoft's, Bahmni's."""
    assert problems(recipe(policy=policy, k=10)) == [
        ("The policy lets out what no rule names.",
         "Write a policy of your own with default: redact.")
    ]  # fmt: skip
    assert len(problems(recipe(policy=policy))) == 2


def test_resources_as_they_are_have_no_policy_to_be_loose() -> None:
    """Another permission guards them."""
    assert problems(recipe(policy=None, plain=True), 1000) == []


@pytest.mark.parametrize(
    ("names", "where", "fits"),
    [
        (["resource"], False, True),
        (["resource"], True, False),
        (["resource", "type"], False, False),
        (["type"], False, False),
        (["patient", "resource"], False, False),
    ],
)
def test_an_extract_lists_whole_resources(names: list[str], where: bool, fits: bool) -> None:
    """No column beside, and no condition that reads what the policy would not let out."""
    columns = tuple(Column("fhir", name) for name in names)
    condition = Compare("=", Column("fhir", "type"), Literal("Patient")) if where else None
    found = list(listing_problems(Listing("fhir", columns, condition)))
    told = (
        "An extract of FHIR lists whole resources, and its policy says what of them leaves.",
        "Write SELECT resource FROM the table, and nothing else.",
    )
    assert found == ([] if fits else [told])


# -- what a node permits

TEXT = "SELECT resource FROM fhir"
FHIR = facts(
    "council", "ehr", "fhir",
    column("patient", "identifier"), column("type"), column("resource", "sensitive"),
)  # fmt: skip


def cohort(told: dict[str, Any], text: str = TEXT, **changes: Any) -> Any:
    """Return a passport with one extract of the council's health records."""
    fields = [KEY, field("resource"), field("type")]
    sources = [{"id": "council.ehr", "fields": fields}, *body()["data"]["sources"][1:]]
    tables = body()["data"]["tables"]
    tables = {"fhir": {"at": ["council.ehr.fhir"]}, "health": tables["health"],
              "work": tables["work"]}  # fmt: skip
    controllers = body()["parties"]["controllers"]
    controllers[0] = {**controllers[0], "sources": ["council.ehr"]}
    return passport(
        questions=[{"id": "cohort", "kind": "extract", "text": text}],
        technique={"cohort": {"use": "local", "why": "one source"}},
        extracts={"cohort": told},
        data__sources=sources,
        data__tables=tables,
        data__links=[{"entity": "person", "tables": ["fhir", "health"], "where": "linker"}],
        parties__controllers=controllers,
        **changes,
    )


def decided(text: Any, **changes: Any) -> Share:
    """Let the council decide on the extract."""
    columns = frozenset({"nhs_number", *COLUMNS})
    scope = Scope({table: columns for table in text.tables}, frozenset({"person"}))
    listing = parse_listing(text.questions[0].text, scope)
    told: dict[str, Any] = {
        "node": "council",
        "passport": text,
        "standing": state_of(text, approved(text), known(), NOW),
        "pinned": {"cohort": listing},
        "question": listing,
        "asker": SAM.id,
        "asker_node": "city",
        "purpose": text.purpose,
        "policy": Policy(),
        "tables": {"fhir": FHIR},
        "versions": {"council.ehr": "a" * 64},
        "now": NOW,
    }
    return permit(**told | changes)


def refused(text: Any, **changes: Any) -> Refused:
    """Return the refusal, recorded word for word."""
    with pytest.raises(Refused) as caught:
        decided(text, **changes)
    error_is_recorded(caught.value)
    return caught.value


def test_an_extract_that_fits_is_permitted() -> None:
    """With the facts of its one column, and of the key that k counts."""
    share = decided(cohort(recipe(k=10)))
    assert set(share.tables) == {"fhir"}
    assert set(share.tables["fhir"].columns) == {"resource"}
    assert set(share.tables["fhir"].entities) == {"person"}
    assert decided(cohort(recipe(policy=None, plain=True)))


def test_a_recipe_needs_no_word_about_columns() -> None:
    """The policy speaks of elements; a column that is declared sensitive is no reason to refuse."""
    assert decided(cohort(recipe(policy={**OWN, "patients": {"k": 10}})))


@pytest.mark.parametrize(
    "told", [recipe(), recipe(policy="safe-harbor"), recipe(policy={"fhirPathRules": RULES}, k=10)]
)
def test_a_looser_policy_is_refused_at_the_node(told: dict[str, Any]) -> None:
    """The passport's own rules decide."""
    assert refused(cohort(told)).code == "recipe"


def test_the_strictest_smallest_group_holds() -> None:
    """The node's policy counts as much as the passport."""
    text = cohort(recipe(k=15))
    assert decided(text)
    assert refused(text, policy=Policy(rules=Rules(smallest_group=16))).code == "recipe"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT type FROM fhir",
        "SELECT resource, type FROM fhir",
        "SELECT resource FROM fhir WHERE type = 'Patient'",
    ],
)
def test_only_whole_resources_are_listed(text: str) -> None:
    """Whatever else the passport opens."""
    assert refused(cohort(recipe(k=10), text)).code == "recipe"


def test_resources_as_they_are_are_listed_whole_too() -> None:
    """What is wrong with the text is wrong without a policy."""
    text = cohort(recipe(policy=None, plain=True), "SELECT resource, type FROM fhir")
    assert refused(text).code == "recipe"


def test_a_resource_that_opens_as_a_key_alone_does_not_leave() -> None:
    """FHIR has no pseudonyms of whole resources."""
    sources = [
        {"id": "council.ehr", "fields": [KEY, field("resource", "hashed")]},
        *body()["data"]["sources"][1:],
    ]
    told = cohort(recipe(k=10)).body
    changed = passport(**{**told, "data": {**told["data"], "sources": sources}})
    assert refused(changed).code == "key-only"


def test_a_recipe_that_cannot_be_read_is_a_gap_at_its_place() -> None:
    """Before anybody signs, and again when the sealed text is read."""
    for told in (recipe(types=["Patients"]), recipe(policy="none"), {"fhir": 5}):
        with told_why(Gap) as caught:
            cohort(told)
        assert caught.value.where == "extracts.cohort"
        assert caught.value.code == "passport-incomplete"


def test_a_fraction_that_is_not_in_quotes_is_not_sealed() -> None:
    """As in every signed text."""
    for share in (0.05, Decimal("0.05")):
        with pytest.raises(BridlewayError) as caught:
            cohort(recipe(policy={**OWN, "patients": {"k": 10, "heldBack": share}}))
        assert "put the value in quotes" in caught.value.remedy
    assert cohort(recipe(policy={**OWN, "patients": {"k": 10, "heldBack": "0.05"}}))


# -- drafting it


@pytest.mark.parametrize(
    ("declared", "types"),
    [
        ((), ["Patient"]),
        (("Observation", "Condition", "Patient"), ["Condition", "Observation", "Patient"]),
        (("Condition", None, 5, "Resource", "Condition", "patient"), ["Condition"]),
        (("none", None), ["Patient"]),
    ],
)
def test_a_draft_lists_the_types_that_are_declared(
    declared: tuple[object, ...], types: list[str]
) -> None:
    """Those that FHIR has; people alone where the catalogue says nothing."""
    told = draft_fhir(declared, 12)
    assert told == {"policy": "analytics", "types": types, "k": 12}
    assert problems({"fhir": told}, 12) == []


def test_the_table_of_a_fhir_source_is_told_by_its_columns() -> None:
    """All three of them, whatever stands beside."""
    domain = ("Patient", "Condition")
    fhir = {name: column(name) for name in COLUMNS}
    fhir["type"] = type(fhir["type"])("type", "text", "plain", domain=domain)
    table = facts("clinic", "ehr", "fhir", *fhir.values())
    assert COLUMNS == ("patient", "type", "resource")
    assert draft_recipe(TEXT, table, 10) == {
        "fhir": {"policy": "analytics", "types": ["Condition", "Patient"], "k": 10}
    }
    for name in COLUMNS:
        less = facts("clinic", "ehr", "fhir", *(c for n, c in fhir.items() if n != name))
        assert "fhir" not in draft_recipe(TEXT, less, 10)
