"""Question -> readable SQL that reads back as the same question."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import cast

from bridleway.model.question import (
    And,
    Arithmetic,
    Case,
    Column,
    Compare,
    Function,
    Group,
    In,
    IsNull,
    Like,
    Literal,
    Measure,
    Not,
    Or,
    Predicate,
    Question,
    Scalar,
)
from bridleway.questions.canonical import canonical
from bridleway.questions.sql_words import quoted

_FUNCTIONS: dict[Function, str] = {
    "sum": "SUM",
    "avg": "AVG",
    "var_samp": "VAR_SAMP",
    "var_pop": "VAR_POP",
    "stddev_samp": "STDDEV_SAMP",
    "stddev_pop": "STDDEV_POP",
    "proportion": "PROPORTION",
}
_STRENGTH = {"+": 1, "-": 1, "*": 2}


def to_sql(question: Question) -> str:
    """Return a question as SQL text, one clause per line; `parse` reads it back as equal."""
    question = canonical(question)
    writer = _Writer(qualified=bool(question.joins))
    groups = {group.name: group for group in question.groups}
    measures = {measure.name: measure for measure in question.measures}
    items = [
        writer.group_item(groups[name]) if name in groups else writer.measure(measures[name])
        for name in question.select
    ]
    lines = ["SELECT " + ",\n       ".join(items), f"FROM {quoted(question.table)}"]
    lines += [f"JOIN {quoted(j.table)} USING ({quoted(j.entity)})" for j in question.joins]
    if question.where is not None:
        terms = question.where.terms if isinstance(question.where, And) else (question.where,)
        lines.append("WHERE " + "\n  AND ".join(writer.term(term, And) for term in terms))
    if groups:
        lines.append("GROUP BY " + _group_by(question, writer))
    if question.order_by:
        sorted_by = [quoted(o.name) + (" DESC" if o.descending else "") for o in question.order_by]
        lines.append("ORDER BY " + ", ".join(sorted_by))
    if question.limit is not None:
        lines.append(f"LIMIT {question.limit}")
    return "\n".join(lines)


def _group_by(question: Question, writer: _Writer) -> str:
    listed = ", ".join(_grouped(group, question, writer) for group in question.groups)
    return listed if question.margins == "none" else f"{question.margins.upper()} ({listed})"


def _grouped(group: Group, question: Question, writer: _Writer) -> str:
    # A name that stands for a CASE could also be a column of a table, which `parse` refuses:
    # the place in the SELECT list is never in doubt.
    expression = group.expression
    if isinstance(expression, Column) and expression.name == group.name:
        return writer.column(expression)
    return str(question.select.index(group.name) + 1)


class _Writer:
    """Writes expressions; names carry their table where the question joins."""

    def __init__(self, *, qualified: bool) -> None:
        self.qualified = qualified

    def group_item(self, group: Group) -> str:
        written = self.scalar(group.expression)
        expression = group.expression
        if isinstance(expression, Column) and expression.name == group.name:
            return written
        return f"{written} AS {quoted(group.name)}"

    def measure(self, measure: Measure) -> str:
        return f"{self._statistic(measure)} AS {quoted(measure.name)}"

    def _statistic(self, measure: Measure) -> str:
        if measure.function == "count_rows":
            return "COUNT(*)"
        if measure.function == "count_people":
            return "COUNT(DISTINCT person)"
        argument = measure.argument
        if isinstance(argument, Column | Literal | Arithmetic | Case):
            return f"{_FUNCTIONS[measure.function]}({self.scalar(argument)})"
        condition = cast(Predicate, argument)  # a canonical statistic has an argument
        return f"{_FUNCTIONS[measure.function]}({self.predicate(condition)})"

    def column(self, node: Column) -> str:
        name = quoted(node.name)
        return f"{quoted(node.table)}.{name}" if self.qualified else name

    def scalar(self, node: Scalar, strength: int = 0) -> str:
        if isinstance(node, Column):
            return self.column(node)
        if isinstance(node, Literal):
            return _constant(node)
        if isinstance(node, Arithmetic):
            own = _STRENGTH[node.op]
            left, right = self.scalar(node.left, own), self.scalar(node.right, own + 1)
            written = f"{left} {node.op} {right}"
            return f"({written})" if own < strength else written
        branches = [f"WHEN {self.predicate(c)} THEN {self.scalar(r)}" for c, r in node.whens]
        if node.otherwise is not None:
            branches.append(f"ELSE {self.scalar(node.otherwise)}")
        return f"CASE {' '.join(branches)} END"

    def term(self, node: Predicate, within: type) -> str:
        """Write a term of an AND or OR, in brackets where it is the other of the two."""
        written = self.predicate(node)
        return (
            f"({written})" if isinstance(node, And | Or) and type(node) is not within else written
        )

    def predicate(self, node: Predicate) -> str:
        if isinstance(node, And):
            return " AND ".join(self.term(term, And) for term in node.terms)
        if isinstance(node, Or):
            return " OR ".join(self.term(term, Or) for term in node.terms)
        if isinstance(node, Not):
            return self._leaf(node.term, "NOT ")
        return self._leaf(node, "")

    def _leaf(self, node: Predicate, negation: str) -> str:
        if isinstance(node, In):
            listed = ", ".join(_constant(value) for value in node.values)
            return f"{self.scalar(node.item)} {negation}IN ({listed})"
        if isinstance(node, IsNull):
            return f"{self.scalar(node.item)} IS {negation}NULL"
        if isinstance(node, Like):
            return f"{self.column(node.item)} {negation}LIKE {_constant(Literal(node.pattern))}"
        if isinstance(node, Compare) and not negation:
            return f"{self.scalar(node.left)} {node.op} {self.scalar(node.right)}"
        return f"NOT ({self.predicate(node)})"


def _constant(literal: Literal) -> str:
    value = literal.value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    return "'" + value.replace("'", "''") + "'"
