"""Branches: whom a sum over conditions tells about."""

from __future__ import annotations

from bridleway.questions.branches import Branch, branches_of
from bridleway.questions.sql import Scope, parse

SCOPE = Scope({"people": frozenset({"area", "ill", "pay"})}, frozenset({"person"}))


def of(argument: str) -> tuple[Branch, ...]:
    """Return the branches of a sum's argument."""
    question = parse(f"SELECT SUM({argument}) AS s FROM people", SCOPE)
    return branches_of(question.measures[0].argument)


def test_a_column_has_no_branch() -> None:
    """Where all rows are alike, the cell itself is the group."""
    assert of("pay") == ()


def test_a_result_of_zero_adds_nothing() -> None:
    """ELSE 0 sorts nobody out."""
    (branch,) = of("CASE WHEN ill THEN pay ELSE 0 END")
    assert len(branch.meets) == 1
    assert branch.fails == ()


def test_a_later_branch_fails_what_stands_before() -> None:
    """The second WHEN is about those who meet it and not the first; ELSE about the rest."""
    first, second, rest = of("CASE WHEN ill THEN 1 WHEN area = 'a' THEN 2 ELSE 3 END")
    assert first.fails == ()
    assert second.fails == first.meets
    assert rest.meets == ()
    assert rest.fails == (*first.meets, *second.meets)


def test_branches_inside_arithmetic_count() -> None:
    """pay + CASE ... is about those who meet the condition, too."""
    assert len(of("pay + CASE WHEN ill THEN pay ELSE 0 END")) == 1
