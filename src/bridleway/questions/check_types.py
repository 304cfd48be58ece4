"""Types: every constant takes the type of what it is compared with, or the question is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from bridleway.errors import Refused
from bridleway.model.catalogue import ColumnFacts, ColumnType, TableFacts
from bridleway.model.question import (
    And,
    Arithmetic,
    Case,
    Column,
    Compare,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    Predicate,
    Scalar,
    columns_in,
    tables_in,
)
from bridleway.questions.check_bounds import bounds_of, require_one_scale
from bridleway.questions.sql_text import date_of

_NUMBERS = frozenset({"integer", "decimal"})
_HOLDS: dict[ColumnType, str] = {
    "text": "text",
    "integer": "whole numbers",
    "decimal": "numbers",
    "date": "dates",
    "boolean": "true or false",
}
_WRITE: dict[ColumnType, str] = {
    "text": "Write the constant in single quotes.",
    "integer": "Write the number without quotation marks.",
    "decimal": "Write the number without quotation marks.",
    "date": "Write the date as DATE '2020-01-31'.",
    "boolean": "Write TRUE or FALSE.",
}


class Types:
    """Reads a question's expressions against the declared facts, which have been agreed."""

    def __init__(self, facts: Mapping[str, Sequence[TableFacts]]) -> None:
        self.facts = facts

    def declared(self, column: Column) -> ColumnFacts:
        """Return a column's declared facts; an identifier is never used by value."""
        declared = self.facts[column.table][0].columns[column.name]
        where = f"{column.table}.{column.name}"
        if declared.cls == "identifier":
            raise Refused(
                f"The column '{where}' identifies people and is never compared, grouped or added.",
                "Join on its entity with USING, or count people with COUNT(DISTINCT person).",
                where=where,
                code="identifier",
            )
        return declared

    # -- predicates

    def predicate(self, node: Predicate) -> Predicate:
        """Return the predicate with its constants typed. Raises Refused or Gap."""
        if isinstance(node, And | Or):
            terms = tuple(self.predicate(term) for term in node.terms)
            return And(terms) if isinstance(node, And) else Or(terms)
        if isinstance(node, Not):
            return Not(self.predicate(node.term))
        _require_one_table(node)
        if isinstance(node, Compare):
            return self._compare(node)
        if isinstance(node, In):
            return self._in(node)
        if isinstance(node, IsNull):
            return IsNull(self.as_kind(node.item, self.kind(node.item)))
        return self._like(node)

    def _compare(self, node: Compare) -> Compare:
        kind = self._joined((node.left, node.right))
        ordering = node.op not in ("=", "<>")
        if ordering and kind in ("text", "boolean"):
            raise Refused(
                f"Values that are {_HOLDS[kind]} have no order that all engines share.",
                "Use =, <> or IN; for texts also LIKE.",
                where=_place(node),
                code="types",
            )
        self._require_one_scale((node.left, node.right))
        return Compare(node.op, self.as_kind(node.left, kind), self.as_kind(node.right, kind))

    def _in(self, node: In) -> In:
        kind = self._joined((node.item, *node.values))
        self._require_one_scale((node.item, *node.values))
        values = tuple(_literal_as(value, kind, _place(node)) for value in node.values)
        return In(self.as_kind(node.item, kind), values)

    def _like(self, node: Like) -> Like:
        if self.declared(node.item).type != "text":
            raise Refused(
                f"The column '{_place(node)}' is not text, and LIKE compares texts.",
                "Compare it with = or IN.",
                where=_place(node),
                code="types",
            )
        return node

    # -- scalars

    def kind(self, node: Scalar) -> ColumnType:
        """Return the type of a scalar. Raises Refused where its parts do not go together."""
        if isinstance(node, Column):
            return self.declared(node).type
        if isinstance(node, Literal):
            return _literal_kind(node)
        if isinstance(node, Case):
            kind = self._joined(_results(node))
            if kind in _NUMBERS:  # such a CASE is computed, not compared as stored
                bounds_of(node, self.facts)
            return kind
        for operand in (node.left, node.right):
            kind = self.kind(operand)
            if kind not in _NUMBERS:
                raise Refused(
                    f"Values that are {_HOLDS[kind]} cannot be added or multiplied.",
                    "Use columns of numbers, or CASE WHEN condition THEN 1 ELSE 0 END.",
                    where=_place(node),
                    code="types",
                )
        bounds_of(node, self.facts)
        return self._joined((node.left, node.right))

    def as_kind(self, node: Scalar, kind: ColumnType) -> Scalar:
        """Return the scalar with its constants written in a type. Raises Refused."""
        if isinstance(node, Literal):
            return _literal_as(node, kind, "")
        if isinstance(node, Case):
            whens = tuple((self.predicate(c), self.as_kind(r, kind)) for c, r in node.whens)
            rest = None if node.otherwise is None else self.as_kind(node.otherwise, kind)
            return Case(whens, rest)
        if isinstance(node, Arithmetic):
            left, right = self.kind(node.left), self.kind(node.right)
            return Arithmetic(
                node.op, self.as_kind(node.left, left), self.as_kind(node.right, right)
            )
        own = self.kind(node)
        if own != kind and not {own, kind} <= _NUMBERS:
            raise _mismatch(own, kind, _place(node))
        return node

    def _computes(self, node: Scalar) -> bool:
        return isinstance(node, Arithmetic) or (
            isinstance(node, Case) and self.kind(node) in _NUMBERS
        )

    def _require_one_scale(self, nodes: Sequence[Scalar]) -> None:
        """Numbers that meet a calculation are compared as fixed-point ones of its scale."""
        if any(map(self._computes, nodes)):
            require_one_scale([bounds_of(node, self.facts) for node in nodes])

    def _joined(self, nodes: Sequence[Scalar]) -> ColumnType:
        """Return the one type that scalars share; a text among dates has to write a date."""
        kinds = [self.kind(node) for node in nodes]
        present = set(kinds)
        if present <= _NUMBERS:
            return "decimal" if "decimal" in present else "integer"
        if present == {"date", "text"}:
            return "date"
        if len(present) > 1:
            first = kinds[0]
            other = next(kind for kind in kinds if kind != first)
            raise _mismatch(first, other, next((p for n in nodes if (p := _place(n))), ""))
        return kinds[0]


