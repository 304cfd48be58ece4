"""The reader allows what it lists: a tree that no text should make is refused all the same.

The gate before the parser turns most of these away as text; here they are handed over as trees,
as a parser of another version might make them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlglot import exp
from sqlglot.errors import ParseError

from bridleway.errors import BridlewayError, Refused, UsageError
from bridleway.questions import sql, sql_select
from bridleway.questions.sql_names import Names
from bridleway.questions.sql_tokens import tokenise
from bridleway.questions.sql_walk import Walk
from tests.questions.made import SCOPE

TEXT = "SELECT COUNT(*) FROM housing"


def _walk() -> Walk:
    return Walk(TEXT, tokenise(TEXT), Names(SCOPE))


def _table(name: str = "health") -> exp.Table:
    return exp.Table(this=exp.Identifier(this=name))


def _join(**more: Any) -> exp.Join:
    return exp.Join(this=_table(), using=[exp.Identifier(this="person")], **more)


DATE = exp.DataType(this=exp.DType.DATE)
TREES: dict[str, Callable[[Walk], Any]] = {
    "a table that is no table": lambda w: sql_select._table_name(exp.Literal.number(1), w),
    "a table by a function": lambda w: sql_select._table_name(
        exp.Table(this=exp.Anonymous(this="read_csv")), w
    ),
    "an outer join": lambda w: sql_select._join(_join(kind="FULL"), w),
    "a joined set": lambda w: sql_select._join(_join(side="LEFT"), w),
    "a sum of nothing": lambda w: sql_select._measure(exp.Sum(), None, w),
    "a column that is no name": lambda w: w.column(exp.Column(this=exp.Star())),
    "a date of a number": lambda w: w.literal(exp.Cast(this=exp.Literal.number(1), to=DATE)),
    "a date of a column": lambda w: w.literal(exp.Cast(this=exp.Column(), to=DATE)),
    "a text as another type": lambda w: w.literal(
        exp.Cast(this=exp.Literal.string("1"), to=exp.DataType(this=exp.DType.INT))
    ),
    "a minus before a condition": lambda w: w.literal(exp.Neg(this=exp.Boolean(this=True))),
    "a constant that is none": lambda w: w.literal(exp.Star()),
    "a value that is none": lambda w: w.scalar(exp.Star()),
    "a condition that is none": lambda w: w.predicate(exp.Star()),
}


@pytest.mark.parametrize("tree", TREES)
def test_what_is_not_on_the_list_is_refused(tree: str) -> None:
    with pytest.raises((UsageError, Refused)) as caught:
        TREES[tree](_walk())
    assert caught.value.sentence and caught.value.remedy


@pytest.mark.parametrize("text", ["SELECT 1; SELECT 2", "VALUES (1)", "DROP TABLE housing"])
def test_what_is_not_one_select_goes_no_further(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        sql._tree(text, tokenise("SELECT " + "x " * 20))
    assert caught.value.code == "not-select"


def test_a_parser_that_tells_no_place_gets_none() -> None:
    """Its own words, which may repeat the text, go nowhere."""
    tokens = tokenise(TEXT)
    assert sql._place(TEXT, tokens, ParseError("in 'secret'")) == ""
    beyond = ParseError.new("x", line=9, col=9)
    assert sql._place(TEXT, tokens, beyond).startswith("line 1")
    between = ParseError.new("x", line=1, col=7)  # the space before COUNT
    assert "secret" not in sql._place(TEXT, tokens, between)


def test_a_word_that_is_not_written_has_no_place() -> None:
    assert _walk().where_word("NULL") == ""
    assert _walk().where_word("FROM").endswith("'FROM'")


def test_two_equal_signs_are_one_too_many() -> None:
    with pytest.raises(BridlewayError, match="single =") as caught:
        sql.parse("SELECT COUNT(*) FROM housing WHERE rooms == 2", SCOPE)
    assert "42" in caught.value.where


def test_an_answers_column_needs_a_usable_name() -> None:
    with pytest.raises(UsageError, match="usable name"):
        sql_select._require_name("a b", exp.Identifier(this="a b", quoted=True), _walk())


def test_margins_stand_alone() -> None:
    clause = exp.Group(expressions=[exp.Column(), exp.Rollup(expressions=[])])
    with pytest.raises(Refused, match="stand alone"):
        sql_select._groups(clause, (), _walk())


def test_a_minus_before_a_column_is_no_constant() -> None:
    with pytest.raises(UsageError, match="Only constants"):
        sql.parse("SELECT COUNT(*) FROM housing WHERE rooms IN (-floor)", SCOPE)
