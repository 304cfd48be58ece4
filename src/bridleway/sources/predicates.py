"""Predicates and scalars of a question -> Ibis expressions with SQL's three-valued logic.

See `sources.compile` for what a column means where. Every intermediate of fixed-point
arithmetic carries the interval that bounds prove for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal, localcontext
from functools import reduce
from operator import and_, eq, ge, gt, le, lt, ne, or_
from typing import Any

import ibis

from bridleway.errors import Gap
from bridleway.model.catalogue import ColumnFacts
from bridleway.model.flow import ValueColumn
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
    LiteralValue,
    Not,
    Or,
    Predicate,
    Scalar,
)
from bridleway.sources.stored import kind_of

_OPS = {"=": eq, "<>": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
_FLIPPED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_INT64 = 2**63 - 1
_NUMBERS = ("integer", "decimal")
_LIKE_DIALECTS = ("duckdb", "postgres")


@dataclass(frozen=True, slots=True)
class Fixed:
    """A 64-bit integer expression of 10**-scale units that lies in [low, high] or is NULL."""

    expression: Any
    scale: int
    low: int
    high: int


class Words:
    """Translates the predicates of one table.

    name: the passport's name of the table; columns: name -> Ibis column in its declared type.
    """

    def __init__(
        self,
        name: str,
        columns: Mapping[str, Any],
        facts: Mapping[str, ColumnFacts],
        dialect: str,
    ) -> None:
        self.name = name
        self.columns = columns
        self.facts = facts
        self.dialect = dialect

    # -- predicates

    def predicate(self, node: Predicate) -> Any:
        """Return a boolean expression: true, false or NULL (unknown)."""
        match node:
            case And(terms):
                return reduce(and_, map(self.predicate, terms), ibis.literal(True))
            case Or(terms):
                return reduce(or_, map(self.predicate, terms), ibis.literal(False))
            case Not(term):
                return ~self.predicate(term)
            case IsNull(item):
                return self._value(item).isnull()
            case Like(item, pattern):
                return self._like(self._text(item), pattern)
            case In(item, values):
                return self._in(item, tuple(v.value for v in values))
            case Compare(op, left, right):
                return self._compare(op, left, right)
        raise Gap("The question holds a predicate that no source knows.", "Write it otherwise.")

    def _compare(self, op: str, left: Scalar, right: Scalar) -> Any:
        if isinstance(left, Literal):
            if isinstance(right, Literal):
                return ibis.literal(bool(_OPS[op](left.value, right.value)))
            left, right, op = right, left, _FLIPPED[op]
        if self._computes(left) or self._computes(right):
            return self._compare_fixed(op, self.fixed(left), self.fixed(right))
        if isinstance(right, Literal):
            return self._with_constant(op, left, right.value)
        return self._between_columns(op, left, right)

    def _with_constant(self, op: str, item: Scalar, constant: LiteralValue) -> Any:
        kind, value = self._kind(item), self._value(item)
        if kind in _NUMBERS and _is_number(constant):
            return _number_compare(op, value, Decimal(constant))  # type: ignore[arg-type]
        self._require_same(kind, constant)
        self._require_order(op, kind)
        return _OPS[op](value, _literal(constant))

    def _between_columns(self, op: str, left: Scalar, right: Scalar) -> Any:
        kinds = self._kind(left), self._kind(right)
        one, two = self._value(left), self._value(right)
        if kinds[0] in _NUMBERS and kinds[1] in _NUMBERS:
            one, two = _on_one_grid(one, two, self.dialect)
        elif kinds[0] != kinds[1]:
            raise _mismatch()
        self._require_order(op, kinds[0])
        return _OPS[op](one, two)

    def _compare_fixed(self, op: str, left: Fixed, right: Fixed) -> Any:
        scale = max(left.scale, right.scale)
        return _OPS[op](_scaled(left, scale).expression, _scaled(right, scale).expression)

    def _in(self, item: Scalar, constants: tuple[LiteralValue, ...]) -> Any:
        if self._computes(item) or isinstance(item, Literal):
            terms = [self._compare("=", item, Literal(constant)) for constant in constants]
            return reduce(or_, terms, ibis.literal(False))
        kind, value = self._kind(item), self._value(item)
        if kind in _NUMBERS and all(_is_number(c) for c in constants):
            if kind_of(value.type()) == "floating":
                return value.isin([float(c) for c in constants])  # type: ignore[arg-type]
            found = [_on_grid(value.type(), Decimal(c)) for c in constants]  # type: ignore[arg-type]
            held = [literal for literal in found if literal is not None]
            return value.isin(held) if held else _known(value, False)
        for constant in constants:
            self._require_same(kind, constant)
        return value.isin([_literal(constant) for constant in constants])

    def _like(self, column: Any, pattern: str) -> Any:
        _require_printable(pattern)
        if self.dialect in _LIKE_DIALECTS:
            # PostgreSQL escapes with a backslash unless told otherwise; here it is a letter.
            if self.dialect == "postgres":
                pattern = pattern.replace("\\", "\\\\")
            return column.like(pattern)
        words = {"%": ".*", "_": "."}
        shape = "".join(words.get(letter, re.escape(letter)) for letter in pattern)
        return column.re_search(f"(?s)^{shape}$")

    # -- values as they are stored

    def _value(self, node: Scalar) -> Any:
        if isinstance(node, Column):
            return self.columns[node.name]
        if self._computes(node):
            return self.fixed(node).expression
        if isinstance(node, Literal):
            return _literal(node.value)
        if isinstance(node, Case):
            return self._text_case(node)
        raise _mismatch()

    def _kind(self, node: Scalar | None) -> str:
        """Return the declared type of a scalar that computes no number; '' for NULL."""
        if isinstance(node, Column):
            return self.facts[node.name].type
        if isinstance(node, Literal):
            return _kind_of_constant(node.value)
        if isinstance(node, Case):
            results = (*(result for _, result in node.whens), node.otherwise)
            return next((kind for kind in map(self._kind, results) if kind), "")
        return "decimal" if isinstance(node, Arithmetic) else ""

    def _computes(self, node: Scalar) -> bool:
        return isinstance(node, Arithmetic) or (
            isinstance(node, Case) and self._kind(node) in (*_NUMBERS, "")
        )

    def _text(self, item: Column) -> Any:
        if self.facts[item.name].type != "text":
            raise Gap(
                f"LIKE needs text, and '{item.name}' is {self.facts[item.name].type}.",
                "Use a comparison.",
            )
        return self.columns[item.name]

    def _text_case(self, node: Case) -> Any:
        kind = self._kind(node)
        results = [result for _, result in node.whens]
        for result in (*results, node.otherwise):
            if result is not None and self._kind(result) not in (kind, ""):
                raise _mismatch()
        branches = [(self.predicate(when), self._value(then)) for when, then in node.whens]
        if node.otherwise is None:
            return ibis.cases(*branches)
        return ibis.cases(*branches, else_=self._value(node.otherwise))

    def _require_same(self, kind: str, constant: LiteralValue) -> None:
        if _kind_of_constant(constant) != kind:
            raise _mismatch()

    def _require_order(self, op: str, kind: str) -> None:
        if kind == "boolean" and op not in ("=", "<>"):
            raise Gap("True and false have no order.", "Use = or <>.")
        if kind == "text" and op not in ("=", "<>") and self.dialect != "duckdb":
            # Each server sorts text its own way, so the same question would mean two things.
            raise Gap("Text has no order that all sources share.", "Use =, IN or LIKE.")

    # -- fixed-point numbers

    def units(self, value: ValueColumn) -> tuple[Any, tuple[int, int] | None]:
        """Return a value column as int64 units of 10**-scale or NULL, and what to clip it to.

        A bare column whose units cannot overflow is clipped after the fetch, which costs a
        tenth of a CASE in the engine; anything else is within [low, high] already (None).
        """
        bare = self._unclamped(value)
        if bare is not None:
            return bare
        made = _scaled(self.fixed(value.expression), value.scale)
        expression = made.expression
        if made.low < value.low or made.high > value.high:
            expression = _clamped(expression, _whole(value.low), _whole(value.high))
        return expression.cast("int64"), None

    def _unclamped(self, value: ValueColumn) -> tuple[Any, tuple[int, int]] | None:
        if not isinstance(value.expression, Column):
            return None
        facts = self.facts[value.expression.name]
        if facts.type not in _NUMBERS or facts.bounds is None or facts.scale != value.scale:
            return None
        units = _small_units(self.columns[facts.name], facts.scale)
        if units is None:
            return None
        low, high = (_rounded(bound, facts.scale) for bound in facts.bounds)
        return units, (max(low, value.low), min(high, value.high))

    def fixed(self, node: Scalar) -> Fixed:
        """Return a number in fixed point. Raises Gap where bounds are missing or too wide."""
        match node:
            case Column(_, name):
                return self._fixed_column(self.facts[name])
            case Literal(value):
                return _fixed_constant(value)
            case Arithmetic(op, left, right):
                return _computed(op, self.fixed(left), self.fixed(right))
            case Case():
                return self._fixed_case(node)
        raise _mismatch()

    def _fixed_column(self, facts: ColumnFacts) -> Fixed:
        if facts.type not in _NUMBERS:
            raise _mismatch()
        if facts.bounds is None:
            raise Gap(
                f"The column '{facts.name}' has no bounds, so arithmetic on it could fail.",
                "Declare its bounds in the catalogue, or compare it without arithmetic.",
            )
        scale = facts.scale
        low, high = (_rounded(bound, scale) for bound in facts.bounds)
        column = self.columns[facts.name]
        kind = column.type()
        stored = kind_of(kind)
        if stored == "integer":
            # Bounds with decimals are met by the nearest whole number inside them.
            inside = int(-(-facts.bounds[0] // 1)), int(facts.bounds[1] // 1)
            units = _clamped(column.cast("int64"), *map(_whole, inside))
            low, high = inside[0] * 10**scale, inside[1] * 10**scale
            return _fits(Fixed(_times(units, 10**scale), scale, low, high))
        units = _small_units(column, scale)
        if units is not None:
            return _fits(Fixed(_clamped(units, _whole(low), _whole(high)), scale, low, high))
        # As narrow as the bounds allow: DuckDB computes up to 18 digits in 64 bits.
        width = min(38, max(len(str(abs(end))) for end in (low, high)) + scale + 1)
        ends = [Decimal(end).scaleb(-scale) for end in (low, high)]
        if stored == "floating":
            clamped = _clamped(column, *(ibis.literal(float(e), type="float64") for e in ends))
        else:
            clamped = _clamped(column, *(_held_end(kind, end) for end in ends))
        clamped = clamped.cast(f"decimal({width}, {scale})")
        units = (clamped * 10**scale).cast("int64") if scale else clamped.cast("int64")
        return _fits(Fixed(units, scale, low, high))

    def _fixed_case(self, node: Case) -> Fixed:
        whens = [when for when, _ in node.whens]
        results = [self.fixed(result) for _, result in node.whens]
        otherwise = None if node.otherwise is None else self.fixed(node.otherwise)
        every = [*results, otherwise] if otherwise is not None else results
        scale = max(result.scale for result in every)
        every = [_scaled(result, scale) for result in every]
        branches = [
            (self.predicate(when), result.expression)
            for when, result in zip(whens, every, strict=False)
        ]
        made = (
            ibis.cases(*branches)
            if otherwise is None
            else ibis.cases(*branches, else_=every[-1].expression)
        )
        return Fixed(made, scale, min(r.low for r in every), max(r.high for r in every))

    # -- groups

    def case_code(self, node: Case, domain: tuple[Any, ...]) -> Any:
        """Return the position of a CASE over constants in its domain, -1 outside, as int16."""

        def code(result: Scalar | None) -> Any:
            if result is not None and not isinstance(result, Literal):
                raise Gap("A CASE that heads groups must yield constants.", "Group by the column.")
            value = None if result is None else result.value
            return ibis.literal(domain.index(value) if value in domain else -1, type="int16")

        branches = [(self.predicate(when), code(result)) for when, result in node.whens]
        return ibis.cases(*branches, else_=code(node.otherwise)).cast("int16")


def _mismatch() -> Gap:
    return Gap(
        "The question compares values of different types.",
        "Compare text with text, numbers with numbers, dates with dates.",
    )


def _require_printable(text: str) -> None:
    if "\x00" in text:
        raise Gap("A text constant holds a NUL character.", "Remove it.")


def _literal(value: LiteralValue) -> Any:
    if isinstance(value, str):
        _require_printable(value)
        return ibis.literal(value, type="string")
    if isinstance(value, bool):
        return ibis.literal(value, type="boolean")
    if isinstance(value, date):
        return ibis.literal(value, type="date")
    return ibis.literal(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _kind_of_constant(value: LiteralValue) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, Decimal):
        return "decimal"
    return "date" if isinstance(value, date) else "text"


def _known(column: Any, truth: bool) -> Any:
    """Return `truth` where the column is not NULL, unknown elsewhere."""
    return ibis.cases((column.notnull(), truth))


# -- comparing stored numbers with constants


def _grid(kind: Any) -> tuple[int, int | None]:
    """Return (decimal places, largest magnitude in those units or None) of a stored type."""
    if kind_of(kind) == "integer":
        return 0, int(kind.bounds.upper)
    if kind.scale is None or kind.precision is None:
        return 15, None
    return int(kind.scale), 10 ** int(kind.precision) - 1


def _units_of(constant: Decimal, scale: int) -> Decimal:
    with localcontext() as context:
        context.prec = 200
        return constant.scaleb(scale)


def _on_grid(kind: Any, constant: Decimal) -> Any:
    """Return the constant as a literal of the stored type, or None where it cannot hold it."""
    scale, limit = _grid(kind)
    units = _units_of(constant, scale)
    if limit is None:
        return ibis.literal(constant, type="decimal(38, 15)") if abs(constant) < 10**18 else None
    if units != units.to_integral_value() or abs(units) > limit:
        return None
    if kind_of(kind) == "integer":
        return ibis.literal(int(units), type="int64") if abs(units) <= _INT64 else None
    return ibis.literal(constant, type=f"decimal({kind.precision}, {scale})")


def _number_compare(op: str, column: Any, constant: Decimal) -> Any:
    """Compare exactly, moving the constant to the column's grid instead of casting the column."""
    kind = column.type()
    if kind_of(kind) == "floating":
        return _OPS[op](column, ibis.literal(float(constant), type="float64"))
    held = _on_grid(kind, constant)
    if held is not None:
        return _OPS[op](column, held)
    scale, limit = _grid(kind)
    if op in ("=", "<>"):
        return _known(column, op == "<>")
    floor = _units_of(constant, scale).to_integral_value(rounding=ROUND_FLOOR)
    if limit is None or floor >= limit or floor > _INT64 and scale == 0:
        return _known(column, (op in ("<", "<=")) == (constant > 0))
    if floor < -limit:
        return _known(column, op in (">", ">="))
    # Between two grid points: below it means at most the lower one.
    lower = _on_grid(kind, _units_of(floor, -scale))
    return column <= lower if op in ("<", "<=") else column > lower