def _require_one_table(node: Predicate) -> None:
    tables = sorted(tables_in(node))
    if len(tables) > 1:
        raise Refused(
            f"A comparison reads columns of two tables, {' and '.join(tables)}.",
            "Compare columns within one table; combine tables with AND and OR.",
            where=tables[0],
            code="cross-table",
        )


def _results(node: Case) -> tuple[Scalar, ...]:
    results = tuple(result for _, result in node.whens)
    return results if node.otherwise is None else (*results, node.otherwise)


def _literal_kind(literal: Literal) -> ColumnType:
    value = literal.value
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, Decimal):
        return "decimal"
    return "date" if isinstance(value, date) else "text"


def _literal_as(literal: Literal, kind: ColumnType, where: str) -> Literal:
    own = _literal_kind(literal)
    if own == kind or {own, kind} <= _NUMBERS:
        return literal
    if kind == "date" and isinstance(literal.value, str):
        value = date_of(literal.value)
        if value is None:
            raise Refused(
                "A text that is compared with a date is not a date of the calendar.",
                _WRITE["date"],
                where=where,
                code="types",
            )
        return Literal(value)
    raise _mismatch(kind, own, where)


def _mismatch(left: ColumnType, right: ColumnType, where: str) -> Refused:
    return Refused(
        f"{_HOLDS[left].capitalize()} cannot be compared or mixed with {_HOLDS[right]}.",
        _WRITE[left],
        where=where,
        code="types",
    )


def _place(node: object) -> str:
    """Return `table.column` of the first column of a node, or an empty string."""
    names = sorted(f"{column.table}.{column.name}" for column in columns_in(node))
    return names[0] if names else ""
