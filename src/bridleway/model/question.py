"""A question as a typed value: what an allow-listed SELECT means, and nothing more.

Two questions are equal when they mean the same by the rules of `questions.canonical`. Every
noun here is frozen and hashable; `to_json` and `question_from_json` are inverse.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeAlias
from typing import Literal as OneOf

from bridleway.errors import Refused, UsageError
from bridleway.model.canonical import digest_of

LiteralValue: TypeAlias = str | int | Decimal | bool | date
CompareOp: TypeAlias = OneOf["=", "<>", "<", "<=", ">", ">="]
ArithmeticOp: TypeAlias = OneOf["+", "-", "*"]
Margins: TypeAlias = OneOf["none", "rollup", "cube"]
Function: TypeAlias = OneOf[
    "count_rows", "count_people", "sum", "avg", "var_samp", "var_pop",
    "stddev_samp", "stddev_pop", "proportion",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A column of one of the passport's tables."""

    table: str
    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant of the question's text. A date column's literal is a `date`."""

    value: LiteralValue

    def __post_init__(self) -> None:
        if isinstance(self.value, float):
            raise UsageError("A literal is a floating-point number.", "Use an int or a Decimal.")

    # Python holds that True == 1 == Decimal(1); a question that asks for one is not the other.
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Literal):
            return NotImplemented
        return type(self.value) is type(other.value) and self.value == other.value

    def __hash__(self) -> int:
        return hash((type(self.value).__name__, self.value))


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Exact fixed-point arithmetic. There is no division: nothing here can fail on data."""

    op: ArithmeticOp
    left: Scalar
    right: Scalar


@dataclass(frozen=True, slots=True)
class Case:
    """CASE WHEN ... THEN ... ELSE ... END; no ELSE means NULL."""

    whens: tuple[tuple[Predicate, Scalar], ...]
    otherwise: Scalar | None = None


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison of two scalars; NULL compares as SQL's unknown."""

    op: CompareOp
    left: Scalar
    right: Scalar


@dataclass(frozen=True, slots=True)
class In:
    """The item is one of the constants."""

    item: Scalar
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class IsNull:
    """The item is NULL."""

    item: Scalar


@dataclass(frozen=True, slots=True)
class Like:
    """A text column matches a pattern of % and _; there is no escape character."""

    item: Column
    pattern: str


@dataclass(frozen=True, slots=True)
class And:
    """Every term holds."""

    terms: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one term holds."""

    terms: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The term is false (unknown stays unknown)."""

    term: Predicate


Scalar: TypeAlias = Column | Literal | Arithmetic | Case
Predicate: TypeAlias = Compare | In | IsNull | Like | And | Or | Not


@dataclass(frozen=True, slots=True)
class Measure:
    """One released statistic.

    argument: a Scalar for sum, avg, var_*, stddev_*; a Predicate for proportion (the share of
    the cell's distinct people who meet it); None for the counts.
    """

    function: Function
    name: str
    argument: Scalar | Predicate | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A column, or a CASE over constants, whose public domain makes the cells."""

    name: str
    expression: Column | Case


@dataclass(frozen=True, slots=True)
class Join:
    """JOIN table USING (entity)."""

    table: str
    entity: str


@dataclass(frozen=True, slots=True)
class Order:
    """ORDER BY a released column."""

    name: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """One statistic over people: filter, join on an entity, group, aggregate.

    table: the FROM table; joins in order; select: output names in order (groups and measures).
    """

    table: str
    measures: tuple[Measure, ...]
    joins: tuple[Join, ...] = ()
    where: Predicate | None = None
    groups: tuple[Group, ...] = ()
    margins: Margins = "none"
    select: tuple[str, ...] = ()
    order_by: tuple[Order, ...] = ()
    limit: int | None = None

    def __post_init__(self) -> None:
        if not self.measures:
            raise UsageError("The question asks for no statistic.", "Add COUNT(DISTINCT person).")
        names = [g.name for g in self.groups] + [m.name for m in self.measures]
        if len(set(names)) != len(names):
            raise UsageError("Two output columns have the same name.", "Name one of them with AS.")
        if not self.select:
            object.__setattr__(self, "select", tuple(names))
        if sorted(self.select) != sorted(names):
            raise UsageError(
                "The SELECT list and GROUP BY do not name the same columns.",
                "Select every grouped column once.",
            )
        if self.margins != "none" and not self.groups:
            raise UsageError("ROLLUP and CUBE need a grouped column.", "Add one to GROUP BY.")

    @property
    def tables(self) -> tuple[str, ...]:
        """The passport's table names that the question reads, in order."""
        return (self.table, *(j.table for j in self.joins))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data; `question_from_json` reads it back."""
        return dict(_encode(self))

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON: the question's identity."""
        return _digest(self)