def _on_one_grid(left: Any, right: Any, dialect: str) -> tuple[Any, Any]:
    kinds = kind_of(left.type()), kind_of(right.type())
    if "floating" in kinds:
        return left.cast("float64"), right.cast("float64")
    if kinds == ("integer", "integer") or dialect != "duckdb":
        return left, right
    scale = max(_grid(left.type())[0], _grid(right.type())[0])
    kind = f"decimal(38, {scale})"
    return left.try_cast(kind), right.try_cast(kind)


# -- fixed point


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _rounded(value: Decimal, scale: int) -> int:
    return int(_units_of(value, scale).to_integral_value(rounding=ROUND_HALF_UP))


def _clamped(column: Any, low: Any, high: Any) -> Any:
    """Return the column within [low, high]; an end of None is one that it cannot pass."""
    branches = []
    if low is not None:
        branches.append((column < low, low))
    if high is not None:
        branches.append((column > high, high))
    return ibis.cases(*branches, else_=column) if branches else column


def _small_units(column: Any, scale: int) -> Any:
    """Return a stored number as units without clamping, or None where that could overflow."""
    kind = column.type()
    stored = kind_of(kind)
    if stored == "integer" and scale == 0 and kind.bounds.upper <= _INT64:
        return column.cast("int64")
    small = (
        stored == "decimal"
        and kind.scale == scale
        and kind.precision is not None
        # DuckDB multiplies in 64 bits up to 18 digits; the factor has scale + 1.
        and kind.precision + scale + 1 <= 18
    )
    return (column * 10**scale).cast("int64") if small else None


