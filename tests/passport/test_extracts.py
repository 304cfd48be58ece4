"""An extract's recipe beside what is declared: it may be stricter, never looser."""

from __future__ import annotations

from typing import Any

import pytest

from bridleway.errors import BridlewayError, Gap, Refused
from bridleway.extract.recipe import read_recipe
from bridleway.model.catalogue import ColumnFacts
from bridleway.model.flow import Share
from bridleway.model.policy import Policy
from bridleway.passport.draft_extract import columns_listed, draft_recipe
from bridleway.passport.extracts import recipe_problems
from bridleway.passport.permit import permit
from bridleway.passport.state import state_of
from bridleway.questions.sql import Scope, parse, parse_listing

from .made import HOUSING, KEY, NOW, SAM, approved, body, column, facts, field, known, passport
from .test_permit import COLUMNS

TEXT = "SELECT area, tenure FROM housing WHERE area = 'n1'"
RECIPE: dict[str, Any] = {
    "k": 10,
    "columns": {"area": "quasi-identifier", "tenure": {"class": "sensitive", "l": 2}},
}
DECLARED = {
    "area": column("area", "quasi-identifier"),
    "tenure": column("tenure", "sensitive"),
    "nhs_number": column("nhs_number", "identifier"),
    "note": column("note"),
}


def problems(listed: str = "area tenure", forms: dict[str, str] | None = None, **said: Any) -> str:
    """Return what is wrong, in one text."""
    columns = {**RECIPE["columns"], **said.pop("columns", {})}
    recipe = read_recipe({**RECIPE, **said, "columns": columns})
    found = recipe_problems(recipe, listed.split(), DECLARED, forms or {})
    return " ".join(sentence for sentence, _ in found)


def test_a_recipe_that_fits_has_no_problem() -> None:
    """Also where it is stricter than what is declared."""
    assert problems() == ""
    assert problems("area tenure note", columns={"note": "quasi-identifier"}) == ""
    assert problems("area tenure note", columns={"note": "identifier"}) == ""


@pytest.mark.parametrize(
    ("listed", "said", "told"),
    [
        ("area tenure", {"columns": {"person": "entity"}}, "names an entity, 'person'"),
        ("area tenure", {"population": {"k": 5}}, "a table of the population"),
        ("area tenure note", {"columns": {"note": {"class": "set"}}}, "names a set, 'note'"),
        ("area tenure note", {}, "lists 'note', and its recipe does not say"),
        ("area", {}, "speaks of 'tenure', which the extract does not list"),
        ("area tenure", {"columns": {"area": "plain", "note": "quasi-identifier"}},
         "'area' is declared a quasi-identifier"),
        ("area tenure", {"columns": {"tenure": "plain"}}, "'tenure' is declared sensitive"),
        ("area tenure", {"columns": {"area": {"class": "quasi-identifier", "hierarchy":
         {"file": {"path": "a.csv", "text": "x"}}}}}, "says more than the file's name"),
        ("area tenure note", {"columns": {"note": "pseudonym"}, "pseudonyms": {"why": "follow up"}},
         "'note' is declared plain, and only identifiers become pseudonyms"),
    ],
)  # fmt: skip
def test_what_a_recipe_may_not_say(listed: str, said: dict[str, Any], told: str) -> None:
    """One sentence for each."""
    assert told in problems(listed, **said)


def test_forms_of_the_passport_hold_for_extracts() -> None:
    """Banded columns are generalised, hashed ones leave as pseudonyms."""
    assert "opens 'area' in bands" in problems(forms={"area": "banded"})
    level = {"area": {"class": "quasi-identifier", "level": 1}}
    assert problems(forms={"area": "banded"}, columns=level) == ""
    assert "pseudonym, or opens as one" in problems(forms={"tenure": "hashed"})
    told = {"columns": {"nhs_number": "pseudonym"}, "pseudonyms": {"why": "follow up"}}
    assert problems("area tenure nhs_number", {"nhs_number": "hashed"}, **told) == ""
    assert "not both" in problems("area tenure nhs_number", {"nhs_number": "raw"}, **told)


# -- what a node permits


def listed(**changes: Any) -> Any:
    """Return a passport with one extract of the council's housing."""
    said = changes.pop("recipe", RECIPE)
    return passport(
        questions=[{"id": "homes", "kind": "extract", "text": changes.pop("text", TEXT)}],
        technique=changes.pop("technique", {"homes": {"use": "local", "why": "one source"}}),
        extracts={"homes": said},
        **changes,
    )


def shared(text: Any, **changes: Any) -> Share:
    """Let the council decide on the extract."""
    scope = Scope({t: COLUMNS[t] for t in text.tables}, frozenset({"person"}))
    listing = parse_listing(text.questions[0].text, scope)
    told: dict[str, Any] = {
        "node": "council",
        "passport": text,
        "standing": state_of(text, approved(text), known(), NOW),
        "pinned": {"homes": listing},
        "question": listing,
        "asker": SAM.id,
        "asker_node": "city",
        "purpose": text.purpose,
        "policy": Policy(),
        "tables": {"housing": HOMES},
        "versions": {"council.housing": "a" * 64},
        "now": NOW,
    }
    return permit(**told | changes)


