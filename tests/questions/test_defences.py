"""Checks that hold by themselves, whatever an earlier step let through."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from bridleway.errors import Refused, UsageError
from bridleway.model.catalogue import ColumnFacts, EntityKey, TableFacts
from bridleway.model.question import (
    And,
    Arithmetic,
    Case,
    Column,
    Compare,
    Literal,
    Measure,
    Not,
    Question,
)
from bridleway.questions import canonical as canonical_module
from bridleway.questions import check_bounds, check_reach, check_types, plan
from bridleway.questions.canonical import canonical
from bridleway.questions.sql import Scope, parse
from bridleway.questions.write import to_sql
from tests.questions.made import SCOPE

NOTE = ColumnFacts("note", "text", "plain")
RENT = ColumnFacts("rent", "integer", "plain", bounds=(Decimal(0), Decimal(9)))


def _table(name: str, identifier: str) -> TableFacts:
    entities = {"person": EntityKey("person", "number", identifier)}
    return TableFacts("council", name, name, {"note": NOTE, "rent": RENT}, entities, ("person",))


@pytest.mark.parametrize("value", ["a", True])
def test_only_numbers_have_bounds(value: Any) -> None:
    with pytest.raises(Refused) as caught:
        check_bounds._of_literal(Literal(value))
    assert caught.value.code == "types"
    with pytest.raises(Refused, match="holds text") as caught:
        check_bounds._of_column(Column("housing", "note"), NOTE)
    assert caught.value.where == "housing.note"


def test_a_column_that_one_source_lacks_differs() -> None:
    assert check_reach._differing(None, NOTE) == check_reach._differing(NOTE, None) == "column"
    assert check_reach._differing(NOTE, replace(NOTE, cls="sensitive")) == "class"
    assert check_reach._differing(NOTE, NOTE) == ""


def test_people_are_identified_in_one_way() -> None:
    question = parse("SELECT COUNT(*) FROM housing JOIN health USING (person)", SCOPE)
    facts = {"housing": (_table("housing", "uprn"),), "health": (_table("health", "nhs-number"),)}
    with pytest.raises(Refused, match="nhs-number, uprn"):
        check_reach.require_people(question, facts)
    same = {"housing": (_table("housing", "uprn"),), "health": (_table("health", "uprn"),)}
    check_reach.require_people(question, same)


def test_a_constant_of_another_type_is_a_mismatch() -> None:
    with pytest.raises(Refused) as caught:
        check_types._literal_as(Literal("a"), "integer", "here")
    assert (caught.value.code, caught.value.where) == ("types", "here")


MALFORMED: list[Any] = [
    Question(table="housing", measures=(Measure("sum", "x", "rent"),)),  # type: ignore[arg-type]
    Question(table="housing", measures=(Measure("count_rows", "n"),), where=3),  # type: ignore[arg-type]
    Question(table="housing", measures=(Measure("count_rows", "n"),), joins=(5,)),  # type: ignore[arg-type]
    Question(table="housing", measures=(Measure("count_rows", "n"),), where=And(3)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("question", MALFORMED, ids=["text", "number", "join", "terms"])
def test_a_malformed_question_is_told_so(question: Question) -> None:
    """Another node's JSON may put anything anywhere."""
    with pytest.raises((UsageError, Refused)) as caught:
        canonical(question)
    assert caught.value.remedy


def test_a_question_may_be_too_deep_and_too_long() -> None:
    sums: Any = Column("housing", "rent")
    for _ in range(200):
        sums = Arithmetic("+", sums, Column("housing", "rent"))
    with pytest.raises((UsageError, Refused)) as caught:
        canonical(Question(table="housing", measures=(Measure("sum", "x", sums),)))
    assert caught.value.code in ("too-deep", "too-long")
    leaf: Any = Compare("=", Column("housing", "rent"), Literal(1))
    for _ in range(300):
        leaf = Not(leaf)
    with pytest.raises((UsageError, Refused)):
        canonical(Question(table="housing", measures=(Measure("count_rows", "n"),), where=leaf))


def test_what_goes_to_reviewers_is_bounded_in_depth_and_parts() -> None:
    """Whatever form it takes."""
    leaf: Any = Compare("=", Column("housing", "rent"), Literal(1))
    flat = Question(
        table="housing", measures=(Measure("count_rows", "n"),), where=And((leaf,) * 2_000)
    )
    for _ in range(40):
        leaf = Not(leaf)
    deep = Question(table="housing", measures=(Measure("count_rows", "n"),), where=leaf)
    for question, code in ((flat, "too-long"), (deep, "too-deep")):
        with pytest.raises(UsageError) as caught:
            canonical_module._require_small(question)
        assert caught.value.code == code


def test_a_statistic_without_an_argument_is_not_written() -> None:
    with pytest.raises(UsageError, match="malformed"):
        to_sql(Question(table="housing", measures=(Measure("sum", "x", None),)))


def _facts(*entities: str, one_row_per: tuple[str, ...] = ("person",)) -> TableFacts:
    made = {e: EntityKey(e, f"{e}_number", "nhs-number") for e in entities}
    return TableFacts("council", "s", "t", {"rent": RENT}, made, one_row_per)


def _joined(*joins: tuple[str, str]) -> Question:
    scope = Scope(
        {name: frozenset({"rent"}) for name in ("one", "two", "three")},
        frozenset({"person", "household"}),
    )
    text = "SELECT COUNT(*) AS n FROM one " + " ".join(f"JOIN {t} USING ({e})" for t, e in joins)
    return parse(text, scope)


def test_values_are_added_once_only_where_every_join_says_so() -> None:
    """A table that lacks the join's entity takes no part in that join."""
    question = _joined(("two", "person"), ("three", "household"))
    facts = {
        "one": (_facts("person", "household", one_row_per=("person", "household")),),
        "two": (_facts("person"),),
        "three": (_facts("household", one_row_per=("household",)),),
    }
    at_most = dict.fromkeys(facts, 1)
    check_reach._require_added_once(question, facts, at_most, "x")
    facts["three"] = (_facts("household", one_row_per=()),)
    with pytest.raises(Refused) as caught:
        check_reach._require_added_once(question, facts, at_most, "x")
    assert caught.value.code == "fan-out"


def test_a_plan_needs_to_know_which_table_is_meant() -> None:
    question = _joined(("two", "person"), ("three", "household"))
    both = {"one": _facts("person", "household"), "two": _facts("person", "household")}
    with pytest.raises(Refused, match="more than one table"):
        plan._Draft(question, {**both, "three": _facts("household")}, False)
    known = {**both, "two": _facts("person"), "three": _facts("household")}
    draft = plan._Draft(question, known, False)
    assert [k.entity for k in draft._keys("three", known["three"])] == ["household"]
    across = Compare("=", Column("one", "rent"), Column("two", "rent"))
    with pytest.raises(Refused, match="two tables"):
        draft._formula(across)


def test_a_value_of_several_branches_is_one_group() -> None:
    where = Compare("=", Column("one", "rent"), Literal(1))
    case = Case(((where, Literal("a")), (Not(where), Literal("a"))), Literal("b"))
    assert plan.case_domain(case) == ("a", "b")
