"""The allow-list: parsed expressions -> scalars and predicates; anything unnamed here is refused.

For every kind of node the arguments that may be set are listed too: sqlglot writes
`a NOT LIKE 'x'` as Like(negate=True), and a reader that overlooks an argument turns a question
into its opposite.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NoReturn, TypeAlias

from sqlglot import exp

from bridleway.errors import Refused, UsageError
from bridleway.model.question import (
    And,
    Arithmetic,
    ArithmeticOp,
    Case,
    Column,
    Compare,
    CompareOp,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    Predicate,
    Scalar,
)
from bridleway.questions.sql_names import Names
from bridleway.questions.sql_text import (
    MAX_DEPTH,
    MAX_IN_VALUES,
    date_of,
    number_problem,
    place_of,
    require_pattern,
)
from bridleway.questions.sql_tokens import Token

# sqlglot publishes no types for its trees that mypy --strict could use.
Node: TypeAlias = Any

_COMPARES: dict[type, CompareOp] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_ARITHMETIC: dict[type, ArithmeticOp] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}
_AGGREGATES = (
    exp.Count, exp.Sum, exp.Avg, exp.Variance, exp.VariancePop, exp.Stddev, exp.StddevSamp,
    exp.StddevPop,
)  # fmt: skip
_PREDICATES = (*_COMPARES, exp.In, exp.Between, exp.Is, exp.Like, exp.And, exp.Or, exp.Not)


class Walk:
    """Reads the parsed expressions of one text."""

    def __init__(self, text: str, tokens: tuple[Token, ...], names: Names) -> None:
        self.text = text
        self.names = names
        self._tokens = tokens
        self._by_start = {token.start: token for token in tokens}

    # -- places

    def where(self, node: Node) -> str:
        """Return the place of a node: of its own word, or of the first word inside it."""
        starts = [
            inner.meta["start"] for inner in node.walk() if "start" in getattr(inner, "meta", {})
        ]
        own = node.meta.get("start") if isinstance(node, exp.Expression) else None
        start = own if own is not None else min(starts, default=None)
        token = self._by_start.get(start) if start is not None else None
        if token is None:
            return ""
        # A text constant may be somebody's name; its place is enough.
        return place_of(self.text, token.start, "" if token.kind == "string" else token.text)

    def where_word(self, word: str) -> str:
        """Return the place of the first token that writes a word."""
        for token in self._tokens:
            if token.upper == word:
                return place_of(self.text, token.start, token.text)
        return ""

    def usage(self, node: Node, sentence: str, remedy: str, code: str = "syntax") -> UsageError:
        """Make a UsageError at a node."""
        return UsageError(sentence, remedy, where=self.where(node), code=code)

    def refused(self, node: Node, sentence: str, remedy: str, code: str) -> Refused:
        """Make a Refused at a node."""
        return Refused(sentence, remedy, where=self.where(node), code=code)

    def refuse(self, node: Node) -> NoReturn:
        """Refuse a kind of node that is not on the list."""
        raise self.refused(
            node,
            "This is not in the question language.",
            "Use comparisons, IN, BETWEEN, IS NULL, LIKE, AND, OR, NOT, CASE, + - * and the "
            "functions COUNT, SUM, AVG, VAR_SAMP, STDDEV_SAMP, PROPORTION.",
            "not-in-language",
        )

    def only(self, node: Node, *allowed: str) -> None:
        """Refuse a node that has any other argument set than the allowed ones."""
        for name, value in node.args.items():
            if name not in allowed and value not in (None, False, []):
                self.refuse(node)

    # -- scalars

    def scalar(self, node: Node, depth: int = 0) -> Scalar:
        """Return the scalar that a node writes. Raises Refused or UsageError at its place."""
        self._shallow(node, depth)
        kind = type(node)
        if kind is exp.Paren:
            self.only(node, "this")
            return self.scalar(node.this, depth + 1)
        if kind is exp.Column:
            return self.column(node)
        if kind in (exp.Literal, exp.Boolean, exp.Cast, exp.Null):
            return self.literal(node)
        if kind is exp.Neg:
            return self._negative(node, depth)
        if kind in _ARITHMETIC:
            self.only(node, "this", "expression")
            left = self.scalar(node.this, depth + 1)
            return Arithmetic(_ARITHMETIC[kind], left, self.scalar(node.expression, depth + 1))
        if kind is exp.Case:
            return self.case(node, depth)
        self._refuse_as_scalar(node)

    def _refuse_as_scalar(self, node: Node) -> NoReturn:
        if isinstance(node, _AGGREGATES) or _is_proportion(node):
            raise self.refused(
                node,
                "A statistic stands alone in the SELECT list.",
                "Ask for its parts as columns of their own, and calculate with the answer.",
                "nested-aggregate",
            )
        if isinstance(node, _PREDICATES):
            raise self.refused(
                node,
                "A condition stands where a value belongs.",
                "Write CASE WHEN condition THEN 1 ELSE 0 END, or put it into WHERE.",
                "condition-as-value",
            )
        self.refuse(node)

    def column(self, node: Node) -> Column:
        """Return the column that a node names."""
        self.only(node, "this", "table")
        if type(node.this) is not exp.Identifier:
            self.refuse(node)
        qualifier = node.args.get("table")
        return self.names.column(
            node.this.name, qualifier.name if qualifier else None, self.where(node)
        )

    def literal(self, node: Node) -> Literal:
        """Return the constant that a node writes: text, number, TRUE, FALSE or DATE '...'."""
        if type(node) is exp.Boolean:
            return Literal(bool(node.this))
        if type(node) is exp.Null:
            raise UsageError(
                "NULL is not a value to compare with or to return.",
                "Write IS NULL or IS NOT NULL; leave ELSE out where there is no value.",
                where=self.where(node) or self.where_word("NULL"),
                code="null",
            )
        if type(node) is exp.Cast:
            return self._date(node)
        if type(node) is exp.Neg:
            negative = self._negative(node, 0)
            if isinstance(negative, Literal):
                return negative
        if type(node) is exp.Paren:
            self.only(node, "this")
            return self.literal(node.this)
        if type(node) is not exp.Literal:
            raise self.usage(node, "Only constants can stand here.", "Write text or a number.")
        if node.is_string:
            return Literal(str(node.this))
        return Literal(self._number(node))

    def _number(self, node: Node) -> int | Decimal:
        written = str(node.this)
        value = Decimal(written) if "." in written else int(written)
        problem = number_problem(value)
        if problem:
            raise self.usage(node, f"The number {problem}.", "Round it.", "number")
        return value

    def _date(self, node: Node) -> Literal:
        self.only(node, "this", "to", "_type")
        is_date = node.to.this == exp.DType.DATE and type(node.this) is exp.Literal
        if not is_date or not node.this.is_string:
            self.refuse(node)
        value = date_of(str(node.this.this))
        if value is None:
            raise self.usage(
                node, "This is not a date of the calendar.", "Write DATE '2020-01-31'.", "date"
            )
        return Literal(value)

    def _negative(self, node: Node, depth: int) -> Scalar:
        self.only(node, "this")
        inner = self.scalar(node.this, depth + 1)
        if isinstance(inner, Literal):
            if isinstance(inner.value, bool) or not isinstance(inner.value, int | Decimal):
                raise self.usage(node, "Only numbers have a sign.", "Leave the minus out.")
            return Literal(_negated(inner.value))
        return Arithmetic("-", Literal(0), inner)

    def case(self, node: Node, depth: int = 0) -> Case:
        """Return the CASE that a node writes."""
        self.only(node, "this", "ifs", "default")
        whens: list[tuple[Predicate, Scalar]] = []
        for branch in node.args["ifs"]:
            self.only(branch, "this", "true")
            if node.this is None:
                condition = self.predicate(branch.this, depth + 1)
            else:
                item = self.scalar(node.this, depth + 1)
                condition = Compare("=", item, self.scalar(branch.this, depth + 1))
                self._not_two_constants(condition, branch.this)
            whens.append((condition, self.scalar(branch.args["true"], depth + 1)))
        default = node.args.get("default")
        if default is None or type(default) is exp.Null:
            return Case(tuple(whens))
        return Case(tuple(whens), self.scalar(default, depth + 1))

    # -- predicates

    def predicate(self, node: Node, depth: int = 0) -> Predicate:
        """Return the predicate that a node writes. Raises Refused or UsageError at its place."""
        self._shallow(node, depth)
        kind = type(node)
        if kind is exp.Paren:
            self.only(node, "this")
            return self.predicate(node.this, depth + 1)
        if kind is exp.Not:
            self.only(node, "this")
            return Not(self.predicate(node.this, depth + 1))
        if kind in (exp.And, exp.Or):
            terms = tuple(self.predicate(t, depth + 1) for t in self._chain(node, kind))
            return And(terms) if kind is exp.And else Or(terms)
        if kind in _COMPARES:
            return self._compare(node, depth)
        if kind is exp.Column:
            return Compare("=", self.column(node), Literal(True))
        other = self._other_predicate(kind)
        if other is None:
            self._refuse_as_predicate(node)
        found = other(node, depth)
        return Not(found) if node.args.get("negate") else found

    def _other_predicate(self, kind: Any) -> Callable[[Node, int], Predicate] | None:
        return {
            exp.In: self._in,
            exp.Between: self._between,
            exp.Is: self._is_null,
            exp.Like: self._like,
        }.get(kind)

    def _refuse_as_predicate(self, node: Node) -> NoReturn:
        if isinstance(node, exp.Literal | exp.Boolean | exp.Null | exp.Cast):
            raise UsageError(
                "A constant is not a condition.",
                "Compare a column with it.",
                where=self.where(node) or self.where_word(str(node.sql()).upper()),
                code="constant-condition",
            )
        if isinstance(node, exp.Case):
            raise self.refused(
                node,
                "A CASE is not a condition.",
                "Write its conditions with AND and OR, or compare it with a constant.",
                "case-condition",
            )
        if type(node) in (*_ARITHMETIC, exp.Neg):
            raise self.usage(node, "A number is not a condition.", "Compare it with a constant.")
        self._refuse_as_scalar(node)

    def _chain(self, node: Node, kind: Any) -> list[Node]:
        """Return the terms of a AND b AND c, left to right, without recursion."""
        terms: list[Node] = []
        while type(node) is kind:
            self.only(node, "this", "expression")
            terms.append(node.expression)
            node = node.this
        return [node, *reversed(terms)]

    def _compare(self, node: Node, depth: int) -> Predicate:
        self.only(node, "this", "expression")
        made = Compare(
            _COMPARES[type(node)],
            self.scalar(node.this, depth + 1),
            self.scalar(node.expression, depth + 1),
        )
        self._not_two_constants(made, node)
        return made

    def _not_two_constants(self, made: Compare, node: Node) -> None:
        if isinstance(made.left, Literal) and isinstance(made.right, Literal):
            raise self.usage(
                node, "This compares two constants.", "Compare a column.", "constant-condition"
            )

    def _in(self, node: Node, depth: int) -> Predicate:
        self.only(node, "this", "expressions", "negate")
        item = self._item(node.this, depth)
        values = node.expressions
        if not values:
            raise self.usage(node, "The list of IN is empty.", "List the constants.", "in-list")
        if len(values) > MAX_IN_VALUES:
            raise self.refused(
                node,
                f"The list of IN has more than {MAX_IN_VALUES} constants.",
                "Shorten it, or ask for a catalogue column that bands the values.",
                "in-list",
            )
        return In(item, tuple(self.literal(value) for value in values))

    def _between(self, node: Node, depth: int) -> Predicate:
        self.only(node, "this", "low", "high", "negate")
        item = self._item(node.this, depth)
        low = self.scalar(node.args["low"], depth + 1)
        high = self.scalar(node.args["high"], depth + 1)
        return And((Compare(">=", item, low), Compare("<=", item, high)))

    def _is_null(self, node: Node, depth: int) -> Predicate:
        self.only(node, "this", "expression", "negate")
        if type(node.expression) is not exp.Null:
            raise self.refused(
                node,
                "IS is for NULL only.",
                "Write IS NULL, IS NOT NULL, or the condition itself: disabled = TRUE.",
                "is",
            )
        return IsNull(self._item(node.this, depth))

    def _like(self, node: Node, depth: int) -> Predicate:
        self.only(node, "this", "expression", "negate")
        item = self.scalar(node.this, depth + 1)
        pattern = node.expression
        if not isinstance(item, Column) or not (type(pattern) is exp.Literal and pattern.is_string):
            raise self.refused(
                node, "LIKE compares a column with a text.", "Write column LIKE 'text%'.", "like"
            )
        return Like(item, require_pattern(str(pattern.this), self.where(pattern)))

    def _item(self, node: Node, depth: int) -> Scalar:
        item = self.scalar(node, depth + 1)
        if isinstance(item, Literal):
            raise self.usage(
                node, "A constant is compared with constants.", "Name a column first.",
                "constant-condition",
            )  # fmt: skip
        return item

    def _shallow(self, node: Node, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self.usage(
                node,
                "The question is nested too deeply.",
                f"Keep brackets, CASE, NOT and chains of + - * to {MAX_DEPTH} levels.",
                "too-deep",
            )


def _negated(value: int | Decimal) -> int | Decimal:
    # copy_negate is exact whatever the caller's decimal context is.
    return value.copy_negate() if isinstance(value, Decimal) else -value


def _is_proportion(node: Node) -> bool:
    return type(node) is exp.Anonymous and str(node.this).upper() == "PROPORTION"
