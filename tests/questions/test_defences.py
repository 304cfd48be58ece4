"""Checks that hold by themselves, whatever an earlier step let through."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from bridleway.errors import Refused, UsageError
from bridleway.model.catalogue import ColumnFacts, EntityKey, TableFacts
from bridleway.model.question import Arithmetic, Column, Compare, Literal, Measure, Not, Question
from bridleway.questions import check_bounds, check_reach, check_types
from bridleway.questions.canonical import canonical
from bridleway.questions.sql import parse
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
]


@pytest.mark.parametrize("question", MALFORMED, ids=["text", "number"])
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


def test_a_statistic_without_an_argument_is_not_written() -> None:
    with pytest.raises(UsageError, match="malformed"):
        to_sql(Question(table="housing", measures=(Measure("sum", "x", None),)))
