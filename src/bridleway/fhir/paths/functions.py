"""The functions of FHIRPath that take values (FHIRPath N1, section 5): each by its name.

A function gets what it is called on and what its arguments gave, and gives a new collection.
It raises Undecided where FHIRPath calls the data an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import TypeAlias

from bridleway.fhir.paths.items import (
    EXACT,
    MAX_TEXT,
    NOTHING,
    Items,
    Undecided,
    boolean,
    children,
    distinct,
    key,
    number,
    one,
    own,
    simple,
    text,
    truth,
    whole,
)
from bridleway.fhir.paths.moments import Moment, moment
from bridleway.fhir.paths.patterns import BadPattern, pattern

Function: TypeAlias = Callable[..., Items]

MAX_FOUND = 500_000  # items below one element, more than any real resource has

_INTEGER = re.compile(r"[+-]?[0-9]{1,1000}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?[0-9]{1,1000}(?:\.[0-9]{1,1000})?", re.ASCII)
_YES = frozenset({"true", "t", "yes", "y", "1", "1.0"})
_NO = frozenset({"false", "f", "no", "n", "0", "0.0"})


def descendants(items: Items) -> Items:
    """Return everything below, level by level."""
    found: Items = []
    level = items
    while level := [child for item in level for child in children(item)]:
        found += level
        if len(found) > MAX_FOUND:
            raise Undecided("there is too much below one element")
    return found


def as_text(items: Items) -> str | None:
    """Return the only value as `toString` writes it; None for none and for an object."""
    item = one(items)
    value = simple(item) if item else None
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Moment):
        return value.text
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _texts(made: str | None) -> Items:
    if made is None:
        return NOTHING
    if len(made) > MAX_TEXT:
        raise Undecided("an expression makes too long a text")
    return [own(made)]


def _on_text(change: Callable[[str], str]) -> Function:
    def run(items: Items) -> Items:
        told = text(one(items))
        return NOTHING if told is None else _texts(change(told))

    return run


def _about_text(check: Callable[[str, str], bool]) -> Function:
    def run(items: Items, argument: Items) -> Items:
        told, other = text(one(items)), text(one(argument))
        return NOTHING if told is None or other is None else boolean(check(told, other))

    return run


def _on_number(change: Callable[[int | Decimal], int | Decimal]) -> Function:
    def run(items: Items) -> Items:
        value = number(one(items))
        return NOTHING if value is None else [own(change(value))]

    return run


def _over_booleans(over: Callable[[list[bool]], bool], wanted: bool) -> Function:
    def run(items: Items) -> Items:
        values = [item[0] for item in items]
        if not all(isinstance(value, bool) for value in values):
            raise Undecided("booleans are meant, and there is something else")
        return boolean(over([value is wanted for value in values]))

    return run


def _not(items: Items) -> Items:
    value = truth(items)
    return NOTHING if value is None else boolean(not value)


def _take(items: Items, argument: Items) -> Items:
    count = whole(one(argument))
    return NOTHING if count is None or count <= 0 else items[:count]


def _skip(items: Items, argument: Items) -> Items:
    count = whole(one(argument))
    return NOTHING if count is None else items[max(0, count) :]


def _single(items: Items) -> Items:
    return [item] if (item := one(items)) else NOTHING


def _intersect(items: Items, other: Items) -> Items:
    keys = {key(item) for item in other}
    return distinct(item for item in items if key(item) in keys)


def _exclude(items: Items, other: Items) -> Items:
    keys = {key(item) for item in other}
    return [item for item in items if key(item) not in keys]


def _within(items: Items, other: Items) -> Items:
    keys = {key(item) for item in other}
    return boolean(all(key(item) in keys for item in items))


def _index_of(items: Items, argument: Items) -> Items:
    told, other = text(one(items)), text(one(argument))
    return NOTHING if told is None or other is None else [own(told.find(other))]


def _substring(items: Items, begin: Items, size: Items | None = None) -> Items:
    told, start = text(one(items)), whole(one(begin))
    if told is None or start is None or not 0 <= start < len(told):
        return NOTHING
    length = whole(one(size)) if size else None
    return _texts(told[start:] if length is None else told[start : start + max(0, length)])


def _replace(items: Items, old: Items, new: Items) -> Items:
    told, was, becomes = text(one(items)), text(one(old)), text(one(new))
    if told is None or was is None or becomes is None:
        return NOTHING
    if len(told) + (told.count(was)) * len(becomes) > MAX_TEXT:
        raise Undecided("an expression makes too long a text")
    return _texts(told.replace(was, becomes))


def _matches(items: Items, argument: Items) -> Items:
    told, written = text(one(items)), text(one(argument))
    if told is None or written is None:
        return NOTHING
    return boolean(pattern(written).found_in(told))


def _matches_full(items: Items, argument: Items) -> Items:
    told, written = text(one(items)), text(one(argument))
    if told is None or written is None:
        return NOTHING
    return boolean(pattern(written).is_all_of(told))


def _replace_matches(items: Items, argument: Items, new: Items) -> Items:
    told, written, becomes = text(one(items)), text(one(argument)), text(one(new))
    if told is None or written is None or becomes is None:
        return NOTHING
    try:
        return _texts(pattern(written).replaced(told, becomes))
    except BadPattern as error:  # a replacement that was made from data
        raise Undecided("a replacement names an unknown group") from error


def _join(items: Items, between: Items | None = None) -> Items:
    separator = (text(one(between)) if between else None) or ""
    texts = [told for item in items if (told := text(item)) is not None]
    if sum(map(len, texts)) + len(separator) * len(texts) > MAX_TEXT:
        raise Undecided("an expression makes too long a text")
    return _texts(separator.join(texts)) if texts else NOTHING


def _to_integer(items: Items) -> Items:
    item = one(items)
    value = simple(item) if item else None
    if isinstance(value, int):  # a boolean is 1 or 0
        return [own(int(value))]
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return [own(int(value))]
    return NOTHING


def _to_decimal(items: Items) -> Items:
    item = one(items)
    value = simple(item) if item else None
    if isinstance(value, int | Decimal) or (isinstance(value, str) and _DECIMAL.fullmatch(value)):
        return [own(Decimal(value))]
    return NOTHING


def _to_boolean(items: Items) -> Items:
    item = one(items)
    value = simple(item) if item else None
    if isinstance(value, bool):
        return boolean(value)
    if isinstance(value, int | Decimal):
        return boolean(value == 1) if value in (0, 1) else NOTHING
    told = value.lower() if isinstance(value, str) else ""
    return boolean(True) if told in _YES else boolean(False) if told in _NO else NOTHING


def _moment_of(items: Items) -> Moment | None:
    item = one(items)
    value = simple(item) if item else None
    value = moment(value) if isinstance(value, str) else value
    return value if isinstance(value, Moment) and value.kind != "time" else None


def _to_date(items: Items) -> Items:
    found = _moment_of(items)
    return (
        NOTHING
        if found is None
        else [own(Moment("date", found.text[:10].rstrip("T"), found.parts[:3]))]
    )


def _to_date_time(items: Items) -> Items:
    found = _moment_of(items)
    if found is None:
        return NOTHING
    return [own(Moment("dateTime", found.text, found.parts, found.offset))]


def _has_value(items: Items) -> Items:
    return boolean(len(items) == 1 and simple(items[0]) is not None)


def _get_value(items: Items) -> Items:
    value = simple(items[0]) if len(items) == 1 else None
    return NOTHING if value is None else [own(value)]


def _round(items: Items, places: Items | None = None) -> Items:
    value = number(one(items))
    digits = (whole(one(places)) if places else None) or 0
    if value is None:
        return NOTHING
    if not 0 <= digits <= 28:
        raise Undecided("a number is rounded to too many digits")
    if isinstance(value, int):
        return [own(value)]
    return [own(value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, EXACT))]


def _size(value: int | Decimal) -> int | Decimal:
    return value.copy_abs() if isinstance(value, Decimal) else abs(value)


def _rounded(how: str) -> Callable[[int | Decimal], int]:
    return lambda value: int(Decimal(value).to_integral_value(how))


FUNCTIONS: dict[str, Function] = {
    "empty": lambda items: boolean(not items),
    "not": _not,
    "count": lambda items: [own(len(items))],
    "first": lambda items: items[:1],
    "last": lambda items: items[-1:],
    "tail": lambda items: items[1:],
    "take": _take,
    "skip": _skip,
    "single": _single,
    "distinct": distinct,
    "isDistinct": lambda items: boolean(len(distinct(items)) == len(items)),
    "union": lambda items, other: distinct([*items, *other]),
    "combine": lambda items, other: [*items, *other],
    "intersect": _intersect,
    "exclude": _exclude,
    "subsetOf": _within,
    "supersetOf": lambda items, other: _within(other, items),
    "children": lambda items: [child for item in items for child in children(item)],
    "descendants": descendants,
    "hasValue": _has_value,
    "getValue": _get_value,
    "allTrue": _over_booleans(all, True),
    "anyTrue": _over_booleans(any, True),
    "allFalse": _over_booleans(all, False),
    "anyFalse": _over_booleans(any, False),
    "startsWith": _about_text(str.startswith),
    "endsWith": _about_text(str.endswith),
    "contains": _about_text(str.__contains__),
    "matches": _matches,
    "matchesFull": _matches_full,
    "replace": _replace,
    "replaceMatches": _replace_matches,
    "indexOf": _index_of,
    "substring": _substring,
    "length": lambda items: [own(len(told))] if (told := text(one(items))) is not None else NOTHING,
    "upper": _on_text(str.upper),
    "lower": _on_text(str.lower),
    "trim": _on_text(str.strip),
    "toChars": lambda items: [own(char) for char in text(one(items)) or ""],
    "join": _join,
    "toString": lambda items: _texts(as_text(items)),
    "toInteger": _to_integer,
    "toDecimal": _to_decimal,
    "toBoolean": _to_boolean,
    "toDate": _to_date,
    "toDateTime": _to_date_time,
    "abs": _on_number(_size),
    "ceiling": _on_number(_rounded(ROUND_CEILING)),
    "floor": _on_number(_rounded(ROUND_FLOOR)),
    "truncate": _on_number(int),
    "round": _round,
}  # fmt: skip
