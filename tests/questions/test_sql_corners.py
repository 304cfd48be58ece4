"""Corners of the grammar: what is nearly right is either read as meant or refused at its place."""

from __future__ import annotations

import pytest

from bridleway.errors import BridlewayError
from bridleway.model.question import Column, Order
from bridleway.questions.sql import parse
from tests.questions.test_sql_refuses import SCOPE

REFUSED = [
    ("SELECT SUM() FROM housing", "syntax", "12: ')'"),
    ("SELECT PROPORTION(rent = 1, rent = 2) FROM housing", "syntax", "8: 'PROPORTION'"),
    ("SELECT area, COUNT(*) FROM housing GROUP BY area, ROLLUP (area)", "margins", "ROLLUP"),
    ("SELECT area, COUNT(*) FROM housing GROUP BY area ORDER BY housing.tenure", "order", "59"),
    ("SELECT COUNT(*) FROM housing WHERE rooms IN ()", "in-list", "rooms"),
    ("SELECT COUNT(*) FROM housing WHERE rooms IN (rent)", "syntax", "'rent'"),
    ("SELECT COUNT(*) FROM housing WHERE rooms IN (NULL)", "null", "'NULL'"),
    ("SELECT COUNT(*) FROM housing SEMI JOIN health USING (person)", "join", "'SEMI'"),
    ("SELECT COUNT(*) FROM housing JOIN health USING (1)", "not-in-language", "'health'"),
    ("SELECT COUNT(*) FROM housing WHERE 1 = 1", "constant-condition", "36: '1'"),
    ("SELECT COUNT(*) FROM housing WHERE rooms.x.y = 1", "not-in-language", "'rooms'"),
    ("SELECT SUM(1 + 'a') FROM housing", "types", ""),
    ("SELECT SUM(TRUE * 2) FROM housing", "types", ""),
    ("SELECT SUM(999999999999999999 * 999999999999999999) FROM housing", "number", ""),
    ("SELECT COUNT(*) FROM housing WHERE \n area = 'x' )", "syntax", "line 2, column 13: ')'"),
    ("SELECT COUNT(*) FROM 'housing'", "file", "22"),
]


@pytest.mark.parametrize(("text", "code", "where"), REFUSED, ids=[text for text, *_ in REFUSED])
def test_what_is_nearly_right_is_refused_at_its_place(text: str, code: str, where: str) -> None:
    """One sentence, the place, and what kind of mistake it is."""
    with pytest.raises(BridlewayError) as caught:
        parse(text, SCOPE)
    assert caught.value.code == code
    assert where in caught.value.where


def test_brackets_signs_and_quotes_around_what_is_meant_do_not_matter() -> None:
    """The same question, written with more care."""
    pairs = {
        "SELECT COUNT(*) FROM housing WHERE rooms IN ((1), (-(2)))": "SELECT COUNT(*) FROM housing "
        "WHERE rooms IN (1, -2)",
        'SELECT COUNT(*) FROM "housing"': "SELECT COUNT(*) FROM housing",
        "SELECT COUNT(*) FROM housing INNER JOIN health USING (person)": "SELECT COUNT(*) "
        "FROM housing JOIN health USING (person)",
        'SELECT COUNT(*) FROM housing JOIN health USING ("person")': "SELECT COUNT(*) "
        "FROM housing JOIN health USING (person)",
    }
    for one, other in pairs.items():
        assert parse(one, SCOPE) == parse(other, SCOPE)


def test_order_by_a_column_with_its_table_is_the_group_of_that_column() -> None:
    """Whatever the group is called in the answer."""
    text = "SELECT area AS quarter, COUNT(*) AS n FROM housing GROUP BY area ORDER BY housing.area"
    made = parse(text, SCOPE)
    assert made.order_by == (Order("quarter", False),)
    assert made.groups[0].expression == Column("housing", "area")
