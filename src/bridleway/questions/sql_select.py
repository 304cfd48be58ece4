"""The allow-list: one parsed SELECT -> Question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlglot import exp

from bridleway.errors import Refused, UsageError, nearest
from bridleway.model.names import is_sql_name
from bridleway.model.question import (
    Case,
    Column,
    Function,
    Group,
    Join,
    Listing,
    Margins,
    Measure,
    Order,
    Question,
    Scalar,
)
from bridleway.questions.sql_names import Names, Scope, default_name, matching
from bridleway.questions.sql_text import MAX_LIMIT
from bridleway.questions.sql_tokens import Token
from bridleway.questions.sql_walk import Walk
from bridleway.questions.sql_words import FUNCTION_LIST, RESERVED

Node: TypeAlias = Any

_FUNCTIONS: dict[type, Function] = {
    exp.Sum: "sum",
    exp.Avg: "avg",
    exp.Variance: "var_samp",
    exp.VariancePop: "var_pop",
    exp.Stddev: "stddev_samp",
    exp.StddevSamp: "stddev_samp",
    exp.StddevPop: "stddev_pop",
}


@dataclass(frozen=True, slots=True)
class _Item:
    """One entry of the SELECT list."""

    name: str
    node: Node
    made: Measure | Column | Case


def select_question(select: Node, text: str, tokens: tuple[Token, ...], scope: Scope) -> Question:
    """Return the question that a parsed SELECT writes, not yet canonical.

    Raises Refused or UsageError at the place of what is not on the list.
    """
    names = Names(scope)
    walk = Walk(text, tokens, names)
    walk.only(select, "expressions", "from_", "joins", "where", "group", "order", "limit")
    table = _table(select.args.get("from_"), walk)
    joins = tuple(_join(join, walk) for join in select.args.get("joins") or ())
    items = tuple(_item(node, walk) for node in select.expressions)
    _require_distinct_names(items, walk)
    margins, groups = _groups(select.args.get("group"), items, walk)
    _require_grouped(items, groups, walk)
    where = select.args.get("where")
    if where is not None:
        walk.only(where, "this")
    return Question(
        table=table,
        measures=tuple(item.made for item in items if isinstance(item.made, Measure)),
        joins=joins,
        where=None if where is None else walk.predicate(where.this),
        groups=tuple(Group(i.name, i.made) for i in groups if not isinstance(i.made, Measure)),
        margins=margins,
        select=tuple(item.name for item in items),
        order_by=_order(select.args.get("order"), items, walk),
        limit=_limit(select.args.get("limit"), walk),
    )


def select_listing(select: Node, text: str, tokens: tuple[Token, ...], scope: Scope) -> Listing:
    """Return the listing that a parsed SELECT writes, not yet canonical.

    Raises Refused or UsageError at the place of what is not on the list.
    """
    walk = Walk(text, tokens, Names(scope))
    for part, word in (("joins", "JOIN"), ("group", "GROUP BY"), ("order", "ORDER BY"),
                       ("limit", "LIMIT")):  # fmt: skip
        if select.args.get(part):
            raise Refused(
                f"An extract has no {word}.",
                "Write SELECT column, ... FROM table WHERE ....",
                where=walk.where_word(word.split()[0]),
                code="extract",
            )
    walk.only(select, "expressions", "from_", "where")
    table = _table(select.args.get("from_"), walk)
    columns = tuple(_listed(node, walk) for node in select.expressions)
    where = select.args.get("where")
    if where is not None:
        walk.only(where, "this")
    return Listing(table, columns, None if where is None else walk.predicate(where.this))


def _listed(node: Node, walk: Walk) -> Column:
    while type(node) is exp.Paren:
        walk.only(node, "this")
        node = node.this
    if type(node) is not exp.Column:
        raise walk.refused(
            node,
            "An extract lists columns as they are; what becomes of them stands in its recipe.",
            "Name the columns after SELECT.",
            "extract",
        )
    return walk.column(node)


# -- FROM and JOIN


def _table(clause: Node, walk: Walk) -> str:
    if clause is None:
        raise UsageError("The question names no table.", "Write FROM and a table.", code="no-table")
    walk.only(clause, "this")
    return _table_name(clause.this, walk)


def _table_name(node: Node, walk: Walk) -> str:
    if type(node) is not exp.Table or type(node.this) is not exp.Identifier:
        walk.refuse(node)
    if node.args.get("db") or node.args.get("catalog"):
        raise walk.refused(
            node,
            "Tables have no schema here.",
            "Write the passport's table name alone.",
            "unknown-table",
        )
    walk.only(node, "this", "alias")
    alias = node.args.get("alias")
    if alias is not None:
        walk.only(alias, "this")
    called = alias.this.name if alias is not None else None
    if alias is not None:
        _require_name(called, alias.this, walk)
    return walk.names.add_table(node.this.name, called, walk.where(node.this))


def _join(node: Node, walk: Walk) -> Join:
    if not node.args.get("using"):
        raise walk.refused(
            node, "This join names no entity.", "Write JOIN table USING (person).", "join"
        )
    walk.only(node, "this", "using", "kind")
    if node.args.get("kind") not in (None, "", "INNER"):
        raise walk.refused(node, "Only inner joins are answered.", "Write JOIN.", "join")
    table = _table_name(node.this, walk)
    using = node.args["using"]
    if len(using) != 1:
        raise walk.refused(using[1], "A join names one entity.", "Write USING (person).", "join")
    entity = using[0].this if type(using[0]) is exp.Column else using[0]
    if type(entity) is not exp.Identifier:
        walk.refuse(node)
    return Join(table, walk.names.entity(entity.name, walk.where(entity)))


# -- SELECT


def _item(node: Node, walk: Walk) -> _Item:
    inner, alias = node, None
    if type(node) is exp.Alias:
        walk.only(node, "this", "alias")
        inner, alias = node.this, node.args["alias"].name
        _require_name(alias, node.args["alias"], walk)
    while type(inner) is exp.Paren:
        walk.only(inner, "this")
        inner = inner.this
    made = _measure(inner, alias, walk)
    if made is not None:
        _require_name(made.name, node, walk)
        return _Item(made.name, node, made)
    if type(inner) is exp.Column:
        column = walk.column(inner)
        name = alias or column.name
        _require_name(name, node, walk)
        return _Item(name, node, column)
    if type(inner) is exp.Case:
        case = walk.case(inner)
        if alias is None:
            raise walk.usage(node, "The CASE has no name.", "Write ... END AS name.", "no-name")
        _require_name(alias, node, walk)
        return _Item(alias, node, case)
    raise walk.refused(
        node,
        "The SELECT list holds grouped columns and statistics only.",
        f"Select a column of GROUP BY, a CASE, or one of {FUNCTION_LIST}.",
        "select-list",
    )


def _require_name(name: str | None, node: Node, walk: Walk) -> None:
    bare = type(node) is exp.Identifier and not node.args.get("quoted")
    if bare and (name or "").upper() in RESERVED:
        raise walk.usage(
            node,
            f"'{name}' is a word of SQL and cannot be a name.",
            "Choose another name, or write it in double quotes.",
            "no-name",
        )
    if not is_sql_name(name):
        raise walk.usage(
            node,
            "A column of the answer has no usable name.",
            "Use letters, digits and underscores, at most 63: ... AS people.",
            "no-name",
        )


def _require_distinct_names(items: tuple[_Item, ...], walk: Walk) -> None:
    seen: set[str] = set()
    for item in items:
        if item.name.lower() in seen:
            raise walk.usage(
                item.node,
                f"Two columns of the answer are called '{item.name}'.",
                "Name one of them with AS.",
                "two-names",
            )
        seen.add(item.name.lower())
    if not any(isinstance(item.made, Measure) for item in items):
        raise UsageError(
            "The question asks for no statistic.",
            "Add COUNT(DISTINCT person), or another statistic, to the SELECT list.",
            where=walk.where(items[0].node) if items else walk.where_word("SELECT"),
            code="no-statistic",
        )


def _measure(node: Node, alias: str | None, walk: Walk) -> Measure | None:
    if type(node) is exp.Count:
        function = _count(node, walk)
        return Measure(function, alias or default_name(function, None))
    if type(node) is exp.Anonymous and str(node.this).upper() == "PROPORTION":
        walk.only(node, "this", "expressions")
        if len(node.expressions) != 1:
            raise walk.usage(
                node, "PROPORTION takes one condition.", "Write PROPORTION(disabled = TRUE)."
            )
        return Measure("proportion", alias or "proportion", walk.predicate(node.expressions[0]))
    named = _FUNCTIONS.get(type(node))
    if named is None:
        return None
    walk.only(node, "this")
    if node.this is None:
        raise walk.usage(node, "This statistic names no column.", "Write the column in brackets.")
    argument: Scalar = walk.scalar(node.this)
    return Measure(named, alias or default_name(named, argument), argument)


def _count(node: Node, walk: Walk) -> Function:
    walk.only(node, "this", "big_int")
    inner = node.this
    if type(inner) is exp.Star:
        walk.only(inner)
        return "count_rows"
    if type(inner) is not exp.Distinct:
        raise walk.refused(
            node,
            "COUNT counts rows or people, not the values of a column.",
            "Write COUNT(*) or COUNT(DISTINCT person), and column IS NOT NULL in WHERE.",
            "count",
        )
    walk.only(inner, "expressions")
    entity = inner.expressions[0] if len(inner.expressions) == 1 else None
    plain = type(entity) is exp.Column and not entity.args.get("table")
    if not plain or entity is None or entity.name.lower() != "person":
        raise walk.refused(
            inner,
            "COUNT(DISTINCT ...) counts people only.",
            "Write COUNT(DISTINCT person).",
            "count",
        )
    walk.only(entity, "this")
    walk.names.entity(entity.name, walk.where(entity))
    return "count_people"


# -- GROUP BY


def _groups(
    clause: Node, items: tuple[_Item, ...], walk: Walk
) -> tuple[Margins, tuple[_Item, ...]]:
    if clause is None:
        return "none", ()
    walk.only(clause, "expressions")
    listed = clause.expressions
    margins: Margins = "none"
    special = [node for node in listed if type(node) in (exp.Rollup, exp.Cube)]
    if special:
        if len(listed) > 1:
            raise walk.refused(
                special[0],
                "ROLLUP and CUBE stand alone in GROUP BY.",
                "Write GROUP BY ROLLUP (a, b) over all grouped columns.",
                "margins",
            )
        margins = "rollup" if type(special[0]) is exp.Rollup else "cube"
        walk.only(special[0], "expressions")
        listed = special[0].expressions
    groups = [_grouped(node, items, walk) for node in listed]
    for position, item in enumerate(groups):
        if item in groups[:position]:
            raise walk.usage(
                listed[position], f"'{item.name}' is grouped twice.", "Name it once.", "group"
            )
    if not groups:
        raise UsageError(
            "GROUP BY names nothing.", "Name columns.", where=walk.where_word("GROUP"), code="group"
        )
    return margins, tuple(groups)


def _grouped(node: Node, items: tuple[_Item, ...], walk: Walk) -> _Item:
    while type(node) is exp.Paren:
        walk.only(node, "this")
        node = node.this
    if type(node) is exp.Literal:
        item = _at_ordinal(node, items, walk)
    elif type(node) is exp.Column and not node.args.get("table"):
        item = _called(node, items, walk)
    elif type(node) in (exp.Column, exp.Case):
        item = _same(node, walk.scalar(node), items, walk)
    else:
        raise walk.refused(
            node,
            "GROUP BY names columns, a CASE of the SELECT list, or its number.",
            "Write GROUP BY and the column.",
            "group",
        )
    if isinstance(item.made, Measure):
        raise walk.refused(node, "A statistic cannot head a group.", "Group by a column.", "group")
    return item


def _called(node: Node, items: tuple[_Item, ...], walk: Walk) -> _Item:
    """Return the entry that a bare name in GROUP BY means.

    SQL engines disagree on whether a column or the SELECT list's name wins, so a name that
    could mean either is not allowed.
    """
    walk.only(node, "this")
    name = matching(node.name, [item.name for item in items])
    named = [item for item in items if item.name == name]
    columns = walk.names.columns_called(node.name)
    if not named:
        return _same(node, walk.column(node), items, walk)
    if columns and named[0].made not in columns:
        raise walk.usage(
            node,
            f"'{node.name}' is a column and also the name of something else in the SELECT list.",
            "Give that another name with AS.",
            "ambiguous-column",
        )
    return named[0]


def _same(node: Node, made: Scalar, items: tuple[_Item, ...], walk: Walk) -> _Item:
    for item in items:
        if item.made == made:
            return item
    raise walk.usage(
        node, "This is grouped but not selected.", "Add it to the SELECT list.", "group"
    )


def _at_ordinal(node: Node, items: tuple[_Item, ...], walk: Walk) -> _Item:
    written = str(node.this)
    if node.is_string or not written.isdecimal() or not 1 <= int(written) <= len(items):
        raise walk.usage(
            node,
            "This number is not the place of a column in the SELECT list.",
            f"Write 1 to {len(items)}, or a name.",
            "ordinal",
        )
    return items[int(written) - 1]


def _require_grouped(items: tuple[_Item, ...], groups: tuple[_Item, ...], walk: Walk) -> None:
    for item in items:
        if not isinstance(item.made, Measure) and item not in groups:
            raise Refused(
                f"'{item.name}' is selected but not grouped, which would list single rows.",
                f"Add {item.name} to GROUP BY.",
                where=walk.where(item.node),
                code="rows",
            )


# -- ORDER BY and LIMIT


def _order(clause: Node, items: tuple[_Item, ...], walk: Walk) -> tuple[Order, ...]:
    if clause is None:
        return ()
    walk.only(clause, "expressions")
    return tuple(_ordered(node, items, walk) for node in clause.expressions)


def _ordered(node: Node, items: tuple[_Item, ...], walk: Walk) -> Order:
    # sqlglot fills nulls_first in by itself; the gate keeps the words NULLS FIRST out.
    walk.only(node, "this", "desc", "nulls_first")
    inner = node.this
    descending = bool(node.args.get("desc"))
    if type(inner) is exp.Literal:
        return Order(_at_ordinal(inner, items, walk).name, descending)
    if type(inner) is exp.Column:
        walk.only(inner, "this", "table")
        names = [item.name for item in items]
        name = matching(inner.name, names)
        if name is not None and not inner.args.get("table"):
            return Order(name, descending)
        if inner.args.get("table"):
            column = walk.column(inner)
            for item in items:
                if item.made == column:
                    return Order(item.name, descending)
        raise walk.refused(
            inner,
            f"ORDER BY sorts released columns, and '{inner.name}' is not one."
            f"{nearest(inner.name, names)}",
            f"Write one of {', '.join(names)}.",
            "order",
        )
    raise walk.refused(
        inner,
        "ORDER BY sorts released columns only.",
        "Name the statistic with AS and sort by that name.",
        "order",
    )


def _limit(clause: Node, walk: Walk) -> int | None:
    if clause is None:
        return None
    walk.only(clause, "expression")
    number = clause.expression
    written = str(number.this) if type(number) is exp.Literal and not number.is_string else ""
    if not written.isdecimal() or not 1 <= int(written) <= MAX_LIMIT:
        raise UsageError(
            "LIMIT takes a whole number from 1.",
            "Write LIMIT 10.",
            where=walk.where(clause) or walk.where_word("LIMIT"),
            code="limit",
        )
    return int(written)
