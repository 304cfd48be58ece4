"""The same question as a Python object, without SQL.

    >>> made = (
    ...     question("housing")
    ...     .join("health", on="person")
    ...     .where((col("housing.tenure") == "rent") & col("health.disabled").is_true())
    ...     .group_by("housing.area", margins="rollup")
    ...     .count_people("people")
    ...     .sum("housing.rent", "total")
    ...     .build()
    ... )
    >>> made.select
    ('area', 'people', 'total')

`build` returns the value that `parse` returns for the same question in SQL. A bare column name
is looked up in the scope, as in SQL; without a scope it belongs to the only table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from bridleway.errors import UsageError
from bridleway.model.question import (
    And,
    Arithmetic,
    ArithmeticOp,
    Case,
    Column,
    Compare,
    CompareOp,
    Function,
    Group,
    In,
    IsNull,
    Join,
    Like,
    Literal,
    Margins,
    Measure,
    Not,
    Or,
    Order,
    Predicate,
    Question,
    Scalar,
)
from bridleway.questions.canonical import canonical
from bridleway.questions.sql_names import Names, Scope, default_name
from bridleway.questions.sql_text import constant_problem

if TYPE_CHECKING:
    from typing import Any

__all__ = ["Condition", "Draft", "Value", "as_question", "col", "question", "when"]

Constant: TypeAlias = "str | int | Decimal | bool | date"

# A table that is not known before `build`: the column was named without one.
_UNSAID = ""


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A column, or a calculation with columns. Compare it to get a `Condition`."""

    node: Scalar

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]
        return self._compare("=", other)

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]
        return self._compare("<>", other)

    def __lt__(self, other: object) -> Condition:
        return self._compare("<", other)

    def __le__(self, other: object) -> Condition:
        return self._compare("<=", other)

    def __gt__(self, other: object) -> Condition:
        return self._compare(">", other)

    def __ge__(self, other: object) -> Condition:
        return self._compare(">=", other)

    __hash__ = None  # type: ignore[assignment]  # == makes a condition, so sets cannot work

    def __add__(self, other: Value | int | Decimal) -> Value:
        return self._calculate("+", self, other)

    def __radd__(self, other: int | Decimal) -> Value:
        return self._calculate("+", other, self)

    def __sub__(self, other: Value | int | Decimal) -> Value:
        return self._calculate("-", self, other)

    def __rsub__(self, other: int | Decimal) -> Value:
        return self._calculate("-", other, self)

    def __mul__(self, other: Value | int | Decimal) -> Value:
        return self._calculate("*", self, other)

    def __rmul__(self, other: int | Decimal) -> Value:
        return self._calculate("*", other, self)

    def __neg__(self) -> Value:
        return self._calculate("-", 0, self)

    def __bool__(self) -> NoReturn:
        _refuse_truth()

    def is_in(self, values: Iterable[Constant]) -> Condition:
        """Return the condition that the value is one of the constants."""
        if isinstance(values, str):
            raise UsageError("is_in() takes a list of constants.", "Write is_in(['a', 'b']).")
        return Condition(In(self.node, tuple(_literal(value) for value in values)))

    def not_in(self, values: Iterable[Constant]) -> Condition:
        """Return the condition that the value is none of the constants."""
        return ~self.is_in(values)

    def between(self, low: Constant | Value, high: Constant | Value) -> Condition:
        """Return the condition that the value is from low to high, both included."""
        return (self >= low) & (self <= high)

    def is_null(self) -> Condition:
        """Return the condition that the value is missing."""
        return Condition(IsNull(self.node))

    def is_not_null(self) -> Condition:
        """Return the condition that the value is there."""
        return ~self.is_null()

    def is_true(self) -> Condition:
        """Return the condition that a boolean column is true."""
        return self == True  # noqa: E712  # makes a comparison

    def is_false(self) -> Condition:
        """Return the condition that a boolean column is false."""
        return self == False  # noqa: E712  # makes a comparison

    def like(self, pattern: str) -> Condition:
        """Return the condition that a text column matches a pattern of % and _."""
        if not isinstance(self.node, Column):
            raise UsageError("like() compares a column.", "Write col('name').like('text%').")
        return Condition(Like(self.node, pattern))

    def not_like(self, pattern: str) -> Condition:
        """Return the condition that a text column does not match a pattern."""
        return ~self.like(pattern)

    def _compare(self, op: CompareOp, other: object) -> Condition:
        if other is None:
            raise UsageError(
                "None is not a value to compare with.", "Write is_null() or is_not_null()."
            )
        return Condition(Compare(op, self.node, _scalar(other)))

    @staticmethod
    def _calculate(op: ArithmeticOp, left: object, right: object) -> Value:
        return Value(Arithmetic(op, _scalar(left), _scalar(right)))


