"""What FHIRPath expressions pass on: values with their types, and how two of them compare.

An item is (value, type, sibling): JSON as orjson reads it or a value of FHIRPath's own; a type
of FHIR R4, `System.…` for FHIRPath's own, or '' where R4 knows none; and for a primitive the
object with its id and extensions (`_birthDate`), else None. A primitive may have only that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from functools import cache
from typing import Any, TypeAlias, TypeGuard

from bridleway.fhir import r4
from bridleway.fhir.paths.moments import Moment, compare, moment, time_of_day

Item: TypeAlias = tuple[Any, str, Any]
Items: TypeAlias = list[Item]

MAX_TEXT = 20_000_000  # characters that an expression may make
# Exact for all numbers of up to 50 digits; what is far beyond those has no value.
EXACT = Context(prec=50, Emax=60, Emin=-60, traps=[InvalidOperation, DivisionByZero, Overflow])

TRUE: Items = [(True, "System.Boolean", None)]
FALSE: Items = [(False, "System.Boolean", None)]
NOTHING: Items = []  # nobody changes a list that an expression gave

_DAYS = frozenset({"date", "dateTime", "instant"})
_SYSTEM = {
    bool: "System.Boolean", str: "System.String", int: "System.Integer",
    Decimal: "System.Decimal",
}  # fmt: skip


class Undecided(ValueError):
    """FHIRPath calls what the data asks for an error: several values for one, text for a number.

    The message names no value.
    """


def own(value: str | bool | int | Decimal | Moment) -> Item:
    """Return a value of FHIRPath's own as an item."""
    if isinstance(value, Moment):
        return (value, f"System.{value.kind[0].upper()}{value.kind[1:]}", None)
    return (value, _SYSTEM[type(value)], None)


def one(items: Items) -> Item | None:
    """Return the only item, None for none. Raises Undecided for several."""
    if len(items) > 1:
        raise Undecided("one value is meant, and there are several")
    return items[0] if items else None


def simple(item: Item) -> str | bool | int | Decimal | Moment | None:
    """Return the item as a value of FHIRPath's own; None for an object and for no value."""
    value, kind, _ = item
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else None
    if isinstance(value, str):
        if kind in _DAYS:
            return moment(value) or value
        return (time_of_day(value) or value) if kind == "time" else value
    if isinstance(value, bool | int | Decimal | Moment):
        return value
    return None


def text(item: Item | None) -> str | None:
    """Return a text, also of a date as written; None for no item. Raises Undecided for others."""
    if item is None or item[0] is None:
        return None
    value = item[0]
    if isinstance(value, Moment):
        return value.text
    if not isinstance(value, str):
        raise Undecided("a text is meant, and there is something else")
    return value


def number(item: Item | None) -> int | Decimal | None:
    """Return a number; None for no item. Raises Undecided for others."""
    if item is None or item[0] is None:
        return None
    value = simple(item)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Undecided("a number is meant, and there is something else")
    return value


def whole(item: Item | None) -> int | None:
    """Return a whole number; None for no item. Raises Undecided for others."""
    value = number(item)
    if isinstance(value, Decimal):
        raise Undecided("a whole number is meant, and there is another")
    return value


def truth(items: Items) -> bool | None:
    """Return what a collection says where a boolean is meant (FHIRPath N1, section 4.5).

    None for nothing, true for one thing that is no boolean. Raises Undecided for several.
    """
    item = one(items)
    if item is None:
        return None
    return item[0] if isinstance(item[0], bool) else True


def boolean(value: bool | None) -> Items:
    """Return a boolean as a collection, nothing for None."""
    return NOTHING if value is None else TRUE if value else FALSE


@cache
def members(type_name: str, name: str) -> tuple[r4.Element, ...]:
    """Return the elements that a name means in a type: one, or the choices that it stands for."""
    return tuple(
        element
        for element in r4.elements(type_name).values()
        if name in (element.name, element.choice)
    )


def real_type(value: Any, kind: str) -> str:
    """Return the type of a value of an element; that of a resource stands in the resource."""
    if kind in ("Resource", "DomainResource", "") and isinstance(value, dict):
        told = value.get("resourceType")
        if isinstance(told, str) and r4.is_resource(told):
            return told
    return kind


def member_items(item: Item, name: str) -> Items:
    """Return the values of an element, by its name or that of its choice."""
    value, kind, sibling = item
    if not isinstance(value, dict):
        # A primitive's own elements are its id and extensions.
        if isinstance(sibling, dict) and name in ("extension", "id"):
            return member_items((sibling, "Element", None), name)
        return NOTHING
    found: Items = []
    for key, inner, sibling_key, is_open in _reads(kind, name):
        got = value.get(key)
        if is_open or sibling_key in value:
            add_values(found, value, key, inner)
        elif isinstance(got, list):
            found += [(each, inner, None) for each in got if each is not None]
        elif got is not None:
            found.append((got, inner, None))
    return found


@cache
def _reads(kind: str, name: str) -> tuple[tuple[str, str, str, bool], ...]:
    """Return what to read for a name: key, type, the key of siblings, whether the type is open."""
    if not kind:
        return ((name, "", f"_{name}", True),)
    return tuple(
        (
            element.name,
            element.type,
            f"_{element.name}" if element.type in r4.PRIMITIVES else "",
            element.type in ("Resource", "DomainResource"),
        )
        for element in members(kind, name)
    )


