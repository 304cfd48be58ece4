"""What a check finds about extracts and gateways, and what a draft says, word for word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_extract_gaps import EXTRACT, MISSING, TEXT
from test_fhir_extracts import ASKED, FACTS
from worked import FULL, FULL_FACTS, FULL_FILL, TODAY

from bridleway.documents import Document
from bridleway.passport.document import path_key, read_passport
from bridleway.passport.gaps import check
from bridleway.passport.new import NewAnswers, NewQuestion, new, put
from tests.support.recorded import entry_is_recorded

SAID = Path(__file__).parent / "said"
GATEWAY = {"from": "council", "to": "health", "why": "One body holds both."}
FOUND: dict[str, dict[str, Any]] = {
    "no recipe": {"extracts": MISSING},
    "a recipe of nothing": {"extracts.house": {"columns": {"ward": "quasi-identifier"}}},
    "linked": {"technique.homes.use": "linked"},
    "a k too small": {"extracts.homes.k": 3},
    "several places": {
        "data.tables.housing.at": ["council.housing.register", "health.records.conditions"]
    },
    "looser than declared": {"extracts.homes.columns.ward": "plain"},
    "no quasi-identifier": {"extracts.homes.columns": {"band": "plain"}},
    "a fraction": {"extracts.homes.columns.band": {"class": "sensitive", "t": 0.3}},
    "no record": {"extracts.homes": "x"},
    "its own data": {"lawfulness.gateways": [{**GATEWAY, "id": "own-data"}]},
    "nobody in it": {"lawfulness.gateways": [{**GATEWAY, "id": "no-person-in-data"}]},
    "no title": {"title": "", "lawfulness.gateways": []},
}
FHIR_FOUND: dict[str, dict[str, Any]] = {
    "a k too small": {"extracts.cohort.fhir.k": 5},
    "measured only": {"extracts.cohort.fhir": {"policy": "safe-harbor", "types": ["Patient"]}},
    "unknown type": {"extracts.cohort.fhir.types": ["Patients"]},
    "unknown policy": {"extracts.cohort.fhir.policy": "analytic"},
    "linked": {"technique.cohort.use": "linked"},
    "no recipe": {"extracts": MISSING},
}
DRAFTS: dict[str, tuple[NewAnswers, Any]] = {
    "table": (EXTRACT, FULL_FACTS),
    "fhir": (ASKED, FACTS),
    "blind": (
        replace(FULL, questions=(replace(FULL.questions[0], technique="blind", why=""),)),
        FULL_FACTS,
    ),
    "trial": (replace(EXTRACT, template="first-question"), FULL_FACTS),
    "alone": (replace(FULL, questions=(NewQuestion("homes", TEXT, "extract"),)), FULL_FACTS),
}


def findings(asked: NewAnswers, facts: Any, changes: dict[str, Any]) -> list[list[str]]:
    body: dict[str, Any] = read_passport(new(asked, facts, (), FULL_FILL)).value
    for path, value in changes.items():
        key = path_key(path)
        if value is MISSING:
            del body[key[0]]
        else:
            put(body, key, value)
    told = check(Document("p.yaml", body), facts, None, TODAY)
    return [[one.severity, one.path, one.sentence, one.remedy] for one in told]


@pytest.mark.parametrize("name", FOUND)
def test_what_is_found_of_an_extract(name: str) -> None:
    """Severity, place, sentence and remedy of everything that is found."""
    told = findings(EXTRACT, FULL_FACTS, FOUND[name])
    entry_is_recorded(SAID / "found_of_extracts.json", name, told)


@pytest.mark.parametrize("name", FHIR_FOUND)
def test_what_is_found_of_a_fhir_extract(name: str) -> None:
    """As of any other."""
    told = findings(ASKED, FACTS, FHIR_FOUND[name])
    entry_is_recorded(SAID / "found_of_fhir_extracts.json", name, told)


@pytest.mark.parametrize("name", DRAFTS)
def test_what_a_draft_says(name: str) -> None:
    """Every word that is put into an author's mouth, and every one that is left to them."""
    asked, facts = DRAFTS[name]
    entry_is_recorded(SAID / "drafts.json", name, new(asked, facts, (), FULL_FILL).splitlines())


@pytest.mark.parametrize("name", [*FOUND, *FHIR_FOUND])
def test_every_finding_is_told_in_words(name: str) -> None:
    """A sentence and a remedy, each a text that ends."""
    asked = (
        (EXTRACT, FULL_FACTS, FOUND[name]) if name in FOUND else (ASKED, FACTS, FHIR_FOUND[name])
    )
    for _, _, sentence, remedy in findings(*asked):
        assert sentence.endswith((".", "?")) and remedy.endswith((".", "?", "'", ")", "`"))
