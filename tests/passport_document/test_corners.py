"""Corners of drafting and checking: what is half said is found, or put right, at its place."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from test_check_gaps import MISSING, _body, _found
from worked import (
    FACTS,
    FULL,
    FULL_FACTS,
    PEOPLE,
    TODAY,
    TRIAL,
    column,
    facts,
    full_text,
    table,
    trial_text,
)

from bridleway.errors import Fault, Gap, UsageError
from bridleway.model.passport import PersonCertificate
from bridleway.passport.body import Part, passport_from_body
from bridleway.passport.document import model_fields, read_file, read_passport
from bridleway.passport.export import export
from bridleway.passport.gaps import check
from bridleway.passport.gaps_needs import needed
from bridleway.passport.gaps_touch import touched
from bridleway.passport.needs import _guardians
from bridleway.passport.new import NewQuestion, new
from bridleway.passport.persons import Persons
from bridleway.passport.writing import to_yaml

CORNERS: list[tuple[str, dict[str, Any], str, str]] = [
    ("field without a name", {"data.sources[0].fields[1].name": MISSING}, "gap", "name' is missing"),
    ("question without an id", {"questions[0].id": MISSING}, "gap", "There is no question 'by-ward'"),
    ("a gateway that forbids", {"lawfulness.gateways[0].id": "roa1974-s9"}, "warning", "forbids"),
    ("a gateway that is a number", {"lawfulness.gateways[0].id": 12}, "gap", "is a number"),
    ("a likelihood that is a number", {"risks.sharing[0].likelihood": 5}, "gap", "is a number"),
    ("rounding that nobody set",
     {"disclosure": {"smallest_group": 10},
      "safeguards[0]": {"id": "x", "text": "rounded", "kind": "enforced", "enforces": "rounding"}},
     "gap", "relies on rounding"),
    ("a safeguard of no kind", {"safeguards[0].kind": "hoped"}, "gap", "'hoped'"),
    ("a model is used", {"model": "A score of risk."}, "gap", "model"),
    ("a role at a node may ask", {"users[0]": {"role": "analyst", "node": "work"}}, "gap", "may ask"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "changes", "severity", "words"), CORNERS, ids=[c[0] for c in CORNERS]
)
def test_what_is_half_said_is_found(
    name: str, changes: dict[str, Any], severity: str, words: str
) -> None:
    said = [f.sentence for f in _found(changes, severity)]
    assert any(words in sentence for sentence in said), said


def test_words_about_clear_results_are_no_technique() -> None:
    """They stand beside the techniques, under a name of their own."""
    words = "Counts of thousands; nobody can be singled out by them."
    found = _found({"technique.results_in_the_clear": words}, "gap")
    assert not [f for f in found if "results_in_the_clear" in f.path]


def test_a_duty_may_be_a_record_or_one_for_each_controller() -> None:
    """Schedule 1 conditions come with a policy document."""
    one = {"id": "dpa18-s1-2", "policy_document": "council/policy-12"}
    for value in (one, {"council": one, "health": "dpa18-s1-2"}):
        found = _found({"lawfulness.schedule1": value}, "gap")
        assert not [f for f in found if "a record" in f.sentence], found


def test_nothing_is_said_about_an_empty_field_that_is_not_needed() -> None:
    """A stated absence, where nothing is needed; where it is, it is a gap."""
    text = to_yaml(_body({"linker": None, "model": None, "technique": {"by-ward": LOCAL}}))
    found = check(read_passport(text), FULL_FACTS, None, TODAY)
    assert not [f for f in found if f.path == "model"]


def test_runs_by_the_month_are_not_compared_with_runs_of_a_year() -> None:
    for per, gaps in (("month", 0), ("year", 1)):
        found = _found({"data.frequency": {"runs": 900, "per": per}}, "gap")
        assert len([f for f in found if f.path == "data.frequency.runs"]) == gaps


def test_an_author_needs_no_role_to_write() -> None:
    """Who writes is not who signs; an author who is the one controller of a node cannot sign."""
    author, *rest = PEOPLE
    found = _found({}, "gap", [replace(author, roles={}), *rest])
    assert not [f for f in found if author.id in f.sentence]
    spans = {"controller": ("2026-01-01", "2027-12-31")}
    both = [replace(author, node="council", roles=spans), *rest]
    assert any("will not count" in f.sentence for f in _found({}, "warning", both))


def test_findings_are_plain_data() -> None:
    (finding, *_) = _found({"version": "1.0"}, "gap")
    told = finding.to_json()
    assert told["severity"] == "gap" and told["path"] == "version" and told["remedy"]


def test_a_model_field_whose_need_nobody_reads_is_a_fault_of_the_program() -> None:
    field = replace(next(iter(model_fields().values())), need="when the moon is full")
    with pytest.raises(Fault, match="words that nothing reads"):
        needed(field, touched(_body({}), FULL_FACTS))


def test_a_guardian_is_needed_everywhere_where_no_field_says_for_whom() -> None:
    body = {"data": {"tables": {"housing": {"at": ["council.housing.register"]}}}}
    assert _guardians(body, (), "the level asks") == {"council": "the level asks"}
    assert _guardians(body, (), "") == {}


def test_a_body_is_read_strictly() -> None:
    assert Part({"note": None}, "p").text("note", "none") == "none"
    body = _body({"id": "Not An Id"})
    with pytest.raises(Gap) as caught:
        passport_from_body(body, "0" * 64)
    assert caught.value.where == "id"


def test_a_file_is_read_as_its_text(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(full_text())
    assert read_file(path).value == read_passport(full_text()).value
    path.write_text("- 1\n")
    with pytest.raises(UsageError):
        read_file(path)


def test_people_without_a_name_are_their_accounts() -> None:
    """An empty name joins nobody."""
    unseen = "\u200b"
    people = {
        key: PersonCertificate(f"city/{key}", unseen, "city", {}, key * 32) for key in ("ab", "cd")
    }
    persons = Persons(people)
    assert persons.natural("city/ab") != persons.natural("city/cd")


LOCAL = {"use": "local", "why": "one source"}
LONG = "k" * 120


@pytest.mark.parametrize(
    "value",
    [7, None, "first line\nsecond line", "first\n\nlast " + "word " * 30 + "end", "", [], {}],
    ids=str,
)
def test_anything_is_written_so_that_it_reads_back(value: Any) -> None:
    from bridleway.documents import read_yaml

    assert read_yaml(to_yaml({LONG: value, "b": {"c": value}}), "x").value == {
        LONG: value, "b": {"c": value},
    }  # fmt: skip


def test_a_draft_says_what_was_said_and_asks_for_the_rest() -> None:
    """Technique and tables as given; a column that nobody knows is a TODO, or a trial's."""
    odd = table("council", "housing", "register", column("nhs_number", "identifier"),
                column("zzz", "sensitive"), column("ward", "plain"))  # fmt: skip
    more = table("council", "housing", "moves", column("nhs_number", "identifier"),
                 column("zzz", "sensitive"))  # fmt: skip
    sql = (
        "SELECT COUNT(DISTINCT person) AS n FROM housing JOIN moves USING (person) WHERE zzz = 'a'"
    )
    answers = replace(
        FULL,
        author="",
        linker="",
        template="standard",
        tables={"housing": ("council.housing.register",), "moves": ("council.housing.moves",)},
        questions=(NewQuestion("all", sql, technique="local", why="one source"),),
    )
    known = facts(odd, more)
    body = read_passport(new(answers, known)).value
    assert body["technique"]["all"] == {"use": "local", "why": "one source"}
    fields = [f for s in body["data"]["sources"] for f in s["fields"]]
    assert {f["table"] for f in fields} == {"register", "moves"}
    assert any(str(f.get("category")).startswith("TODO") for f in fields if f["name"] == "zzz")
    trial = read_passport(new(replace(answers, template="first-question"), known)).value
    named = [f for s in trial["data"]["sources"] for f in s["fields"] if f["name"] == "zzz"]
    assert {f["category"] for f in named} == {"user"}


