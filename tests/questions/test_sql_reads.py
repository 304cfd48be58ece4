"""What a question in SQL may say."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from bridleway.model.question import (
    And,
    Case,
    Column,
    Compare,
    Group,
    Join,
    Literal,
    Measure,
    Order,
)
from bridleway.questions.sql import Scope, parse
from tests.questions.made import SCOPE

RENT = Column("housing", "rent")


def test_a_whole_question() -> None:
    """Filter, join, group with margins, statistics, order and limit become one typed value."""
    question = parse(
        """
        SELECT h.area AS ward,
               CASE WHEN visits < 3 THEN 'few' ELSE 'many' END AS often,
               COUNT(DISTINCT person) AS people, AVG(rent * 12) AS yearly
        FROM housing AS h INNER JOIN health USING (person)
        WHERE tenure = 'rent' AND NOT disabled AND moved >= DATE '2020-01-31'
        GROUP BY ROLLUP (ward, 2)
        ORDER BY people DESC, 1 ASC
        LIMIT 10;
        """,
        SCOPE,
    )
    assert question.table == "housing"
    assert question.joins == (Join("health", "person"),)
    assert question.groups == (
        Group("ward", Column("housing", "area")),
        Group(
            "often",
            Case(
                ((Compare("<", Column("health", "visits"), Literal(3)), Literal("few")),),
                Literal("many"),
            ),
        ),
    )
    assert question.margins == "rollup"
    assert [measure.function for measure in question.measures] == ["count_people", "avg"]
    assert isinstance(question.where, And)
    assert Compare("=", Column("health", "disabled"), Literal(False)) in question.where.terms
    moved = Compare(">=", Column("housing", "moved"), Literal(date(2020, 1, 31)))
    assert moved in question.where.terms
    assert question.order_by == (Order("people", True), Order("ward"))
    assert question.limit == 10


@pytest.mark.parametrize(
    ("written", "measure"),
    [
        ("COUNT(*)", Measure("count_rows", "rows")),
        ("count(distinct PERSON)", Measure("count_people", "people")),
        ("SUM(rent)", Measure("sum", "sum_rent", RENT)),
        ("AVG(rent) AS mean", Measure("avg", "mean", RENT)),
        ("VARIANCE(rent)", Measure("var_samp", "variance_rent", RENT)),
        ("VAR_SAMP(rent)", Measure("var_samp", "variance_rent", RENT)),
        ("VAR_POP(rent)", Measure("var_pop", "variance_rent", RENT)),
        ("STDDEV(rent)", Measure("stddev_samp", "stddev_rent", RENT)),
        ("STDDEV_SAMP(rent)", Measure("stddev_samp", "stddev_rent", RENT)),
        ("STDDEV_POP(rent)", Measure("stddev_pop", "stddev_rent", RENT)),
        (
            "PROPORTION(rent > 500)",
            Measure("proportion", "proportion", Compare(">", RENT, Literal(500))),
        ),
    ],
)
def test_each_statistic(written: str, measure: Measure) -> None:
    """Every statistic of the language, with the name it gets where nobody names it."""
    assert parse(f"SELECT {written} FROM housing", SCOPE).measures == (measure,)


def test_numbers_are_exact() -> None:
    """A decimal is never a float: 0.1 stays a tenth."""
    question = parse("SELECT COUNT(*) FROM housing WHERE rent > 0.1", SCOPE)
    assert question.where == Compare(">", RENT, Literal(Decimal("0.1")))


def test_capitals_do_not_matter_for_names() -> None:
    """SQL reads Rent and RENT as rent; what comes out is the passport's spelling."""
    one = parse('select AREA, count(distinct person) from Housing group by "AREA"', SCOPE)
    assert one == parse("SELECT area, COUNT(DISTINCT person) FROM housing GROUP BY area", SCOPE)


def test_a_name_that_is_a_word_of_sql_is_quoted() -> None:
    """A column called 'left' can be asked for in double quotes, and the refusal says so."""
    scope = Scope({"t": frozenset({"left", "date"})})
    assert parse('SELECT "left", COUNT(*) FROM t GROUP BY "left"', scope).groups[0].name == "left"
    assert parse("SELECT COUNT(*) FROM t WHERE date = '2020-01-01'", scope).where is not None


def test_a_bare_name_is_found_in_the_joined_tables() -> None:
    """A column that only one of the tables has needs no qualifier."""
    question = parse(
        "SELECT COUNT(*) FROM housing JOIN health USING (person) WHERE visits = 1", SCOPE
    )
    assert question.where == Compare("=", Column("health", "visits"), Literal(1))
