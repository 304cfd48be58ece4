"""What a column stores -> what its controller declared, without anything that can fail on data.

| stored        | may be declared as                                                   |
|---------------|----------------------------------------------------------------------|
| text          | any type: read strictly (see `shapes`), NULL where it does not fit   |
| integer       | integer, decimal, text, boolean (0 and 1)                            |
| decimal       | decimal, text, integer (whole values, NULL otherwise)                |
| floating      | decimal, integer (whole values, NULL otherwise); NaN, inf are NULL   |
| boolean       | boolean, text                                                        |
| date          | date, text                                                           |
| timestamp     | date (the day), text                                                 |
"""

from __future__ import annotations

from typing import Any, TypeAlias
from typing import Literal as OneOf

import ibis

from bridleway.errors import Gap
from bridleway.model.catalogue import ColumnFacts
from bridleway.sources import shapes

Kind: TypeAlias = OneOf[
    "text", "integer", "decimal", "floating", "boolean", "date", "timestamp", "other"
]

_FITS: dict[str, tuple[str, ...]] = {
    "text": ("text", "integer", "decimal", "date", "boolean"),
    "integer": ("integer", "decimal", "text", "boolean"),
    "decimal": ("decimal", "integer", "text"),
    "floating": ("decimal", "integer"),
    "boolean": ("boolean", "text"),
    "date": ("date", "text"),
    "timestamp": ("date", "text"),
    "other": (),
}

# Whole floating-point numbers are exact up to 2**53.
_EXACT_WHOLE = 2**53


def kind_of(stored: Any) -> Kind:
    """Return the kind of a stored Ibis type."""
    tests: tuple[tuple[str, Kind], ...] = (
        ("is_string", "text"),
        ("is_boolean", "boolean"),
        ("is_integer", "integer"),
        ("is_decimal", "decimal"),
        ("is_floating", "floating"),
        ("is_date", "date"),
        ("is_timestamp", "timestamp"),
    )
    return next((kind for test, kind in tests if getattr(stored, test)()), "other")


def can_hold(stored: Any, declared: str) -> bool:
    """Tell whether a stored type may be declared as one of the catalogue's types."""
    return declared in _FITS[kind_of(stored)]


def as_declared(column: Any, facts: ColumnFacts, dialect: str) -> Any:
    """Return the column in its declared type: text, date, boolean, or a number as stored.

    Numbers keep their stored width; floating-point ones are finite or NULL. Raises Gap where
    the stored type cannot hold the declared one.
    """
    kind = kind_of(column.type())
    if facts.type not in _FITS[kind]:
        raise Gap(
            f"The column '{facts.name}' is stored as {kind}, which cannot be read as {facts.type}.",
            "Correct its type in the catalogue.",
        )
    if kind == "floating":
        column = finite(column)
    if kind == "decimal" and dialect == "postgres":
        # PostgreSQL's numeric holds NaN and infinity too; other engines' decimals do not.
        odd = column.cast("string").isin(("NaN", "Infinity", "-Infinity"))
        column = ibis.cases((odd, ibis.null(column.type())), else_=column)
    if kind == facts.type or (kind == "floating" and facts.type == "decimal"):
        return column
    if kind == "integer" and facts.type == "decimal":
        return column
    if facts.type == "text":
        return column.cast("string")
    if facts.type == "boolean":
        return _as_boolean(column, kind)
    if facts.type == "date":
        if kind == "timestamp":
            return column.date()
        shaped = column.substr(0, 10)
        midnight = (column.length() == 10) | column.re_search("^.{10}[T ]00:00(:00(\\.0+)?)?Z?$")
        return _when(midnight & shaped.re_search(shapes.DATE), _cast(shaped, "date", dialect))
    if facts.type == "integer":
        return _as_integer(column, kind, dialect)
    return _when(
        column.re_search(shapes.DECIMAL),
        _cast(column, shapes.DECIMAL_TYPE, dialect),
    )


def as_identifier(column: Any) -> Any:
    """Return an identifier column in a type that `identity.normalise` reads."""
    kind = kind_of(column.type())
    stored = column.type()
    if kind == "integer" and not (stored.is_unsigned_integer() and stored.nbytes == 8):
        return column.cast("int64")
    if kind in ("text", "date"):
        return column
    if kind == "timestamp":
        return column.date()
    if kind == "floating":
        column = finite(column)
        whole = (column == column.floor()) & (column.abs() < _EXACT_WHOLE)
        # A number that is not whole must count as invalid, not as missing.
        return ibis.cases((whole, column.cast("int64")), (column.notnull(), -1))
    return column.cast("string")


def finite(column: Any) -> Any:
    """Return a floating-point column with NaN and infinities as NULL."""
    return ibis.cases((column.isnan() | column.isinf(), ibis.null(column.type())), else_=column)


def _as_boolean(column: Any, kind: Kind) -> Any:
    if kind == "integer":
        return ibis.cases((column == 1, True), (column == 0, False))
    word = column.strip().lower()
    return ibis.cases((word.isin(shapes.TRUE_WORDS), True), (word.isin(shapes.FALSE_WORDS), False))


def _as_integer(column: Any, kind: Kind, dialect: str) -> Any:
    if kind == "text":
        return _when(column.re_search(shapes.INTEGER), _cast(column, "int64", dialect))
    limit = _EXACT_WHOLE if kind == "floating" else 10**18
    whole = (column == column.floor()) & (column < limit) & (column > -limit)
    return _when(whole, _cast(column, "int64", dialect))


def _when(condition: Any, value: Any) -> Any:
    return ibis.cases((condition, value))


def _cast(column: Any, kind: str, dialect: str) -> Any:
    # Every cast here is guarded; DuckDB may evaluate ahead of a guard, so it gets both.
    return column.try_cast(kind) if dialect == "duckdb" else column.cast(kind)
