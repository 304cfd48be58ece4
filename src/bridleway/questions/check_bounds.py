"""How large a scalar can get: interval arithmetic over declared bounds, in exact fixed point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal

from bridleway.errors import Gap, Refused
from bridleway.model.catalogue import ColumnFacts, TableFacts
from bridleway.model.question import Arithmetic, Case, Column, Literal, Scalar

# One bit for the sign and one to spare: two such numbers add up within 64 bits.
LARGEST = 2**62 - 1
_EXACT = Context(prec=80)  # the caller's decimal context may round


@dataclass(frozen=True, slots=True)
class Bounds:
    """The lowest and highest value, inclusive, as integers of 10**-scale units."""

    low: int
    high: int
    scale: int

    def at(self, scale: int) -> Bounds:
        """Return the same bounds in smaller units."""
        factor = 10 ** (scale - self.scale)
        return Bounds(self.low * factor, self.high * factor, scale)


def bounds_of(scalar: Scalar, facts: Mapping[str, Sequence[TableFacts]]) -> Bounds:
    """Return what a numeric scalar can be at most, NULL aside.

    facts: table name -> declared facts; the first entry of each table is read. Raises Gap where
    a column has no bounds, Refused where the scalar is no number or exceeds 62 bits.
    """
    made = _bounds(scalar, facts)
    _require_small(made)
    return made


def require_one_scale(compared: Sequence[Bounds]) -> None:
    """Raise Refused where compared numbers exceed 62 bits in the smallest of their units."""
    scale = max(bounds.scale for bounds in compared)
    for bounds in compared:
        _require_small(bounds.at(scale))


def _require_small(bounds: Bounds) -> None:
    if max(abs(bounds.low), abs(bounds.high)) > LARGEST:
        raise Refused(
            "The calculation can exceed 62 bits at its scale.",
            "Multiply fewer columns, or tighten bounds and scale in the catalogue.",
            code="too-large",
        )


def _bounds(scalar: Scalar, facts: Mapping[str, Sequence[TableFacts]]) -> Bounds:
    if isinstance(scalar, Literal):
        return _of_literal(scalar)
    if isinstance(scalar, Column):
        return _of_column(scalar, facts[scalar.table][0].columns[scalar.name])
    if isinstance(scalar, Arithmetic):
        return _of_arithmetic(scalar, facts)
    return _of_case(scalar, facts)


def _of_literal(literal: Literal) -> Bounds:
    value = literal.value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Refused(
            "Only numbers can be added or multiplied.",
            "Write a number, or CASE WHEN condition THEN 1 ELSE 0 END.",
            code="types",
        )
    if isinstance(value, int):
        return Bounds(value, value, 0)
    exponent = value.as_tuple().exponent
    scale = max(0, -exponent) if isinstance(exponent, int) else 0
    units = int(value.scaleb(scale, _EXACT))
    return Bounds(units, units, scale)


def _of_column(column: Column, declared: ColumnFacts) -> Bounds:
    where = f"{column.table}.{column.name}"
    if declared.type not in ("integer", "decimal"):
        raise Refused(
            f"The column '{where}' holds {declared.type}, and only numbers can be added.",
            "Count instead, or write CASE WHEN condition THEN 1 ELSE 0 END.",
            where=where,
            code="types",
        )
    if declared.bounds is None:
        raise Gap(
            f"The column '{where}' has no declared bounds.",
            "Write its lowest and highest value and its scale into the catalogue.",
            where=where,
            code="no-bounds",
        )
    low, high = (bound.scaleb(declared.scale, _EXACT) for bound in declared.bounds)
    if low != int(low) or high != int(high):
        raise Gap(
            f"The bounds of '{where}' have more decimal places than its scale.",
            "Raise the scale or round the bounds in the catalogue.",
            where=where,
            code="no-bounds",
        )
    return Bounds(int(low), int(high), declared.scale)


def _of_arithmetic(node: Arithmetic, facts: Mapping[str, Sequence[TableFacts]]) -> Bounds:
    left, right = bounds_of(node.left, facts), bounds_of(node.right, facts)
    if node.op == "*":
        corners = [a * b for a in (left.low, left.high) for b in (right.low, right.high)]
        return Bounds(min(corners), max(corners), left.scale + right.scale)
    scale = max(left.scale, right.scale)
    a, b = left.at(scale), right.at(scale)
    if node.op == "+":
        return Bounds(a.low + b.low, a.high + b.high, scale)
    return Bounds(a.low - b.high, a.high - b.low, scale)


def _of_case(node: Case, facts: Mapping[str, Sequence[TableFacts]]) -> Bounds:
    results = [result for _, result in node.whens]
    if node.otherwise is not None:
        results.append(node.otherwise)
    branches = [bounds_of(result, facts) for result in results]
    scale = max(branch.scale for branch in branches)
    rescaled = [branch.at(scale) for branch in branches]
    return Bounds(min(b.low for b in rescaled), max(b.high for b in rescaled), scale)