@dataclass(frozen=True, slots=True)
class Condition:
    """What people are filtered by: combine with & (and), | (or), ~ (not)."""

    node: Predicate

    def __and__(self, other: Condition) -> Condition:
        return Condition(And((self.node, _predicate(other))))

    def __or__(self, other: Condition) -> Condition:
        return Condition(Or((self.node, _predicate(other))))

    def __invert__(self) -> Condition:
        return Condition(Not(self.node))

    def __bool__(self) -> NoReturn:
        _refuse_truth()


@dataclass(frozen=True, slots=True)
class When:
    """An unfinished CASE: add `.when(...)`, end with `.otherwise(...)` or `.end()`."""

    branches: tuple[tuple[Predicate, Scalar], ...]

    def when(self, condition: Condition, value: Constant | Value) -> When:
        """Add a branch: where no earlier condition holds and this one does, this value."""
        return When((*self.branches, (_predicate(condition), _scalar(value))))

    def otherwise(self, value: Constant | Value) -> Value:
        """Return the CASE with the value for everything else."""
        return Value(Case(self.branches, _scalar(value)))

    def end(self) -> Value:
        """Return the CASE; everything else has no value."""
        return Value(Case(self.branches))


def col(name: str) -> Value:
    """Return a column: 'tenure', or 'housing.tenure' where several tables are joined."""
    return Value(_column(name))


def when(condition: Condition, value: Constant | Value) -> When:
    """Begin a CASE: `when(col('age') < 18, 'young').otherwise('old')`."""
    return When(()).when(condition, value)


@dataclass(frozen=True, slots=True)
class Draft:
    """A question in the making. Every method returns a new draft; `build` ends it."""

    table: str
    joins: tuple[Join, ...] = ()
    conditions: tuple[Predicate, ...] = ()
    groups: tuple[Group, ...] = ()
    margins: Margins = "none"
    measures: tuple[Measure, ...] = ()
    selected: tuple[str, ...] = ()
    orders: tuple[Order, ...] = ()
    most: int | None = None

    def join(self, table: str, *, on: str = "person") -> Draft:
        """Join another table on an entity that both identify."""
        return replace(self, joins=(*self.joins, Join(table, on)))

    def where(self, *conditions: Condition) -> Draft:
        """Keep what meets all conditions, and those of earlier calls."""
        added = tuple(_predicate(condition) for condition in conditions)
        return replace(self, conditions=(*self.conditions, *added))

    def group_by(
        self, *columns: str | Value, margins: Margins = "none", **named: str | Value
    ) -> Draft:
        """Make one cell per value: `group_by('area', band=when(...).otherwise(...))`.

        margins: 'rollup' adds totals from the last column on, 'cube' all totals.
        """
        added = [_group(None, column) for column in columns]
        added += [_group(name, value) for name, value in named.items()]
        chosen = self.margins if margins == "none" else margins
        return replace(self, groups=(*self.groups, *added), margins=chosen)

    def count_people(self, name: str = "people") -> Draft:
        """Count distinct people: COUNT(DISTINCT person)."""
        return self._measure("count_people", name, None)

    def count_rows(self, name: str = "rows") -> Draft:
        """Count rows: COUNT(*)."""
        return self._measure("count_rows", name, None)

    def sum(self, value: str | Value, name: str = "") -> Draft:
        """Add up a column of numbers."""
        return self._over("sum", value, name)

    def avg(self, value: str | Value, name: str = "") -> Draft:
        """Average a column of numbers."""
        return self._over("avg", value, name)

    def variance(self, value: str | Value, name: str = "", *, population: bool = False) -> Draft:
        """Return the variance of a column: of the sample, or of the population."""
        return self._over("var_pop" if population else "var_samp", value, name)

    def stddev(self, value: str | Value, name: str = "", *, population: bool = False) -> Draft:
        """Return the standard deviation of a column: of the sample, or of the population."""
        return self._over("stddev_pop" if population else "stddev_samp", value, name)

    def proportion(self, condition: Condition, name: str = "proportion") -> Draft:
        """Return the share of a cell's people who meet a condition."""
        return self._measure("proportion", name, _predicate(condition))

    def select(self, *names: str) -> Draft:
        """Set the order of the answer's columns; without it: groups, then statistics."""
        return replace(self, selected=names)

    def order_by(self, *names: str) -> Draft:
        """Sort the answer by its columns; '-people' sorts downwards."""
        added = tuple(Order(name.removeprefix("-"), name.startswith("-")) for name in names)
        return replace(self, orders=(*self.orders, *added))

    def limit(self, most: int) -> Draft:
        """Show at most so many rows of the released answer."""
        return replace(self, most=most)

    def build(self, scope: Scope | None = None) -> Question:
        """Return the canonical question, equal to what `parse` returns for its SQL.

        scope: the names in reach, to look up bare column names and to refuse unknown ones.
        Raises UsageError or Refused.
        """
        resolve = _Resolve(self, scope)
        return canonical(
            Question(
                table=resolve.tables[0],
                measures=tuple(resolve.measure(measure) for measure in self.measures),
                joins=resolve.joins,
                where=resolve.node(And(self.conditions)) if self.conditions else None,
                groups=tuple(resolve.node(group) for group in self.groups),
                margins=self.margins,
                select=self.selected,
                order_by=self.orders,
                limit=self.most,
            )
        )

    def _over(self, function: Function, value: str | Value, name: str) -> Draft:
        argument = _column(value) if isinstance(value, str) else _scalar(value)
        return self._measure(function, name or default_name(function, argument), argument)

    def _measure(self, function: Function, name: str, argument: Scalar | Predicate | None) -> Draft:
        return replace(self, measures=(*self.measures, Measure(function, name, argument)))


