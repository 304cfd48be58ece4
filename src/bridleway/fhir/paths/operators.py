"""The operators of FHIRPath (FHIRPath N1, section 6): logic, comparison, arithmetic.

An operator gets what its two sides gave. It raises Undecided where FHIRPath calls that an error.
"""

from __future__ import annotations

from collections.abc import Callable

from bridleway.fhir.paths.items import (
    EXACT,
    MAX_TEXT,
    NOTHING,
    Item,
    Items,
    Undecided,
    distinct,
    equal,
    equivalent,
    number,
    one,
    order,
    own,
    text,
)
from bridleway.fhir.paths.running import Env, Truth

MAX_EQUIVALENT = 100  # items on a side of `~`, which compares each with each


def logic(operator: str, left: Truth, right: Truth) -> Truth:
    """Three-valued logic (FHIRPath N1, section 6.5); the right side only where it matters."""

    def both(this: Item, env: Env) -> bool | None:
        one_ = left(this, env)
        if one_ is False:
            return False
        other = right(this, env)
        return other if one_ or other is False else None

    def either(this: Item, env: Env) -> bool | None:
        one_ = left(this, env)
        if one_ is True:
            return True
        other = right(this, env)
        return other if one_ is False or other else None

    def only_one(this: Item, env: Env) -> bool | None:
        one_, other = left(this, env), right(this, env)
        return None if one_ is None or other is None else one_ is not other

    def follows(this: Item, env: Env) -> bool | None:
        one_ = left(this, env)
        if one_ is False:
            return True
        other = right(this, env)
        return other if one_ or other else None

    return {"and": both, "or": either, "xor": only_one, "implies": follows}[operator]


def _all_equal(left: Items, right: Items) -> bool | None:
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    answers = [equal(one_, other) for one_, other in zip(left, right, strict=True)]
    return False if False in answers else None if None in answers else True


def _all_equivalent(left: Items, right: Items) -> bool:
    if len(left) != len(right):
        return False
    if len(left) > MAX_EQUIVALENT:
        raise Undecided("two long lists are compared")
    rest = list(right)
    for item in left:
        place = next((at for at, other in enumerate(rest) if equivalent(item, other)), None)
        if place is None:
            return False
        del rest[place]
    return True


def _holds(items: Items, item: Items) -> bool | None:
    wanted = one(item)
    if wanted is None:
        return None
    return any(equal(each, wanted) is True for each in items)


def _ordered(operator: str) -> Callable[[Items, Items], bool | None]:
    wanted = {"<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (1, 0)}[operator]

    def run(left: Items, right: Items) -> bool | None:
        one_, other = _pair(left, right)
        if one_ is None or other is None or one_[0] is None or other[0] is None:
            return None
        found = order(one_, other)
        return None if found is None else found in wanted

    return run


# What is true or false, for whole collections.
TRUTHS: dict[str, Callable[[Items, Items], bool | None]] = {
    "=": _all_equal,
    "!=": lambda left, right: None if (same := _all_equal(left, right)) is None else not same,
    "~": _all_equivalent,
    "!~": lambda left, right: not _all_equivalent(left, right),
    "in": lambda left, right: _holds(right, left),
    "contains": lambda left, right: _holds(left, right),
    **{operator: _ordered(operator) for operator in ("<", "<=", ">", ">=")},
}


def _pair(left: Items, right: Items) -> tuple[Item | None, Item | None]:
    """Return the only item of each; where one side is empty, the other may be anything."""
    return (one(left), one(right)) if left and right else (None, None)


def _add(left: Items, right: Items) -> Items:
    one_, other = _pair(left, right)
    if one_ is None or other is None:
        return NOTHING
    if isinstance(one_[0], str) and isinstance(other[0], str):
        return _joined(one_[0], other[0])
    return _calculated("+", one_, other)


def _join(left: Items, right: Items) -> Items:
    return _joined(text(one(left)) or "", text(one(right)) or "")


def _joined(left: str, right: str) -> Items:
    if len(left) + len(right) > MAX_TEXT:
        raise Undecided("an expression makes too long a text")
    return [own(left + right)]


def _arithmetic(operator: str) -> Callable[[Items, Items], Items]:
    def run(left: Items, right: Items) -> Items:
        one_, other = _pair(left, right)
        return NOTHING if one_ is None or other is None else _calculated(operator, one_, other)

    return run


def _calculated(operator: str, left: Item, right: Item) -> Items:
    one_, other = number(left), number(right)
    if one_ is None or other is None or (operator in ("/", "div", "mod") and not other):
        return NOTHING
    # Whole numbers of data are small; those that expressions make stay within decimals.
    first, second = EXACT.create_decimal(one_), EXACT.create_decimal(other)
    made = {
        "+": EXACT.add, "-": EXACT.subtract, "*": EXACT.multiply, "/": EXACT.divide,
        "div": EXACT.divide_int, "mod": EXACT.remainder,
    }[operator](first, second)  # fmt: skip
    if operator == "div" or (isinstance(one_, int) and isinstance(other, int) and operator != "/"):
        return [own(int(made))]
    return [own(made)]


# What gives other values.
VALUES: dict[str, Callable[[Items, Items], Items]] = {
    "+": _add,
    "&": _join,
    "|": lambda left, right: distinct([*left, *right]),
    **{operator: _arithmetic(operator) for operator in ("-", "*", "/", "div", "mod")},
}