def add_values(found: Items, holder: dict[str, Any], key: str, kind: str) -> None:
    """Add the values of one key of an object, with the siblings of primitives."""
    value = holder.get(key)
    beside = None
    if kind in r4.PRIMITIVES or not kind:
        beside = holder.get(f"_{key}")
    if beside is None:
        if isinstance(value, list):
            found += [(each, real_type(each, kind), None) for each in value if each is not None]
        elif value is not None:
            found.append((value, real_type(value, kind), None))
        return
    values = value if isinstance(value, list) else [value]
    siblings = beside if isinstance(beside, list) else [beside]
    for place in range(max(len(values), len(siblings))):
        each = values[place] if place < len(values) else None
        other = siblings[place] if place < len(siblings) else None
        other = other if isinstance(other, dict) else None
        if each is not None or other is not None:
            found.append((each, real_type(each, kind), other))


def children(item: Item) -> Items:
    """Return the values of all elements, known to R4 or not."""
    value, kind, sibling = item
    if not isinstance(value, dict):
        return children((sibling, "Element", None)) if isinstance(sibling, dict) else NOTHING
    known = r4.elements(kind)
    found: Items = []
    for key in value:
        if not isinstance(key, str) or key == "resourceType":
            continue
        if key.startswith("_"):
            if key[1:] in value:
                continue  # added with what it belongs to
            key = key[1:]
        element = known.get(key)
        add_values(found, value, key, element.type if element else "")
    return found


def equal(left: Item, right: Item) -> bool | None:
    """Tell whether two items are equal (`=`); None where dates are not precise enough."""
    if type(left[0]) is str and type(right[0]) is str and left[0] == right[0]:
        return True
    if isinstance(left[0], dict) or isinstance(right[0], dict):
        return bool(_key(left[0]) == _key(right[0]))
    one_, other = simple(left), simple(right)
    if isinstance(one_, Moment) or isinstance(other, Moment):
        one_, other = _moments(one_, other)
        if isinstance(one_, Moment) and isinstance(other, Moment):
            order = compare(one_, other)
            mixed = (one_.kind == "time") != (other.kind == "time")
            return False if mixed else None if order is None else order == 0
        return False
    if one_ is None or other is None or isinstance(one_, bool) != isinstance(other, bool):
        return False
    return one_ == other


def equivalent(left: Item, right: Item) -> bool:
    """Tell whether two items are the same in meaning (`~`): case, spaces, precision aside."""
    one_, other = simple(left), simple(right)
    if isinstance(one_, str) and isinstance(other, str):
        return " ".join(one_.split()).casefold() == " ".join(other.split()).casefold()
    if isinstance(one_, Decimal) or isinstance(other, Decimal):
        if isinstance(one_, bool) or isinstance(other, bool):
            return False
        if isinstance(one_, int | Decimal) and isinstance(other, int | Decimal):
            places = min(_places(one_), _places(other))
            return round(Decimal(one_), places) == round(Decimal(other), places)
    return equal(left, right) is True


def order(left: Item, right: Item) -> int | None:
    """Return -1, 0 or 1; None where it stays open. Raises Undecided for what has no order."""
    one_, other = simple(left), simple(right)
    if isinstance(one_, Moment) or isinstance(other, Moment):
        one_, other = _moments(one_, other)
        if (
            isinstance(one_, Moment)
            and isinstance(other, Moment)
            and (one_.kind == "time") == (other.kind == "time")
        ):
            return compare(one_, other)
    elif isinstance(one_, str) and isinstance(other, str):
        return (one_ > other) - (one_ < other)
    elif _is_number(one_) and _is_number(other):
        return int(Decimal(one_).compare(Decimal(other)))
    raise Undecided("two values are compared that have no order")


def _is_number(value: Any) -> TypeGuard[int | Decimal]:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def distinct(items: Iterable[Item]) -> Items:
    """Return the items without those that equal an earlier one."""
    return list({key(item): item for item in reversed(list(items))}.values())[::-1]


def key(item: Item) -> Any:
    """Return what equal items share, to be found in a set."""
    value = simple(item)
    if isinstance(value, Moment):
        timed = len(value.parts) > 3 and value.kind != "time"
        return ("moment", value.kind == "time", value.comparable if timed else value.parts)
    return _key(value if value is not None else item[0])


def _key(value: Any) -> Any:
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else ("float", str(value))
    if isinstance(value, dict):
        return frozenset((name, _key(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return tuple(_key(inner) for inner in value)
    return value


def _moments(one_: Any, other: Any) -> tuple[Any, Any]:
    """Read a text that is compared with a date as a date, as everybody writes it in rules."""
    if isinstance(one_, str) and isinstance(other, Moment):
        one_ = time_of_day(one_) if other.kind == "time" else moment(one_)
    if isinstance(other, str) and isinstance(one_, Moment):
        other = time_of_day(other) if one_.kind == "time" else moment(other)
    return one_, other


def _places(value: int | Decimal) -> int:
    exponent = value.as_tuple().exponent if isinstance(value, Decimal) else 0
    return max(0, -exponent) if isinstance(exponent, int) else 0