def _held_end(kind: Any, end: Decimal) -> Any:
    """Return a bound as a literal of the column's own type, or None where it cannot reach it.

    A bound with more decimals than the column is moved to it only if it lies on its grid;
    otherwise a type that holds both is used.
    """
    scale, limit = _grid(kind)
    units = _units_of(end, scale)
    if limit is not None and abs(units) > limit:
        return None
    if limit is not None and units == units.to_integral_value():
        return ibis.literal(end, type=f"decimal({kind.precision}, {scale})")
    return ibis.literal(end, type=f"decimal(38, {max(scale, 6)})")


def _whole(number: int) -> Any:
    """Return a 64-bit constant. A bare one is 32-bit to an engine, and its sums overflow."""
    return ibis.literal(str(number), type="string").cast("int64")


def _times(column: Any, factor: int) -> Any:
    return column if factor == 1 else column * _whole(factor)


def _fits(value: Fixed) -> Fixed:
    if max(abs(value.low), abs(value.high)) > _INT64:
        raise Gap(
            "The arithmetic could pass 64 bits.", "Declare tighter bounds or a smaller scale."
        )
    return value


def _fixed_constant(value: LiteralValue) -> Fixed:
    if not _is_number(value):
        raise _mismatch()
    number = Decimal(value)  # type: ignore[arg-type]
    scale = max(0, -_exponent(number))
    units = _rounded(number, scale)
    _fits(Fixed(None, scale, units, units))
    return Fixed(_whole(units), scale, units, units)


def _scaled(value: Fixed, scale: int) -> Fixed:
    if scale < value.scale:
        raise Gap("The question needs more decimals than its plan keeps.", "Report this.")
    factor = 10 ** (scale - value.scale)
    return _fits(
        Fixed(_times(value.expression, factor), scale, value.low * factor, value.high * factor)
    )


def _computed(op: str, left: Fixed, right: Fixed) -> Fixed:
    if op == "*":
        ends = [a * b for a in (left.low, left.high) for b in (right.low, right.high)]
        product = left.expression * right.expression
        return _fits(Fixed(product, left.scale + right.scale, min(ends), max(ends)))
    scale = max(left.scale, right.scale)
    left, right = _scaled(left, scale), _scaled(right, scale)
    if op == "+":
        total = left.expression + right.expression
        return _fits(Fixed(total, scale, left.low + right.low, left.high + right.high))
    total = left.expression - right.expression
    return _fits(Fixed(total, scale, left.low - right.high, left.high - right.low))
