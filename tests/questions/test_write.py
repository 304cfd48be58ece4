"""A question written as SQL reads back as the same question."""

from __future__ import annotations

from hypothesis import given, settings

from bridleway.model.question import (
    And,
    Column,
    Compare,
    Group,
    IsNull,
    Literal,
    Measure,
    Not,
    Question,
)
from bridleway.questions.canonical import canonical
from bridleway.questions.sql import Scope, parse
from bridleway.questions.write import to_sql
from tests.questions import made


@settings(max_examples=200, deadline=None)
@given(made.questions())
def test_it_reads_back(question: Question) -> None:
    """parse(to_sql(q)) is q, whatever the question."""
    assert parse(to_sql(question), made.SCOPE) == canonical(question)


def test_it_is_readable() -> None:
    """One clause per line, bare names where one table is asked, no needless brackets."""
    question = parse(
        "select tenure as kind, case when rooms>2 then 'big' else 'small' end size, "
        "count(distinct person) from housing where not (furnished and area='x') "
        "and (moved < date '2021-07-01' or rent is not null) group by cube(kind, size) "
        "order by people desc limit 5",
        made.SCOPE,
    )
    assert to_sql(question) == (
        "SELECT tenure AS kind,\n"
        "       CASE WHEN rooms > 2 THEN 'big' ELSE 'small' END AS size,\n"
        "       COUNT(DISTINCT person) AS people\n"
        "FROM housing\n"
        "WHERE (area <> 'x' OR furnished = FALSE)\n"
        "  AND (moved < DATE '2021-07-01' OR rent IS NOT NULL)\n"
        "GROUP BY CUBE (1, 2)\n"
        "ORDER BY people DESC\n"
        "LIMIT 5"
    )


def test_every_word_of_sql_can_be_a_name() -> None:
    """Tables, columns and aliases called like words of the parser are quoted where needed."""
    from sqlglot.parser import Parser
    from sqlglot.tokens import Tokenizer

    words = {
        word.lower()
        for phrase in [*Tokenizer.KEYWORDS, *Parser.FUNCTIONS, *Parser.FUNCTION_PARSERS]
        for word in phrase.split()
        if word.isidentifier() and word.isascii()
    }
    assert len(words) > 500
    for word in sorted(words):
        for table, column, name in (("t", word, word), (word, "c", "c"), ("t", "c", word)):
            question = canonical(
                Question(
                    table=table,
                    measures=(Measure("sum", "total_", Column(table, column)),),
                    groups=(Group(name, Column(table, column)),),
                    where=And(
                        (
                            Compare("=", Column(table, column), Literal(1)),
                            Not(IsNull(Column(table, column))),
                        )
                    ),
                )
            )
            scope = Scope({table: frozenset({column})})
            assert parse(to_sql(question), scope) == question
