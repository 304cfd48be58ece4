"""Questions made at random, as text and as nouns, and a tiny evaluator to compare meanings with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from itertools import product
from typing import Any

from hypothesis import strategies as st

from bridleway.model.question import (
    And,
    Arithmetic,
    Case,
    Column,
    Compare,
    Group,
    In,
    IsNull,
    Join,
    Like,
    Literal,
    Measure,
    Not,
    Or,
    Order,
    Question,
)
from bridleway.questions.sql import Scope

COLUMNS = {
    "area": "text",
    "tenure": "text",
    "rooms": "integer",
    "floor": "integer",
    "rent": "decimal",
    "furnished": "boolean",
    "moved": "date",
}
HEALTH = frozenset({"area", "disabled", "visits"})
SCOPE = Scope({"housing": frozenset(COLUMNS), "health": HEALTH}, frozenset({"person", "address"}))

TEXTS = ("rent", "own", "o'hara", "50%", "")
DATES = (date(2020, 1, 31), date(2021, 7, 1))
DECIMALS = (Decimal("1.5"), Decimal("0.25"), Decimal("-3.75"))

# Every row of a small world, missing values included.
ROWS: tuple[dict[str, Any], ...] = tuple(
    {
        "area": area,
        "tenure": tenure,
        "rooms": rooms,
        "floor": floor,
        "rent": rent,
        "furnished": furnished,
        "moved": moved,
    }
    for (area, tenure), (rooms, floor), rent, (furnished, moved) in product(
        (("rent", "own"), (None, "o'hara"), ("50%", None)),
        ((0, 2), (3, None), (None, 1), (2, 2)),
        (Decimal("1.50"), Decimal("-3.75"), None),
        ((True, DATES[0]), (False, None), (None, DATES[1])),
    )
)


# -- nouns


def _column(*kinds: str) -> st.SearchStrategy[Column]:
    names = sorted(name for name, kind in COLUMNS.items() if kind in kinds)
    return st.sampled_from([Column("housing", name) for name in names])


integers = st.integers(-4, 4).map(Literal)
decimals = st.sampled_from(DECIMALS).map(Literal)
texts = st.sampled_from(TEXTS).map(Literal)
numbers = st.recursive(
    _column("integer", "decimal"),
    lambda inner: st.builds(
        Arithmetic, st.sampled_from("+-*"), inner, st.one_of(inner, integers, decimals)
    ),
    max_leaves=3,
)
ops = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
leaves = st.one_of(
    st.builds(Compare, ops, numbers, st.one_of(integers, decimals, numbers)),
    st.builds(Compare, ops, integers, numbers),
    st.builds(Compare, st.sampled_from(["=", "<>"]), _column("text"), texts),
    st.builds(Compare, ops, _column("date"), st.sampled_from(DATES).map(Literal)),
    st.builds(
        Compare, st.sampled_from(["=", "<>"]), _column("boolean"), st.booleans().map(Literal)
    ),
    st.builds(In, _column("text"), st.lists(texts, min_size=1, max_size=3).map(tuple)),
    st.builds(In, numbers, st.lists(integers, min_size=1, max_size=3).map(tuple)),
    st.builds(IsNull, _column("text", "integer", "date")),
    st.builds(Like, _column("text"), st.sampled_from(["o%", "%e%", "___", "50%"])),
)
predicates = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)
label_cases = st.builds(
    Case,
    st.lists(st.tuples(leaves, texts), min_size=1, max_size=2).map(tuple),
    st.one_of(st.none(), texts),
)
number_cases = st.builds(
    Case,
    st.lists(st.tuples(leaves, numbers), min_size=1, max_size=2).map(tuple),
    st.one_of(st.none(), integers),
)


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """Any question over housing, joined with health or not."""
    scalars = st.one_of(numbers, number_cases)
    measures = [Measure("count_people", "people")]
    if draw(st.booleans()):
        function = draw(st.sampled_from(["sum", "avg", "var_pop", "stddev_samp"]))
        measures.append(Measure(function, "total", draw(scalars)))
    if draw(st.booleans()):
        measures.append(Measure("proportion", "share", draw(predicates)))
    groups = draw(
        st.lists(
            st.one_of(
                st.just(Group("area", Column("housing", "area"))),
                st.just(Group("kind", Column("housing", "tenure"))),
                st.builds(Group, st.just("band"), label_cases),
            ),
            max_size=3,
            unique_by=lambda group: group.name,
        )
    )
    margins = draw(st.sampled_from(["none", "rollup", "cube"])) if groups else "none"
    names = draw(st.permutations([g.name for g in groups] + [m.name for m in measures]))
    orders = draw(st.lists(st.builds(Order, st.sampled_from(names), st.booleans()), max_size=2))
    return Question(
        table="housing",
        measures=tuple(measures),
        joins=draw(st.sampled_from([(), (Join("health", "person"),)])),
        where=draw(st.one_of(st.none(), predicates)),
        groups=tuple(groups),
        margins=margins,
        select=tuple(names),
        order_by=tuple(orders),
        limit=draw(st.sampled_from([None, 1, 20])),
    )


# -- text, made without the product's writer

_NUMBER_TEXT = st.recursive(
    st.sampled_from(["rooms", "floor", "rent", "RENT", "2", "0.25", "-1", "housing.rooms"]),
    lambda inner: st.one_of(
        st.builds("{} {} {}".format, inner, st.sampled_from("+-*"), inner),
        st.builds("({})".format, inner),
        st.builds("CASE WHEN rooms > 1 THEN {} ELSE {} END".format, inner, inner),
    ),
    max_leaves=4,
)
_NUMBER_COLUMN_TEXT = st.builds(
    "{}{}".format,
    st.sampled_from(["rooms", "rent", "floor"]),
    st.sampled_from(["", " + 1", " * 2"]),
)
_OP_TEXT = st.sampled_from(["=", "<>", "!=", "<", "<=", ">", ">="])
_LEAF_TEXT = st.one_of(
    st.builds("{} {} {}".format, _NUMBER_COLUMN_TEXT, _OP_TEXT, _NUMBER_TEXT),
    st.builds("{} {} {}".format, _NUMBER_TEXT, _OP_TEXT, _NUMBER_COLUMN_TEXT),
    st.builds(
        "{} {}BETWEEN {} AND {}".format,
        _NUMBER_COLUMN_TEXT,
        st.sampled_from(["", "NOT "]),
        st.sampled_from(["-1", "0", "floor"]),
        st.sampled_from(["1.5", "rooms", "3"]),
    ),
    st.builds(
        "{} {}IN ({})".format,
        st.sampled_from(["tenure", "area"]),
        st.sampled_from(["", "NOT ", "not "]),
        st.sampled_from(["'rent'", "'own', 'rent'", "'o''hara','50%', 'own'"]),
    ),
    st.builds(
        "{} {}LIKE '{}'".format,
        st.sampled_from(["tenure", "area"]),
        st.sampled_from(["", "NOT "]),
        st.sampled_from(["o%", "___", "%''%", "50%"]),
    ),
    st.builds(
        "{} IS {}NULL".format,
        st.sampled_from(["tenure", "rooms", "rent + 1", "moved"]),
        st.sampled_from(["", "NOT "]),
    ),
    st.sampled_from(
        ["furnished", "NOT furnished", "furnished = FALSE", "furnished <> true", "TRUE = furnished"]
    ),
    st.sampled_from(["moved >= DATE '2020-01-31'", "date '2021-07-01' > moved"]),
    st.sampled_from(["CASE tenure WHEN 'own' THEN 'a' ELSE area END = 'a'", "tenure = area"]),
)
predicate_texts = st.recursive(
    _LEAF_TEXT,
    lambda inner: st.one_of(
        st.builds("{} AND {}".format, inner, inner),
        st.builds("{} OR {}".format, inner, inner),
        st.builds("({})".format, inner),
        st.builds("NOT ({})".format, inner),
        st.builds("NOT {}".format, inner),
    ),
    max_leaves=6,
)


# -- what questions mean, written anew


def value_of(node: Any, row: Mapping[str, Any]) -> Any:
    """Return a scalar's value for a row; None is NULL."""
    if isinstance(node, Column):
        return row[node.name]
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Arithmetic):
        left, right = value_of(node.left, row), value_of(node.right, row)
        if left is None or right is None:
            return None
        return {"+": left + right, "-": left - right, "*": left * right}[node.op]
    for condition, result in node.whens:
        if holds(condition, row) is True:
            return value_of(result, row)
    return None if node.otherwise is None else value_of(node.otherwise, row)


def holds(node: Any, row: Mapping[str, Any]) -> bool | None:
    """Return whether a predicate holds for a row; None is unknown."""
    if isinstance(node, And | Or):
        terms = [holds(term, row) for term in node.terms]
        decisive = isinstance(node, Or)
        if decisive in terms:
            return decisive
        return None if None in terms else not decisive
    if isinstance(node, Not):
        inner = holds(node.term, row)
        return None if inner is None else not inner
    if isinstance(node, IsNull):
        return value_of(node.item, row) is None
    if isinstance(node, Compare):
        return _compare(node.op, value_of(node.left, row), value_of(node.right, row))
    item = value_of(node.item, row)
    if item is None:
        return None
    if isinstance(node, In):
        return any(_compare("=", item, literal.value) for literal in node.values)
    pattern = "".join({"%": ".*", "_": "."}.get(sign, re.escape(sign)) for sign in node.pattern)
    return re.fullmatch(pattern, item, re.DOTALL) is not None


def _compare(op: str, left: Any, right: Any) -> bool | None:
    if left is None or right is None:
        return None
    if op in ("=", "<>"):
        return bool((left == right) == (op == "="))
    return bool(
        {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[op]
    )
