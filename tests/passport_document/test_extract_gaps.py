"""Extracts under check: what is missing or looser is found before anybody signs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from worked import FULL, FULL_FACTS, FULL_FILL, TODAY

from bridleway.documents import Document
from bridleway.passport.document import path_key, read_passport
from bridleway.passport.gaps import check
from bridleway.passport.new import NewQuestion, new, put

TEXT = "SELECT ward, tenure, band FROM housing"
EXTRACT = replace(
    FULL,
    questions=(*FULL.questions, NewQuestion("homes", TEXT, "extract")),
)
DRAFT: dict[str, Any] = read_passport(new(EXTRACT, FULL_FACTS, (), FULL_FILL)).value
MISSING = object()


def told(**changes: Any) -> str:
    """Return every finding of the drafted passport, with one thing changed."""
    body: dict[str, Any] = read_passport(new(EXTRACT, FULL_FACTS, (), FULL_FILL)).value
    for path, value in changes.items():
        key = path_key(path.replace("__", "."))
        if value is MISSING:
            parent: Any = body
            for step in key[:-1]:
                parent = parent[step]
            del parent[key[-1]]
        else:
            put(body, key, value)
    findings = check(Document("p.yaml", body), FULL_FACTS, None, TODAY)
    return "\n".join(finding.sentence for finding in findings)


def test_a_draft_has_a_recipe_after_the_techniques() -> None:
    """With the columns that are listed, as the catalogue declares them, and records as output."""
    names = list(DRAFT)
    assert names.index("extracts") == names.index("technique") + 1
    assert DRAFT["extracts"]["homes"] == {
        "k": 10,
        "suppression": "0.05",
        "columns": {"ward": "quasi-identifier", "tenure": "quasi-identifier", "band": "plain"},
    }
    assert DRAFT["outputs"]["form"] == "records"
    assert "recipe" not in told()


def test_the_person_key_of_an_extract_is_listed() -> None:
    """People are counted by it, so it opens as a key though no text names it."""
    alone = replace(EXTRACT, questions=EXTRACT.questions[1:])
    body = read_passport(new(alone, FULL_FACTS, (), FULL_FILL)).value
    fields = body["data"]["sources"][0]["fields"]
    assert {"nhs_number": "key-only"}.items() <= {f["name"]: f["form"] for f in fields}.items()


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"extracts": MISSING}, "Extract 'homes' has no recipe."),
        ({"extracts__house": {"columns": {"ward": "quasi-identifier"}}},
         "There is no extract 'house' for this recipe."),
        ({"technique__homes__use": "linked"},
         "Extract 'homes' is linked, and an extract is made at one source."),
        ({"extracts__homes__k": 3}, "has k = 3, and disclosure.smallest_group is"),
        ({"data__tables__housing__at": ["council.housing.register", "health.records.conditions"]},
         "reads a table that stands for several organisations"),
        ({"extracts__homes__columns__ward": "plain"}, "'ward' is declared a quasi-identifier"),
        ({"extracts__homes__columns": {"band": "plain"}}, "names no quasi-identifier (columns)."),
        ({"extracts__homes__columns__band": {"class": "sensitive", "t": 0.3}},
         "is a number with a fraction, which is not signed as it stands"),
        ({"extracts__homes__columns__ward": {"class": "quasi-identifier", "hierarchy":
         {"tree": {"any": ["a", 0.5]}}}}, "is a number with a fraction"),
        ({"extracts__homes": "x"}, "This is no record of names and values."),
        ({"questions__1__text": "SELECT ward FROM elsewhere"}, "elsewhere"),
    ],
)  # fmt: skip
def test_what_an_extract_lacks_is_found(changes: dict[str, Any], found: str) -> None:
    """Each with its sentence."""
    paths = {path.replace("questions__1", "questions[1]"): v for path, v in changes.items()}
    assert found in told(**paths)


def test_without_catalogues_the_recipe_is_read_all_the_same() -> None:
    """What is declared is then not looked at."""
    body = read_passport(new(EXTRACT, FULL_FACTS, (), FULL_FILL)).value
    body["extracts"]["homes"]["columns"]["ward"] = "plain"
    found = check(Document("p.yaml", body), None, None, TODAY)
    assert not [f for f in found if "declared" in f.sentence]