def question(table: str) -> Draft:
    """Begin a question over one of the passport's tables."""
    return Draft(table)


def as_question(asked: Question | Draft, scope: Scope | None = None) -> Question:
    """Return the canonical question of a Question or of a draft."""
    return asked.build(scope) if isinstance(asked, Draft) else canonical(asked)


# -- from Python's words to nouns


def _column(name: object) -> Column:
    if not isinstance(name, str):
        raise UsageError("A column is named by text.", "Write col('tenure').")
    table, dot, column = name.rpartition(".")
    return Column(table if dot else _UNSAID, column)


def _literal(value: object) -> Literal:
    if isinstance(value, float):
        raise UsageError(
            "A floating-point number is not exact.", "Write an int or Decimal('1.5').", code="float"
        )
    problem = constant_problem(value)
    if problem:
        raise UsageError(f"A constant {problem}.", "Write it shorter or plainer.", code="constant")
    return Literal(value)  # type: ignore[arg-type]  # constant_problem has looked at the type


def _scalar(value: object) -> Scalar:
    if isinstance(value, Value):
        return value.node
    if isinstance(value, Condition | When):
        raise UsageError(
            "A condition stands where a value belongs.", "End a CASE with .otherwise() or .end()."
        )
    return _literal(value)


def _predicate(condition: object) -> Predicate:
    if isinstance(condition, Condition):
        return condition.node
    raise UsageError(
        "A value stands where a condition belongs.",
        "Compare it: col('tenure') == 'rent', col('disabled').is_true().",
    )


def _group(name: str | None, value: str | Value) -> Group:
    node = _column(value) if isinstance(value, str) else _scalar(value)
    if isinstance(node, Column):
        return Group(name or node.name, node)
    if isinstance(node, Case) and name:
        return Group(name, node)
    raise UsageError(
        "A group is a column, or a CASE with a name.",
        "Write group_by(band=when(...).otherwise(...)).",
    )


def _refuse_truth() -> NoReturn:
    raise UsageError(
        "Python's and, or, not and chained comparisons do not work on columns.",
        "Write &, | and ~ with brackets around each comparison.",
        code="truth",
    )


class _Resolve:
    """Gives every column its table, by the scope's names where there is a scope."""

    def __init__(self, draft: Draft, scope: Scope | None) -> None:
        self._names: Names | None = None
        self.tables: tuple[str, ...] = (draft.table, *(join.table for join in draft.joins))
        self.joins = draft.joins
        if scope is not None:
            self._names = Names(scope)
            self.tables = tuple(self._names.add_table(t, None, t) for t in self.tables)
            self.joins = tuple(
                Join(table, self._names.entity(join.entity, join.table))
                for table, join in zip(self.tables[1:], draft.joins, strict=True)
            )

    def measure(self, measure: Measure) -> Measure:
        """Return a statistic with its columns resolved; its name stays as the draft wrote it."""
        return Measure(measure.function, measure.name, self.node(measure.argument))

    def node(self, node: Any) -> Any:
        """Return a noun with every column in it resolved."""
        if isinstance(node, Column):
            return self._column(node)
        if isinstance(node, tuple):
            return tuple(self.node(item) for item in node)
        if isinstance(node, Literal) or not hasattr(node, "__dataclass_fields__"):
            return node
        fields = {name: self.node(getattr(node, name)) for name in node.__dataclass_fields__}
        return type(node)(**fields)

    def _column(self, node: Column) -> Column:
        where = f"{node.table}.{node.name}".strip(".")
        if self._names is not None:
            return self._names.column(node.name, node.table or None, where)
        if node.table == _UNSAID and len(self.tables) > 1:
            raise UsageError(
                f"Which table the column '{node.name}' belongs to is not said.",
                f"Write {' or '.join(f'{t}.{node.name}' for t in self.tables)}, or give build() "
                "the passport's scope.",
                where=where,
                code="ambiguous-column",
            )
        if node.table == _UNSAID:
            return Column(self.tables[0], node.name)
        if node.table not in self.tables:
            raise UsageError(
                f"'{node.table}' is not a table of this question.",
                f"Its tables are: {', '.join(self.tables)}.",
                where=where,
                code="unknown-table",
            )
        return node