@dataclass(frozen=True, slots=True)
class Listing:
    """The rows of one table, for an extract: which columns of which rows.

    columns: in the order in which they leave. A listing shares with a question what a node looks
    at before it permits either.
    """

    table: str
    columns: tuple[Column, ...]
    where: Predicate | None = None

    def __post_init__(self) -> None:
        if not self.columns:
            raise UsageError("The extract lists no column.", "Name the columns after SELECT.")
        if len(set(self.columns)) != len(self.columns):
            raise UsageError("The extract lists a column twice.", "Name each column once.")

    @property
    def tables(self) -> tuple[str, ...]:
        """The passport's table names that the extract reads."""
        return (self.table,)

    @property
    def joins(self) -> tuple[Join, ...]:
        """None: an extract is of one table."""
        return ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data; `asked_from_json` reads it back."""
        return dict(_encode(self))

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON: the extract's identity."""
        return digest_of(self.to_json())


Asked: TypeAlias = Question | Listing

_NODES: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        Column, Literal, Arithmetic, Case, Compare, In, IsNull, Like, And, Or, Not,
        Measure, Group, Join, Order, Question, Listing,
    )
}  # fmt: skip

# Looked up once: questions are encoded many times.
_FIELDS = {name: tuple(f.name for f in fields(cls)) for name, cls in _NODES.items()}


def _encode(value: Any) -> Any:
    if isinstance(value, Literal):
        return {"is": "Literal", "value": _encode_literal(value.value)}
    if type(value).__name__ in _NODES:
        made: dict[str, Any] = {"is": type(value).__name__}
        for name in _FIELDS[type(value).__name__]:
            made[name] = _encode(getattr(value, name))
        return made
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    return value


def node_json(node: Any) -> Any:
    """Return the plain JSON data of any noun of a question: what `canonical` sorts by."""
    return _encode(node)


def _encode_literal(value: LiteralValue) -> Any:
    if isinstance(value, Decimal):
        return {"decimal": format(value, "f")}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    return value


@lru_cache(maxsize=512)
def _digest(question: Question) -> str:
    return digest_of(question.to_json())


def as_statistic(asked: Asked) -> Question:
    """Return what was asked where it is a statistic. Raises Refused for a listing."""
    if not isinstance(asked, Question):
        raise Refused("This is an extract.", "Make it with `bridleway extract`.", code="kind")
    return asked


def question_from_json(data: Any) -> Question:
    """Read what `Question.to_json` wrote. Raises UsageError on anything else."""
    made = asked_from_json(data)
    if not isinstance(made, Question):
        raise UsageError("The question's JSON is not a question.", "Parse it from SQL.")
    return made


def asked_from_json(data: Any) -> Asked:
    """Read what `to_json` of a question or a listing wrote. Raises UsageError on anything else."""
    try:
        made = _decode(data, 0)
    except UsageError:
        raise
    except Exception:
        raise UsageError("The question's JSON is not a question.", "Parse it from SQL.") from None
    if not isinstance(made, Question | Listing):
        raise UsageError("The question's JSON is not a question.", "Parse it from SQL.")
    return made


def _decode(data: Any, depth: int) -> Any:
    if depth > 40:
        raise UsageError("The question is nested too deeply.", "Simplify it.")
    if isinstance(data, list):
        return tuple(_decode(item, depth + 1) for item in data)
    if not isinstance(data, dict):
        return data
    if data.get("is") == "Literal":
        value = data["value"]
        if isinstance(value, dict):
            ((kind, text),) = value.items()
            value = Decimal(text) if kind == "decimal" else date.fromisoformat(text)
        return Literal(value)
    cls = _NODES[data["is"]]
    known = {field.name for field in fields(cls)}
    if set(data) - known - {"is"}:
        raise UsageError("The question's JSON has unknown keys.", "Parse it from SQL.")
    return cls(**{k: _decode(v, depth + 1) for k, v in data.items() if k != "is"})


def columns_in(node: Any) -> frozenset[Column]:
    """Return every column that a scalar, predicate, measure, group or question mentions."""
    if isinstance(node, Column):
        return frozenset({node})
    if isinstance(node, tuple):
        return frozenset().union(*(columns_in(item) for item in node))
    if type(node).__name__ in _NODES and not isinstance(node, Literal):
        names = _FIELDS[type(node).__name__]
        return frozenset().union(*(columns_in(getattr(node, name)) for name in names))
    return frozenset()


def tables_in(node: Any) -> frozenset[str]:
    """Return the tables whose columns a node mentions."""
    return frozenset(column.table for column in columns_in(node))