def refused(text: Any, kind: type[BridlewayError] = Refused, **changes: Any) -> str:
    """Return why the council refuses."""
    with pytest.raises(kind) as caught:
        shared(text, **changes)
    assert caught.value.remedy
    return f"{caught.value.code}: {caught.value.sentence}"


HOMES = facts(
    "council", "housing", "register",
    column("nhs_number", "identifier"), column("area", "quasi-identifier"),
    column("tenure", "sensitive"), column("rent"),
)  # fmt: skip


def test_an_extract_that_fits_is_permitted() -> None:
    """With the facts of its columns and of the person key."""
    share = shared(listed())
    assert set(share.tables["housing"].columns) >= {"area", "tenure"}
    assert "rent" not in share.tables["housing"].columns


def test_an_extract_is_no_statistic() -> None:
    """And a statistic no extract."""
    text = listed()
    scope = Scope({t: COLUMNS[t] for t in text.tables}, frozenset({"person"}))
    asked = parse("SELECT area, COUNT(DISTINCT person) AS n FROM housing GROUP BY area", scope)
    told = refused(text, question=asked, pinned={"homes": asked})
    assert told == "kind: Question 'homes' is of kind 'extract'."


def test_extracts_are_made_at_one_source() -> None:
    """Whatever the passport says."""
    text = listed(technique={"homes": {"use": "linked", "why": "joined"}})
    assert "its technique is 'linked'" in refused(text)


def test_nothing_leaves_in_the_clear() -> None:
    """Extracts leave anonymised only."""
    technique = {
        "homes": {"use": "local", "why": "one source"},
        "results_in_the_clear": "the board wants to see records",
    }
    told = refused(listed(technique=technique))
    assert told.startswith("clear: ")


def test_a_looser_recipe_is_refused_at_the_node() -> None:
    """Its own catalogue decides."""
    loose = {**RECIPE, "columns": {"area": "plain", "tenure": "quasi-identifier"}}
    told = refused(listed(recipe=loose))
    assert told.startswith("recipe: 'area' is declared a quasi-identifier")


def pseudonymous(form: str, text: str) -> Any:
    """Return a passport whose extract lists the identifier as a pseudonym."""
    recipe = {
        **RECIPE,
        "columns": {**RECIPE["columns"], "nhs_number": "pseudonym"},
        "pseudonyms": {"why": "follow up"},
    }
    fields = [{**KEY, "form": form}, field("area"), field("tenure")]
    sources = body()["data"]["sources"]
    sources[0] = {"id": "council.housing", "fields": fields}
    return listed(text=text, recipe=recipe, data__sources=sources)


def test_a_pseudonym_opens_the_identifier_and_no_condition_reads_it() -> None:
    """`form: hashed` lets the pseudonym leave, and nothing else."""
    text = "SELECT area, tenure, nhs_number FROM housing"
    assert shared(pseudonymous("hashed", text))
    told = f"{text} WHERE nhs_number = '9434765919'"
    refused(pseudonymous("hashed", told), BridlewayError)


# -- reading it


def test_an_extract_without_a_recipe_is_a_gap() -> None:
    """As is a recipe that cannot be read."""
    with pytest.raises(Gap, match="no recipe for extract 'homes'"):
        passport(
            questions=[{"id": "homes", "kind": "extract", "text": TEXT}],
            technique={"homes": {"use": "local", "why": "one source"}},
        )
    with pytest.raises(Gap, match="no recipe for extract 'homes'"):
        passport(
            questions=[{"id": "homes", "kind": "extract", "text": TEXT}],
            technique={"homes": {"use": "local", "why": "one source"}},
            extracts={"other": RECIPE},
        )
    with pytest.raises(Gap, match="no quasi-identifier"):
        listed(recipe={"k": 10, "columns": {"area": "plain"}})


# -- drafting it


def test_a_draft_protects_what_is_declared() -> None:
    """A hierarchy by type or name for each quasi-identifier; everything else as it is declared."""
    table = facts(
        "council", "housing", "register",
        ColumnFacts("age", "integer", "quasi-identifier"),
        ColumnFacts("postcode", "text", "quasi-identifier"),
        ColumnFacts("born", "date", "quasi-identifier"),
        ColumnFacts("sex", "text", "quasi-identifier"),
        ColumnFacts("Occupation", "text", "quasi-identifier"),
        ColumnFacts("main_diagnosis", "text", "quasi-identifier"),
        ColumnFacts("illness", "text", "sensitive"),
        ColumnFacts("visits", "integer", "plain"),
    )  # fmt: skip
    text = (
        "SELECT Age, postcode, born, sex, occupation, main_diagnosis, illness, visits, elsewhere "
        "FROM housing"
    )
    told = draft_recipe(text, table, 10)
    quasi = {"class": "quasi-identifier"}
    assert told["columns"] == {
        "age": {**quasi, "hierarchy": "numbers"},
        "postcode": {**quasi, "hierarchy": "postcodes"},
        "born": {**quasi, "hierarchy": "dates"},
        "sex": "quasi-identifier",
        "Occupation": {**quasi, "hierarchy": "occupation"},
        "main_diagnosis": {**quasi, "hierarchy": "icd10"},
        "illness": "sensitive",
        "visits": "plain",
    }
    assert (told["k"], told["suppression"]) == (10, "0.05")
    assert read_recipe(told).k == 10
    assert columns_listed("no question at all") == []
    assert HOUSING.table