def test_a_linker_to_be_named_is_still_a_linker() -> None:
    """Joins are drafted at the linker, whoever that will be; only tables that hold the key join."""
    parks = table("trust", "library", "loans", column("loans", "plain", "integer"))
    answers = replace(TRIAL, linker="TODO: node", start=date(2026, 12, 1))
    body = read_passport(new(answers, facts(FACTS["council.housing.register"], parks))).value
    (link,) = body["data"]["links"]
    assert link["tables"] == ["housing"] and link["where"].startswith("at the linker")


def test_an_export_of_an_unsigned_passport_says_nothing_that_nobody_said() -> None:
    told = export(_body({"risks.sharing[0].residual": "high"}), "0" * 64, "draft", (), "dpia-md")
    assert "None" not in told


def test_a_null_where_nothing_is_needed_is_no_gap_of_form() -> None:
    body = read_passport(trial_text()).value
    body["lawfulness"]["schedule1"] = None
    found = check(read_passport(to_yaml(body)), FACTS, None, TODAY)
    assert not [f for f in found if f.path == "lawfulness.schedule1"]


def test_an_opt_out_is_asked_for_only_where_health_data_are_read() -> None:
    body = read_passport(new(replace(TRIAL, template="full"), FACTS)).value
    assert "opt_out" not in body["lawfulness"]
    assert "opt_out" in read_passport(new(FULL, FULL_FACTS)).value["lawfulness"]
