"""Margins that a question asks for stay with it, are counted, and are told from unasked ones."""

from __future__ import annotations

import pytest

from bridleway.questions.apart import in_place
from bridleway.questions.atoms import Atoms
from bridleway.questions.canonical import canonical
from bridleway.questions.sql import parse
from bridleway.questions.write import to_sql
from tests.questions import made
from tests.questions.test_apart import COLUMNS, SCOPE, facts
from tests.questions.test_check import checked

TEXT = "SELECT area, ill, COUNT(DISTINCT person) AS n FROM people GROUP BY {}"


@pytest.mark.parametrize(
    ("grouping", "margins", "asked"),
    [
        ("area, ill", "none", {(True, True)}),
        ("ROLLUP (area, ill)", "rollup", {(True, True), (True, False), (False, False)}),
        ("CUBE (area, ill)", "cube", {(a, b) for a in (True, False) for b in (True, False)}),
    ],
)
def test_a_question_says_which_margins_it_asks_for(
    grouping: str, margins: str, asked: set[tuple[bool, bool]]
) -> None:
    """ROLLUP asks for the margins of its beginnings, CUBE for every margin, neither for none."""
    question = canonical(parse(TEXT.format(grouping), SCOPE))
    assert question.margins == margins
    everyone = Atoms([question], facts(1000)).populations(0)
    values = {*COLUMNS["area"].domain, True, False}  # type: ignore[misc]
    kept = {tuple(value in values for value in one.key) for one in everyone if one.asked}
    assert kept == asked


@pytest.mark.parametrize("margins", ["rollup", "cube"])
def test_margins_outlive_the_check(margins: str) -> None:
    """What is answered is what was asked, with its totals."""
    text = (
        "SELECT area, tenure, COUNT(DISTINCT person) AS people FROM housing "
        f"GROUP BY {margins.upper()} (area, tenure)"
    )
    question = checked(text)
    assert question.margins == margins


def test_spread_of_a_population_is_written_in_capitals() -> None:
    """As every other word of SQL is."""
    question = parse(
        "select area, stddev_pop(rent) as spread, count(distinct person) as people "
        "from housing group by area",
        made.SCOPE,
    )
    assert "STDDEV_POP(rent) AS spread" in to_sql(question)


def test_a_question_moves_to_its_place_whole() -> None:
    """Every column of every condition, group and measure, not the table alone."""
    question = canonical(
        parse(
            "SELECT area, SUM(CASE WHEN ill THEN 1 ELSE 0 END) AS s, COUNT(DISTINCT person) AS n "
            "FROM people WHERE age > 3 AND NOT (area = 'a') GROUP BY area",
            SCOPE,
        )
    )
    moved = in_place(question, {"people": ("office", "register", "people")})  # type: ignore[dict-item]
    assert "'people'" not in repr(moved).replace("('office', 'register', 'people')", "")
    assert repr(moved).count("('office', 'register', 'people')") == repr(question).count("'people'")
